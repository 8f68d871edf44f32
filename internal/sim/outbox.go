package sim

import (
	"context"
	"errors"
	"fmt"

	"otor/agent/store"
	"otor/agent/uplink"
	"otor/internal/dot"
	"otor/internal/receipt"
)

// errContradiction marks receipts that do not fit what the device has. No
// honest device gets one.
var errContradiction = errors.New("the hub's receipts contradict this device")

// outbox lets an uplink read and settle a store, as agent/device does, and
// looks over both their shoulders.
type outbox struct {
	dev   *device
	store *store.Store
}

// Chains implements uplink.Outbox.
func (o *outbox) Chains() []uplink.Chain {
	states := o.store.Chains()
	out := make([]uplink.Chain, len(states))
	for i, s := range states {
		out[i] = uplink.Chain{Chain: s.Chain, Last: s.Last, Head: s.Head, Received: s.Received, Epoch: s.Epoch, Lost: s.Lost, Archived: s.Archived}
		if s.Chain.Lane == dot.Alert {
			o.dev.net.sawDue(s.Sendable())
		}
	}
	return out
}

// Read implements uplink.Outbox.
func (o *outbox) Read(c dot.Chain, from dot.Seq, maxCount, maxBytes int) (uplink.Run, error) {
	r, err := o.store.Read(c, from, maxCount, maxBytes)
	return uplink.Run{First: r.First, Before: r.Before, Entries: r.Entries}, err
}

// Settle implements uplink.Outbox.
func (o *outbox) Settle(ctx context.Context, rs []receipt.Receipt) (int, error) {
	return o.settled(o.store.Settle(ctx, rs))
}

// Answer implements uplink.Outbox.
func (o *outbox) Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) (int, error) {
	return o.settled(o.store.Answer(ctx, e, rs))
}

func (o *outbox) settled(settled []store.Settlement, err error) (int, error) {
	newly := 0
	for _, s := range settled {
		newly += int(s.Newly)
		if s.Refused != nil && err == nil {
			err = fmt.Errorf("%w: %s", errContradiction, s.Refused.What)
		}
		o.dev.w.did(string(o.dev.id), nil, "settle %s %d %d", s.Chain, s.Through, s.Newly)
	}
	for _, st := range o.store.Chains() {
		o.dev.w.checkReceived(o.dev.id, st)
	}
	return newly, err
}
