package merge

import (
	"fmt"
	"slices"
	"strings"

	"otor/internal/entry"
	"otor/internal/vv"
)

// Context is what a person has seen of a register who has the state in view
// (law L13): what was disposed of here, and what the writers of the displayed
// values had seen.
func (s *State) Context(register string) vv.Vector {
	seen := []vv.Vector{s.Seen}
	for _, v := range s.values[register] {
		seen = append(seen, v.Context)
	}
	return vv.Join(seen...)
}

// Answer makes the writes of a person who had the state in view and gives field
// a new value: of the field's register, or of elements of its set. A group's
// value is a map by its members and has all of them. settles says that the
// answer decides a conflict of that register; otherwise a register that was
// displayed in conflict gets the value beside the others. A value that is
// displayed already makes no write, unless it settles.
func (s *State) Answer(t *Type, field string, value any, settles bool) ([]Write, error) {
	return s.answer(t, field, value, settles, false)
}

// Confirm is [State.Answer] of a person who says that a value is so: one that is
// displayed already is written again, and others learn who confirmed it.
func (s *State) Confirm(t *Type, field string, value any, settles bool) ([]Write, error) {
	return s.answer(t, field, value, settles, true)
}

func (s *State) answer(t *Type, field string, value any, settles, confirms bool) ([]Write, error) {
	name, rule, _ := t.Register(field)
	if field == Deleted {
		name, rule = Deleted, Ask
	}
	switch rule {
	case Count:
		n, ok := value.(int64)
		if !ok || n > MaxMove || n < -MaxMove {
			return nil, fmt.Errorf("%s: expected a movement as a whole number within %d, got %v", field, int64(MaxMove), value)
		}
		if n == 0 {
			return nil, nil
		}
		return []Write{{Register: name, Op: entry.Move, Move: n}}, nil
	case Set:
		return s.answerSet(name, value)
	case Latest, Greatest, Least, Ask:
	}
	raw, err := encMode.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	shown := s.Show(t, name)
	if name == Deleted {
		shown = s.show(register{name: Deleted, rule: Ask})
	}
	_, dispute := s.deletion()
	disputed := shown.Conflict || dispute
	if !confirms && !disputed && shown.Known && slices.ContainsFunc(shown.Values, func(v Value) bool { return string(v.Raw) == string(raw) }) &&
		compareRaw(shown.Value, raw) {
		return nil, nil
	}
	w := Write{Register: name, Raw: raw, Context: s.Context(name)}
	if disputed && !settles {
		w.Op = entry.Add
	}
	if rule == Ask {
		w.Prior = s.prior(shown)
	}
	return []Write{w}, nil
}

// MaxMove bounds one movement, so that no number of them runs over.
const MaxMove = 1 << 40

// compareRaw reports whether v is the value of which raw are the bytes.
func compareRaw(v any, raw []byte) bool {
	b, err := encMode.Marshal(v)
	return err == nil && string(b) == string(raw)
}

// prior is what is displayed, for the case that the answer becomes a side of a conflict.
func (s *State) prior(shown Shown) *Prior {
	switch {
	case len(shown.Values) == 0:
		return nil
	case shown.Conflict:
		return provisional(shown.Values)
	}
	last := slices.MaxFunc(shown.Values, later)
	return &Prior{Dot: last.Dots[0], Raw: last.Raw}
}

// answerSet writes the elements that changed. value is a list of text: the
// whole set as it shall be.
func (s *State) answerSet(name string, value any) ([]Write, error) {
	want, ok := value.([]any)
	if !ok && value != nil {
		return nil, fmt.Errorf("%s: expected a list, got %v", name, value)
	}
	have, _, _ := s.elements(name)
	var out []Write
	put := func(x any, in bool) error {
		e, ok := x.(string)
		if !ok || e == "" || len(e) > MaxElement {
			return fmt.Errorf("%s: an element is a text of 1 to %d bytes, got %v", name, MaxElement, x)
		}
		register := name + "/" + e
		raw := rawTrue
		if !in {
			raw = rawFalse
		}
		out = append(out, Write{Register: register, Raw: raw, Context: s.Context(register)})
		return nil
	}
	for _, x := range want {
		if !slices.Contains(have, x) {
			if err := put(x, true); err != nil {
				return nil, err
			}
		}
	}
	for _, x := range have {
		if !slices.Contains(want, x) {
			if err := put(x, false); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(out, func(a, b Write) int { return strings.Compare(a.Register, b.Register) })
	return slices.CompactFunc(out, func(a, b Write) bool { return a.Register == b.Register }), nil
}

var rawFalse = []byte{0xf4}

// MaxRegister is the most bytes that a register's name may have.
const MaxRegister = 64 + 1 + MaxElement

// checkRegister refuses names that no pack can give.
func checkRegister(name string) error {
	if name == "" || len(name) > MaxRegister || (strings.HasPrefix(name, "/") && name != Deleted) {
		return fmt.Errorf("%q is no field's name", name[:min(len(name), 48)])
	}
	return nil
}
