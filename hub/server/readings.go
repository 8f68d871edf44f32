package server

import (
	"context"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
)

// readings are the entities and entries that were read for one question: none is read
// twice, and many are read at once where it is known which. They are used by one goroutine.
type readings struct {
	store    store.Store
	entities map[entry.Ref]*entityRead // nil: there is none
	entries  map[dot.Dot]*store.Entry  // nil: there is none
}

// entityRead is an entity with its state, once that is asked for.
type entityRead struct {
	store.Entity
	state *merge.State
}

func newReadings(s store.Store) *readings {
	return &readings{store: s, entities: make(map[entry.Ref]*entityRead), entries: make(map[dot.Dot]*store.Entry)}
}

// decoded is the entity's state.
func (e *entityRead) decoded() (_ *merge.State, err error) {
	if e.state == nil {
		if e.state, err = merge.Decode(e.State); err != nil {
			return nil, fmt.Errorf("entity %s: %w: %w", e.Ref, store.ErrDamaged, err)
		}
	}
	return e.state, nil
}

// mostKept bounds the entities, and the entries, that are kept.
const mostKept = 4096

// ahead reads entities.
func (r *readings) ahead(ctx context.Context, refs []entry.Ref) error {
	if len(r.entities) > mostKept {
		clear(r.entities)
	}
	var ask []entry.Ref
	for _, ref := range refs {
		if _, known := r.entities[ref]; !known && ref.ID != "" {
			r.entities[ref] = nil
			ask = append(ask, ref)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := r.store.EntitiesNamed(ctx, ask)
	if err != nil {
		for _, ref := range ask {
			delete(r.entities, ref)
		}
		return err
	}
	for ref, e := range found {
		r.entities[ref] = &entityRead{Entity: e}
	}
	return nil
}

// entity gives one; nil when there is none.
func (r *readings) entity(ctx context.Context, ref entry.Ref) (*entityRead, error) {
	if err := r.ahead(ctx, []entry.Ref{ref}); err != nil {
		return nil, err
	}
	return r.entities[ref], nil
}

// entriesAhead reads entries.
func (r *readings) entriesAhead(ctx context.Context, ds []dot.Dot) error {
	if len(r.entries) > mostKept {
		clear(r.entries)
	}
	var ask []dot.Dot
	for _, d := range ds {
		if _, known := r.entries[d]; !known {
			r.entries[d] = nil
			ask = append(ask, d)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := r.store.EntriesNamed(ctx, ask)
	if err != nil {
		for _, d := range ask {
			delete(r.entries, d)
		}
		return err
	}
	for d, e := range found {
		r.entries[d] = &e
	}
	return nil
}

// entry gives one; nil when there is none.
func (r *readings) entry(ctx context.Context, d dot.Dot) (*store.Entry, error) {
	if err := r.entriesAhead(ctx, []dot.Dot{d}); err != nil {
		return nil, err
	}
	return r.entries[d], nil
}

// about are the entities that entries are about, as far as these were read.
func (r *readings) about(ds []dot.Dot) (out []entry.Ref) {
	for _, d := range ds {
		if e := r.entries[d]; e != nil && e.Entity != "" {
			out = append(out, entry.Ref{Type: e.EntityType, ID: e.Entity})
		}
	}
	return out
}
