package server

import (
	"context"
	"errors"
	"iter"
	"slices"

	"otor/hub/access"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
)

// sight is what part of the data somebody sees. It is used by one goroutine,
// for one question.
//
// An entity is seen by whoever has one of its scopes, and by all when it is
// shown to every device; what is about an entity (entries, items, photos) is seen
// with it. A device is seen by whoever has one of its scopes, and with it its
// gaps, its findings and those of its entries that are about no entity that the
// hub knows. All else is seen by those alone whose scopes cover everything.
type sight struct {
	o       *Office
	read    *readings
	scopes  []string
	all     bool
	devices map[dot.Device]bool
}

// sight is what whoever asks may see.
func (o *Office) sight(ctx context.Context) *sight {
	who := asker(ctx)
	return &sight{
		o: o, read: newReadings(o.store), scopes: who.Scopes, all: access.Covers(who.Scopes, access.Everywhere),
		devices: make(map[dot.Device]bool),
	}
}

func (s *sight) covers(scopes []string) bool {
	return s.all || slices.ContainsFunc(scopes, func(x string) bool { return x == feed.Everybody || access.Covers(s.scopes, x) })
}

// device reports whether a device is seen.
func (s *sight) device(ctx context.Context, d dot.Device) (bool, error) {
	if s.all {
		return true, nil
	}
	if seen, known := s.devices[d]; known {
		return seen, nil
	}
	row, err := s.o.store.Device(ctx, d)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	s.devices[d] = err == nil && s.covers(row.Scopes)
	return s.devices[d], nil
}

// wholly reports whether all that a device carries is seen: each of its scopes is
// covered. One without any is seen by those alone who see everything.
func (s *sight) wholly(d store.Device) bool {
	return s.all || len(d.Scopes) > 0 && !slices.ContainsFunc(d.Scopes, func(x string) bool { return !s.covers([]string{x}) })
}

// entity reports whether an entity is seen; known that the hub has it.
func (s *sight) entity(ctx context.Context, ref entry.Ref) (seen, known bool, err error) {
	if s.all {
		return true, true, nil
	}
	row, err := s.read.entity(ctx, ref)
	if err != nil || row == nil {
		return false, false, err
	}
	return s.covers(row.Scopes), true, nil
}

// ahead reads at once what it takes to see entities and to name them.
func (s *sight) ahead(ctx context.Context, say *naming, refs []entry.Ref) error {
	if !s.all {
		if err := s.read.ahead(ctx, refs); err != nil {
			return err
		}
	}
	return say.ahead(ctx, refs)
}

// entry reports whether an entry of a device about an entity is seen.
func (s *sight) entry(ctx context.Context, d dot.Device, ref entry.Ref) (bool, error) {
	if s.all {
		return true, nil
	}
	if ref.ID != "" {
		if seen, known, err := s.entity(ctx, ref); err != nil || known {
			return seen, err
		}
	}
	return s.device(ctx, d)
}

// aheadOf is how many entries of a list are looked at together.
const aheadOf = 64

// entries keeps of a list of entries what is seen. An error comes last.
func (s *sight) entries(ctx context.Context, list iter.Seq2[store.ListedEntry, error]) iter.Seq2[store.ListedEntry, error] {
	if s.all {
		return list
	}
	return func(yield func(store.ListedEntry, error) bool) {
		some := make([]store.ListedEntry, 0, aheadOf)
		flush := func() (more bool) {
			refs := make([]entry.Ref, 0, len(some))
			for _, e := range some {
				refs = append(refs, entry.Ref{Type: e.EntityType, ID: e.Entity})
			}
			if err := s.read.ahead(ctx, refs); err != nil {
				yield(store.ListedEntry{}, err)
				return false
			}
			for i, e := range some {
				seen, err := s.entry(ctx, e.Dot.Device, refs[i])
				if (seen || err != nil) && !yield(e, err) || err != nil {
					return false
				}
			}
			some = some[:0]
			return true
		}
		for e, err := range list {
			if err != nil {
				yield(store.ListedEntry{}, err)
				return
			}
			if some = append(some, e); len(some) == aheadOf && !flush() {
				return
			}
		}
		flush()
	}
}

// dot reports whether the entry under a dot is seen.
func (s *sight) dot(ctx context.Context, d dot.Dot) (bool, error) {
	if s.all {
		return true, nil
	}
	e, err := s.read.entry(ctx, d)
	if err != nil || e == nil {
		return false, err
	}
	return s.entry(ctx, d.Device, entry.Ref{Type: e.EntityType, ID: e.Entity})
}

// wider asks for all entries where not all of them are seen: a limit is then
// counted in those that are.
func (s *sight) wider(q store.EntryQuery) store.EntryQuery {
	if !s.all {
		q.Limit = 0
	}
	return q
}

// sees keeps of a list what is seen.
func sees[T any](list []T, seen func(T) (bool, error)) ([]T, error) {
	out := make([]T, 0, len(list))
	for _, x := range list {
		ok, err := seen(x)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, x)
		}
	}
	return out, nil
}
