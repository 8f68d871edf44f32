package reconcile

import (
	"iter"
	"reflect"
	"slices"

	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/merge"
)

// reader lets rules read entities as they are in the transaction.
type reader struct {
	o   *Round
	err error // the database's trouble, which rules cannot tell
	// asked are the entities that rules asked for by name.
	asked map[entry.Ref]bool
}

// Entity implements rules.Reader.
func (r *reader) Entity(typ, id string) (map[string]any, bool) {
	if r.err != nil || typ == "" || id == "" {
		return nil, false
	}
	ref := entry.Ref{Type: typ, ID: id}
	if r.asked != nil {
		r.asked[ref] = true
	}
	if r.err = r.o.need(ref); r.err != nil {
		return nil, false
	}
	h := r.o.entities[ref]
	if h.unread {
		return nil, false
	}
	if h.fields == nil {
		h.fields = Shown(h.state, r.o.r.cfg.Domain.Type(typ))
	}
	return h.fields, h.row.Rev > 0 || h.dirty
}

// All implements rules.Reader.
func (r *reader) All(typ string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for _, ref := range r.refs(typ) {
			f, known := r.Entity(typ, ref.ID)
			if known && !yield(ref.ID, f) {
				return
			}
		}
	}
}

// Where implements rules.Reader.
func (r *reader) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for id, f := range r.All(typ) {
			if same(f[field], value) && !yield(id, f) {
				return
			}
		}
	}
}

func same(a, b any) bool {
	if n, ok := a.(int64); ok {
		a = float64(n)
	}
	return reflect.DeepEqual(a, b)
}

// refs lists the entities of a type, those that this transaction made among them.
func (r *reader) refs(typ string) []entry.Ref {
	if list, ok := r.o.listed[typ]; ok {
		return list
	}
	if r.err != nil {
		return nil
	}
	var rows []store.Entity
	if rows, r.err = r.o.tx.OfType(typ); r.err != nil {
		return nil
	}
	var out []entry.Ref
	for _, row := range rows {
		out = append(out, row.Ref)
	}
	if r.err = r.o.need(out...); r.err != nil {
		return nil
	}
	for ref, h := range r.o.entities {
		if ref.Type == typ && h.dirty && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, compareRefs)
	r.o.listed[typ] = out
	return out
}

// Shown are the fields of an entity as people see it: groups by their members,
// without those that have no value.
func Shown(s *merge.State, t *merge.Type) map[string]any {
	out := make(map[string]any)
	for _, f := range s.View(t).Fields {
		if f.Members == nil {
			if f.Known {
				out[f.Name] = f.Value
			}
			continue
		}
		m, _ := f.Value.(map[string]any)
		for name, v := range m {
			if v != nil {
				out[name] = v
			}
		}
	}
	return out
}
