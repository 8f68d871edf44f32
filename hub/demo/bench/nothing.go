package bench

import (
	"context"
	"errors"

	"otor/agent/device"
	"otor/internal/gauge"
)

// nothing measures P6: contacts with nothing new, by a device that was started
// anew and by one that still has its TLS session.
func (b *bench) nothing(ctx context.Context) (f gauge.Figure, err error) {
	dir, drop, err := b.folder("nothing")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	var spoken turns
	p, err := openPair(ctx, dir, b.pack, b.Log, func(c *device.Config) { c.Dialer = &spoken })
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.fill(ctx, b.forms, 6, quietEntries); err != nil {
		return f, err
	}
	if _, err := p.drain(ctx, quietEntries); err != nil {
		return f, err
	}
	var fresh traffic
	if err := p.restart(); err != nil {
		return f, err
	}
	before := spoken.n.Load()
	err = b.profiles.Run("P6", func() error { fresh, err = b.contact(ctx, p); return err })
	if err != nil {
		return f, err
	}
	trips := spoken.n.Load() - before
	resumed, err := b.contact(ctx, p)
	if err != nil {
		return f, err
	}
	all := func(t traffic) []float64 { return []float64{float64(t.in + t.out)} }
	f = gauge.New("P6", "a contact with nothing new, TLS included, both ways", "B", all(fresh))
	f.Against = []gauge.Against{gauge.AtMost("the goal's own 6,000 B", 1, all(fresh), []float64{6000})}
	f.Parts = []gauge.Part{
		{What: "from the device", Value: float64(fresh.out)},
		{What: "to the device", Value: float64(fresh.in)},
		{What: "with a TLS session of before, both ways", Value: float64(resumed.in + resumed.out)},
		{What: "times that the device spoke after it had heard something: TLS, login, hello, and TLS's goodbye", Value: float64(trips)},
	}
	return f, nil
}

// quietEntries are on both sides before P6 begins.
const quietEntries = 500
