package sim

import (
	"context"

	agent "otor/agent/device"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// outbox looks over the shoulders of an uplink and of a device's outbox.
type outbox struct {
	*agent.Outbox
	dev   *device
	store *store.Store
}

// Chains implements uplink.Outbox.
func (o *outbox) Chains() []uplink.Chain {
	out := o.Outbox.Chains()
	due := make(map[dot.Chain][]lane.Range)
	for _, c := range out {
		if c.Chain.Lane == dot.Alert && !c.Disputed { // of a disputed one no receipt will come
			taken := c.Received
			for _, r := range c.Lost {
				taken = taken.Add(r)
			}
			due[c.Chain] = taken.Missing(c.Last)
		}
	}
	o.dev.net.sawDue(due)
	return out
}

// Settle implements uplink.Outbox.
func (o *outbox) Settle(ctx context.Context, rs []receipt.Receipt) (int, error) {
	return o.settled(o.Outbox.Settle(ctx, rs))
}

// Answer implements uplink.Outbox.
func (o *outbox) Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) (int, error) {
	return o.settled(o.Outbox.Answer(ctx, e, rs))
}

func (o *outbox) settled(newly int, err error) (int, error) {
	w := o.dev.w
	for _, c := range o.Outbox.Chains() {
		if c.Disputed && w.isPlain(o.dev.id) {
			w.violate("the hub's receipts contradict %s about %s, of which there is one folder", o.dev.name, c.Chain)
		}
	}
	w.did(o.dev.name, nil, "settle %d", newly)
	for _, st := range o.store.Chains() {
		w.checkReceived(o.dev.name, st)
	}
	return newly, err
}
