package device

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"otor/agent/link"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// port lets uplink speak over the link.
type port struct {
	link   *link.Link
	device dot.Device
	tap    func(l dot.Lane, frame []byte)
	held   func(c dot.Chain, r lane.Range) // the hub's stream has it
}

// Hello implements uplink.Port.
func (p *port) Hello(ctx context.Context, h wire.Hello) (wire.Welcome, error) {
	b, err := wire.Marshal(h)
	if err != nil {
		return wire.Welcome{}, err
	}
	reply, err := p.link.Request(ctx, wire.HelloOn(p.device), b)
	if err != nil {
		return wire.Welcome{}, err
	}
	return wire.Unmarshal[wire.Welcome](reply)
}

// Post implements uplink.Port.
func (p *port) Post(l dot.Lane, frame []byte) (func(context.Context) error, error) {
	if p.tap != nil {
		p.tap(l, frame)
	}
	posted, err := p.link.Post(wire.Up(l, p.device), frame)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := posted.Wait(ctx); err != nil {
			return err
		}
		if f, err := batch.Open(frame); err == nil && p.held != nil {
			p.held(f.Header.Chain, f.Header.Run)
		}
		return nil
	}, nil
}

// Resend sends a frame once more, as after an acknowledgement that got lost.
func (d *Device) Resend(ctx context.Context, l dot.Lane, frame []byte) error {
	return d.link.Send(ctx, wire.Up(l, d.id.Device), frame)
}

// Carry passes on a frame of another device, unchanged. nil: the hub has it in custody.
func (d *Device) Carry(ctx context.Context, frame []byte) error {
	return d.link.Send(ctx, wire.Relay(d.id.Device), frame)
}

// Frame seals entries for somebody who carries them: a run of one chain that
// must fit into one frame.
func (d *Device) Frame(c dot.Chain, r lane.Range) ([]byte, error) {
	run, err := d.store.Read(c, r.First, int(r.Len()), batch.MaxRaw/2)
	if err != nil {
		return nil, err
	}
	if run.First != r.First || uint64(len(run.Entries)) != r.Len() {
		return nil, fmt.Errorf("seal %s %s: the store does not have all of it; run: agent doctor", c, r)
	}
	key, err := d.id.SigningKey()
	if err != nil {
		return nil, err
	}
	frame, _, err := batch.Seal(c, run.First, run.Before, run.Entries, key, batch.Small)
	return frame, err
}

// Outbox lets uplink read and settle a store, and remembers whose receipts
// contradict it. It is safe for concurrent use.
type Outbox struct {
	store    *store.Store
	answered func() // a hello's receipts are settled

	mu       sync.Mutex
	disputed map[dot.Chain]receipt.Receipt // guarded by mu: the last receipts that contradicted the device
}

// NewOutbox returns the outbox of a store. answered is told that a hello's receipts are settled.
func NewOutbox(s *store.Store, answered func()) *Outbox {
	return &Outbox{store: s, answered: answered, disputed: make(map[dot.Chain]receipt.Receipt)}
}

// Chains implements uplink.Outbox.
func (o *Outbox) Chains() []uplink.Chain {
	states := o.store.Chains()
	out := make([]uplink.Chain, len(states))
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, s := range states {
		_, disputed := o.disputed[s.Chain]
		out[i] = uplink.Chain{
			Disputed: disputed,
			Chain:    s.Chain, Last: s.Stays(), Head: s.Tip(), Received: s.Received, Epoch: s.Epoch, Signed: s.Signed,
			Lost: s.Absent(), Archived: s.Archived,
		}
	}
	return out
}

// Read implements uplink.Outbox.
func (o *Outbox) Read(c dot.Chain, from dot.Seq, maxCount, maxBytes int) (uplink.Run, error) {
	r, err := o.store.Read(c, from, maxCount, maxBytes)
	return uplink.Run{First: r.First, Before: r.Before, Entries: r.Entries}, err
}

// Settle implements uplink.Outbox.
func (o *Outbox) Settle(ctx context.Context, rs []receipt.Receipt) (int, error) {
	settled, err := o.store.Settle(ctx, rs)
	return o.tally(rs, settled), err
}

// Answer implements uplink.Outbox.
func (o *Outbox) Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) (int, error) {
	settled, err := o.store.Answer(ctx, e, rs)
	newly := o.tally(rs, settled) // first: what is disputed now must not be pruned
	if err == nil {
		o.answered()
	}
	return newly, err
}

// tally counts the entries that receipts newly cover, and notes whose receipts
// contradict the device. The other chains go on: an alert must not wait for a
// quarrel about records. The store has noted the finding.
func (o *Outbox) tally(rs []receipt.Receipt, settled []store.Settlement) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	newly := 0
	for i, s := range settled {
		newly += int(s.Newly) //nolint:gosec // a count
		delete(o.disputed, s.Chain)
		if s.Refused != nil && s.Refused.Code != store.CodeUnknownChain {
			o.disputed[s.Chain] = rs[i]
		}
	}
	return newly
}

// quarrel is the receipt that contradicted the device about a chain.
func (o *Outbox) quarrel(c dot.Chain) (receipt.Receipt, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, ok := o.disputed[c]
	return r, ok
}

// Disputed lists the chains of which the hub's last receipts contradicted the device.
func (o *Outbox) Disputed() []dot.Chain {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Keys(o.disputed))
}

// agree ends the quarrel about a chain.
func (o *Outbox) agree(c dot.Chain) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.disputed, c)
}
