package store

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
)

// Entities yields every entity of a type as this device shows it ([Store.Shown]), each
// once: those that the hub sent by id, then those that this device alone writes about. An
// empty kind gives all types. One that is damaged is passed over: it is a finding, and
// fetched again. One of which nothing is shown is not yielded.
func (s *Store) Entities(ctx context.Context, kind string) iter.Seq2[Shown, error] {
	return func(yield func(Shown, error) bool) {
		own, err := s.ownByEntity(ctx, kind)
		if err != nil {
			yield(Shown{}, err)
			return
		}
		for b, err := range s.Bases(ctx, kind) {
			if err != nil {
				yield(Shown{}, err)
				return
			}
			ref, ok := feed.RefOf(b.Key)
			if !ok {
				continue
			}
			state, err := merge.Decode(b.Body)
			if err != nil {
				continue
			}
			out := Shown{State: state, Base: b, InBase: true}
			over := slices.ContainsFunc(own[ref], func(d dot.Dot) bool { return !state.Seen.Covers(s.nameOf(d)) })
			delete(own, ref)
			if over {
				if out, err = s.Shown(ref); err != nil {
					continue
				}
			}
			if !yield(out, nil) {
				return
			}
		}
		rest := make([]entry.Ref, 0, len(own))
		for ref := range own {
			rest = append(rest, ref)
		}
		slices.SortFunc(rest, func(a, b entry.Ref) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID)) })
		for _, ref := range rest {
			if ctx.Err() != nil {
				yield(Shown{}, ctx.Err())
				return
			}
			out, err := s.Shown(ref)
			if err == nil && (out.InBase || len(out.Own) > 0) && !yield(out, nil) {
				return
			}
		}
	}
}

// ownByEntity lists the names that entries of this device have which write to entities of a type.
func (s *Store) ownByEntity(ctx context.Context, kind string) (map[entry.Ref][]dot.Dot, error) {
	prefix := []byte{kindOverlay}
	if kind != "" {
		if len(kind) > 255 {
			return nil, nil
		}
		prefix = append(append(prefix, byte(len(kind))), kind...)
	}
	all, err := s.ownWrites(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make(map[entry.Ref][]dot.Dot)
	for _, w := range all {
		out[w.Ref] = append(out[w.Ref], w.Dot)
	}
	return out, nil
}
