package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"otor/agent/device"
	"otor/internal/dot"
	"otor/internal/gauge"
)

// P4's backlog, how it is cut into batches, and a link of the field's better
// sort: 2 Mbit/s.
const (
	wireEntries = 10_000
	wireBatch   = 200
	wireRate    = 256 << 10
)

// wire measures P4.
func (b *bench) wire(ctx context.Context) (f gauge.Figure, err error) {
	dir, drop, err := b.folder("wire")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	var frames, frameBytes atomic.Int64
	p, err := openPair(ctx, dir, b.pack, b.Log, func(c *device.Config) {
		c.MaxEntries, c.Dialer = wireBatch, slowLine{wireRate}
		c.Tap = func(_ dot.Lane, frame []byte) {
			frames.Add(1)
			frameBytes.Add(int64(len(frame)))
		}
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.close()) }()

	idle, err := b.contact(ctx, p) // nothing to say yet: what a contact itself costs
	if err != nil {
		return f, err
	}
	if err := p.restart(); err != nil {
		return f, err
	}
	if err := p.fill(ctx, b.forms, 4, wireEntries); err != nil {
		return f, err
	}
	var moved traffic
	err = b.profiles.Run("P4", func() error { moved, err = b.contact(ctx, p); return err })
	if err != nil {
		return f, err
	}
	if err := p.compare(ctx, wireEntries); err != nil {
		return f, err
	}
	doc, err := ndjson(ctx, p.hub.Store())
	if err != nil {
		return f, err
	}
	packed, by, err := squeeze(ctx, doc)
	if err != nil {
		return f, err
	}
	each := func(n int64) float64 { return float64(n) / wireEntries }
	ours, theirs := []float64{each(moved.in + moved.out)}, []float64{each(int64(packed))}
	f = gauge.New("P4", fmt.Sprintf("bytes on the wire an entry, both ways, %d entries of all kinds in batches of %d", wireEntries, wireBatch), "B", ours)
	f.Against = []gauge.Against{gauge.AtMost(by+" of the same facts as NDJSON", 0.85, ours, theirs)}
	f.Parts = []gauge.Part{
		{What: fmt.Sprintf("frames (%d)", frames.Load()), Value: each(frameBytes.Load())},
		{What: "around the frames: NATS subjects and TLS records", Value: each(moved.out - idle.out - frameBytes.Load())},
		{What: "acknowledgements and receipts", Value: each(moved.in - idle.in)},
		{What: "connecting, TLS and hello, both ways", Value: each(idle.in + idle.out)},
	}
	f.Notes = []string{
		fmt.Sprintf("the NDJSON itself has %.0f B an entry; the link moves %d kB/s, which lets the device compress as in the field", each(int64(len(doc))), wireRate>>10),
	}
	return f, nil
}

// traffic counts bytes on the wire, TLS included, by direction from the device.
type traffic struct{ in, out int64 }

// contact makes one contact and returns the bytes that it moved.
func (b *bench) contact(ctx context.Context, p *pair) (traffic, error) {
	before := p.dev.Link().Meter()
	dctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	r, err := p.dev.Contact(dctx)
	if err == nil && r.Remaining != 0 {
		err = fmt.Errorf("%d entries remain after the contact", r.Remaining)
	}
	after := p.dev.Link().Meter()
	return traffic{in: int64(after.In - before.In), out: int64(after.Out - before.Out)}, err //nolint:gosec // far below
}
