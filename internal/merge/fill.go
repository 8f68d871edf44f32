package merge

import (
	"fmt"
	"maps"
	"slices"

	"otor/internal/entry"
	"otor/internal/form"
)

// Desk is what a record is filled in at: the rules of the types, and the
// entities as they were displayed.
type Desk struct {
	// Type gives the rules of an entity type; nil for one that no pack knows.
	Type func(name string) *Type
	// Displayed gives an entity as the person had it in view, what the device has not
	// sent yet among it. It must not be changed afterwards.
	Displayed func(ref entry.Ref) (*State, error)
	// Settles says that the record decides a conflict of that field.
	Settles func(ref entry.Ref, field string) bool
}

// Fill adds to an entry that is being made what its record writes into entities
// (law L13): the values that are not displayed already, and those that a form of
// corrections confirms, with what the person had in view. The entry then names those entities.
func (d Desk) Fill(pub *entry.Public, priv *entry.Private, saved []form.Saved) error {
	var refs []entry.Ref
	by := make(map[entry.Ref][]form.Saved)
	for _, s := range saved {
		ref := entry.Ref{Type: s.Type, ID: s.ID}
		if by[ref] == nil {
			refs = append(refs, ref)
		}
		by[ref] = append(by[ref], s)
	}
	for _, ref := range refs {
		s, err := d.Displayed(ref)
		if err != nil {
			return fmt.Errorf("entity %s: %w", ref, err)
		}
		writes, err := d.writes(s, by[ref])
		if err != nil {
			return fmt.Errorf("entity %s: %w", ref, err)
		}
		if len(writes) == 0 {
			continue
		}
		at := slices.Index(pub.Refs, ref)
		if at < 0 {
			at = len(pub.Refs)
			pub.Refs = append(pub.Refs, ref)
		}
		Put(pub, priv, at, writes)
	}
	return nil
}

// writes are those of one entity.
func (d Desk) writes(s *State, saved []form.Saved) (out []Write, err error) {
	t := d.Type(s.Ref.Type)
	values, order := make(map[string]any), []string(nil)
	confirmed := make(map[string]bool) // an answer of a form of corrections is one, though nothing changes
	for _, x := range saved {
		name, rule, _ := t.Register(x.Property)
		had, again := values[name]
		if !again {
			order = append(order, name)
			had = s.started(t, name, rule)
		}
		confirmed[name] = confirmed[name] || x.Edit
		if values[name], err = joined(name, rule, had, again, x); err != nil {
			return nil, err
		}
	}
	for _, name := range order {
		settles := d.Settles != nil && d.Settles(s.Ref, name)
		answer := s.Answer
		if confirmed[name] {
			answer = s.Confirm
		}
		ws, err := answer(t, name, values[name], settles)
		if err != nil {
			return nil, err
		}
		out = append(out, ws...)
	}
	return out, nil
}

// started is what a register's new value starts from, where it is not simply replaced.
func (s *State) started(t *Type, name string, rule Rule) any {
	shown := s.Show(t, name)
	switch {
	case rule == Count:
		return int64(0)
	case shown.Members != nil:
		m, _ := shown.Value.(map[string]any)
		out := maps.Clone(m)
		if out == nil {
			out = make(map[string]any, len(shown.Members))
		}
		return out
	case rule == Set:
		return shown.Value
	}
	return nil
}

// joined puts one saved value into the new value of its register.
func joined(name string, rule Rule, had any, again bool, x form.Saved) (any, error) {
	switch {
	case rule == Count:
		n, ok := x.Value.(int64)
		if f, isFloat := x.Value.(float64); isFloat && f == float64(int64(f)) {
			n, ok = int64(f), true
		}
		if !ok {
			return nil, fmt.Errorf("%s: expected a whole number, got %v", x.Property, x.Value)
		}
		sum, _ := had.(int64)
		return sum + n, nil
	case rule == Set:
		list, whole := x.Value.([]any)
		elements, _ := had.([]any)
		if whole && !again {
			return list, nil
		}
		if !whole {
			list = []any{x.Value}
		}
		return append(slices.Clone(elements), list...), nil
	case name != x.Property: // a member of a group
		m, _ := had.(map[string]any)
		m[x.Property] = x.Value
		return m, nil
	}
	return x.Value, nil
}
