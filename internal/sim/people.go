package sim

import (
	"context"
	"fmt"

	"otor/internal/entry"
)

// captureOne saves one form on the device and tells nobody.
func (d *device) captureOne(ctx context.Context) (*saved, error) {
	d.captures++
	r, expect := filled(d.dice, d.captures)
	out, err := d.proc.capture.Capture(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	s := &saved{dot: out.Dot, hash: out.Hash, fact: entry.Was{Dot: out.Dot, Hash: out.Hash}, expect: expect}
	if st, ok := d.proc.store.Chain(out.Dot.Chain); ok && st.Last == out.Dot.Seq {
		s.head = st.Head
	}
	return s, nil
}

// captureSome saves several forms, handed over one after the other without
// waiting, and notes what was acknowledged.
func (d *device) captureSome(ctx context.Context, n int) error {
	if d.proc == nil {
		return nil
	}
	type begun struct {
		wait   func() (saved, error)
		expect expectation
	}
	var all []begun
	for range n {
		d.captures++
		r, expect := filled(d.dice, d.captures)
		wait := d.proc.capture.Begin(ctx, r)
		all = append(all, begun{func() (saved, error) {
			out, err := wait()
			return saved{dot: out.Dot, hash: out.Hash, fact: entry.Was{Dot: out.Dot, Hash: out.Hash}}, err
		}, expect})
	}
	for _, b := range all {
		s, err := b.wait()
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		s.expect = b.expect
		d.acknowledge(s)
	}
	d.keepTails()
	return nil
}

// acknowledge notes an entry that must never be lost from here on.
func (d *device) acknowledge(s saved) {
	c := s.dot.Chain
	d.adopt(c, s.dot.Seq-1)
	if want := len(d.acked[c]) + 1; int(s.dot.Seq) != want {
		d.w.violate("%s was saved, but %d is the next seq of its chain", s.dot, want)
		return
	}
	d.acked[c] = append(d.acked[c], s)
	d.w.did(d.name, func(w *Work) { w.Captures++ }, "saved %s %s", s.dot, s.hash)
}

// checkStart holds a store that was just opened against what was acknowledged.
func (d *device) checkStart() {
	for _, f := range d.proc.store.Findings() {
		d.w.violate("I4: after a lawful crash %s reports damage: %s %s: %s", d.name, f.Code, f.Which, f.What)
	}
	maybe := d.perhaps
	d.perhaps = nil
	for _, st := range d.proc.store.Chains() {
		d.adopt(st.Chain, st.Last)
		acked := d.acked[st.Chain]
		extra := maybe != nil && maybe.dot.Chain == st.Chain && int(st.Last) == len(acked)+1
		if int(st.Last) != len(acked) && !extra {
			d.w.violate("I1: after a restart %s ends at %d; %d were acknowledged", st.Chain, st.Last, len(acked))
			continue
		}
		if extra {
			d.acknowledge(*maybe) // it survived: from now on it counts
			acked = d.acked[st.Chain]
		}
		if len(acked) == 0 {
			continue
		}
		last := acked[len(acked)-1]
		if it, err := d.proc.store.Get(last.dot); err != nil || it.Hash != last.hash {
			d.w.violate("I1: after a restart %s is not what was acknowledged: %v", last.dot, err)
		}
	}
}
