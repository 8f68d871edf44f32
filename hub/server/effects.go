package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"time"

	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/merge"
)

// effects says what derived values become with each side: of the entity itself,
// and of those that it names. Only what differs between the sides is said.
func (t table) effects(ctx context.Context, row store.Item, it *console.Item, lang string) error {
	n, ok := t.domain.(reconcile.Noticing)
	if !ok || n.Rules() == nil || row.Field == merge.Deleted {
		return nil
	}
	var e reconcile.Dispute
	if err := json.Unmarshal(row.Evidence, &e); err != nil {
		return fmt.Errorf("evidence of item %d: %w", row.ID, err)
	}
	read := &reading{ctx: ctx, t: t, lists: make(map[string]map[string]map[string]any)}
	say := t.o.naming(lang)
	today := t.o.now().In(t.o.zone).Format(time.DateOnly)
	about := []entry.Ref{row.Entity}
	own, _ := read.Entity(row.Entity.Type, row.Entity.ID)
	for _, field := range slices.Sorted(maps.Keys(own)) {
		if typ := t.domain.Names(row.Entity.Type, field); typ != "" {
			if id, ok := own[field].(string); ok && id != "" {
				about = append(about, entry.Ref{Type: typ, ID: id})
			}
		}
	}
	for _, ref := range about {
		derive := func() map[string]any {
			out, _ := n.Rules().Derive(read, today, ref.Type, ref.ID) // what cannot be worked out is nil
			maps.DeleteFunc(out, func(_ string, v any) bool {         // nor what is divided by nothing
				x, ok := v.(float64)
				return ok && x-x != 0
			})
			return out
		}
		var now map[string]any // with what stands for the time being
		if read.base, read.fields = (entry.Ref{}), nil; e.BaseKnown {
			now = derive()
		}
		values := make([]map[string]any, len(e.Sides))
		for i, s := range e.Sides {
			read.put(row.Entity, row.Field, s.Value)
			values[i] = derive()
		}
		if read.err != nil {
			return read.err
		}
		for _, field := range n.Rules().Derived(ref.Type) {
			same := !slices.ContainsFunc(values, func(v map[string]any) bool { return !reflect.DeepEqual(v[field], values[0][field]) })
			for i := range values {
				if !same && values[i][field] != nil && i < len(it.Sides) {
					v := values[i][field]
					it.Sides[i].Effects = append(it.Sides[i].Effects, console.Effect{
						About: say.about(ctx, ref), Field: say.field(ref.Type, field), Value: say.derived(ref.Type, field, v), Change: say.change(ref.Type, field, now[field], v),
					})
				}
			}
		}
	}
	return nil
}

// reading lets rules read the hub's entities with one field as if it had a value.
type reading struct {
	ctx    context.Context //nolint:containedctx // rules take none; it lives for one page
	t      table
	lists  map[string]map[string]map[string]any // type, id, fields
	base   entry.Ref
	fields map[string]any
	err    error
}

// put gives a register of an entity a value.
func (r *reading) put(ref entry.Ref, register string, v any) {
	r.base, r.fields = ref, map[string]any{register: v}
	if members, ok := v.(map[string]any); ok {
		r.fields = members
	}
}

// Entity implements rules.Reader.
func (r *reading) Entity(typ, id string) (map[string]any, bool) {
	row, err := r.t.o.store.Entity(r.ctx, entry.Ref{Type: typ, ID: id})
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			r.err = err
		}
		return nil, false
	}
	f, err := r.shown(row)
	if err != nil {
		r.err = err
		return nil, false
	}
	return r.over(row.Ref, f), true
}

func (r *reading) shown(row store.Entity) (map[string]any, error) {
	s, err := merge.Decode(row.State)
	if err != nil {
		return nil, fmt.Errorf("entity %s: %w: %w", row.Ref, store.ErrDamaged, err)
	}
	return reconcile.Shown(s, r.t.domain.Type(row.Ref.Type)), nil
}

func (r *reading) over(ref entry.Ref, f map[string]any) map[string]any {
	if ref != r.base {
		return f
	}
	f = maps.Clone(f)
	maps.Copy(f, r.fields)
	return f
}

// All implements rules.Reader.
func (r *reading) All(typ string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		list := r.lists[typ]
		if list == nil {
			list = make(map[string]map[string]any)
			for row, err := range r.t.o.store.EntitiesOf(r.ctx, typ) {
				var f map[string]any
				if err == nil {
					f, err = r.shown(row)
				}
				if err != nil {
					r.err = err
					return
				}
				list[row.Ref.ID] = f
			}
			r.lists[typ] = list
		}
		for _, id := range slices.Sorted(maps.Keys(list)) {
			if !yield(id, r.over(entry.Ref{Type: typ, ID: id}, list[id])) {
				return
			}
		}
	}
}

// Where implements rules.Reader.
func (r *reading) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for id, f := range r.All(typ) {
			if alike(f[field], value) && !yield(id, f) {
				return
			}
		}
	}
}

func alike(a, b any) bool {
	if n, ok := a.(int64); ok {
		a = float64(n)
	}
	if n, ok := b.(int64); ok {
		b = float64(n)
	}
	return reflect.DeepEqual(a, b)
}
