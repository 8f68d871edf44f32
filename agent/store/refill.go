package store

import (
	"context"
	"fmt"
	"time"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// Hole is a run of entries that damage took here and that the hub received. The
// heads around it are known, so what is put into it proves itself.
type Hole struct {
	Chain  dot.Chain
	Run    lane.Range
	Before entry.Hash // the head that Run's first entry follows
	After  entry.Hash // the head after Run's last entry
}

// Holes lists what can be refilled from the hub. A run that is lost and only
// received in part, so that one of its heads is not known, is not in the list.
func (s *Store) Holes() []Hole {
	var out []Hole
	for _, st := range s.Chains() {
		for _, lost := range st.Lost {
			for _, got := range st.Received {
				r := lane.Run(max(lost.First, got.First), min(lost.Last, got.Last))
				if r.First > r.Last {
					continue
				}
				before, ok := s.headAt(&st, r.First-1)
				if !ok {
					continue
				}
				if after, ok := s.headAt(&st, r.Last); ok {
					out = append(out, Hole{st.Chain, r, before, after})
				}
			}
		}
	}
	return out
}

// refill is a part of a hole with its entries.
type refill struct {
	chain   dot.Chain
	first   dot.Seq
	before  entry.Hash
	entries []entry.Raw
}

func (r *refill) weight() (n int) {
	for _, e := range r.entries {
		n += e.Size() + 512
	}
	return n
}

// MaxRefill bounds the bytes of both parts that one [Store.Refill] takes,
// unless it is a single entry.
const MaxRefill = 128 << 10

// Refill seals entries into a hole, in one commit. before is the head before the
// first of them. The caller has walked the chain from the hole's Before over
// them to its After; what is checked here is that each one's public part names
// its place. Lost and the findings know of it afterwards.
func (s *Store) Refill(ctx context.Context, c dot.Chain, first dot.Seq, before entry.Hash, es []entry.Raw) error {
	if len(es) == 0 {
		return nil
	}
	r := &refill{chain: c, first: first, before: before, entries: es}
	run := lane.Run(first, first+dot.Seq(len(es))-1)
	st, ok := s.Chain(c)
	if !ok || run.Last > st.Last {
		return fmt.Errorf("refill %s %s: %w", c, run, ErrNotFound)
	}
	for seq := run.First; seq <= run.Last; seq++ {
		if !st.Lost.Contains(seq) {
			return fmt.Errorf("refill %s: entry %d is not lost: nothing was changed", c, seq)
		}
	}
	for i, e := range es {
		pub, err := entry.DecodePublic(e.Public)
		if err != nil {
			return fmt.Errorf("refill %s: %w", c.At(first+dot.Seq(i)), err)
		}
		if pub.Dot != c.At(first+dot.Seq(i)) {
			return fmt.Errorf("refill %s: the entry says that it is %s", c.At(first+dot.Seq(i)), pub.Dot)
		}
	}
	if err := s.send(ctx, &request{refill: r}); err != nil {
		return fmt.Errorf("refill %s %s: %w", c, run, err)
	}
	s.healed(c, run)
	s.log.Info("entries came back from the hub", "chain", c, "entries", run)
	return nil
}

// refill plans the rows. When they were saved first nobody knows any more: the
// device's clock at capture stands for it.
func (p *plan) refill(r *refill) error {
	head := r.before
	for i, raw := range r.entries {
		e := stored{before: head, raw: raw}
		if pub, err := entry.DecodePublic(raw.Public); err == nil {
			e.savedAt = time.UnixMilli(pub.Wall)
			if err := p.name(pub.Blobs, pub.Dot); err != nil {
				return err
			}
		}
		key := entryKey(r.chain, r.first+dot.Seq(i))
		p.rows = append(p.rows, row{key, p.s.box.sealEntry(key, e)})
		head = e.after()
	}
	return nil
}
