package merge

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/vv"
)

// Shown is one register as people see it.
type Shown struct {
	Name string
	Rule Rule
	// Members are the fields of an atomic group; Value is then a map by them.
	Members []string
	// Value is what is shown: nil, bool, int64, float64, string, []any or
	// map[string]any. A set is a sorted []any of text.
	Value any
	// Known says that there is a value to show. A conflict whose sides replaced
	// nothing in common has none.
	Known bool
	// Conflict says that the sides do not agree; Value is then what they replaced.
	Conflict bool
	// Values are the surviving values, sorted by dot. Of a set or a count: none.
	Values []Value
	// Dots names all that survives in the register: what a decision must have had in view.
	Dots []dot.Dot
}

// View is an entity as people see it.
type View struct {
	Ref entry.Ref
	// Deleted: somebody deleted it and nobody edited it without knowing that.
	Deleted bool
	// DeletionConflict: it was deleted and edited by people who did not know of
	// each other. It is shown as not deleted until a person decides.
	DeletionConflict bool
	// Fields are the type's registers in its order, then unknown ones by name.
	Fields []Shown
}

// Field finds what is shown of a field; of a group's member, the member's value.
func (v View) Field(name string) (any, bool) {
	for _, f := range v.Fields {
		if f.Name == name && f.Members == nil {
			return f.Value, f.Known
		}
		if slices.Contains(f.Members, name) {
			m, _ := f.Value.(map[string]any)
			x, ok := m[name]
			return x, ok
		}
	}
	return nil, false
}

// Conflicts lists the registers that are in conflict, [Deleted] among them.
func (v View) Conflicts() []string {
	var out []string
	if v.DeletionConflict {
		out = append(out, Deleted)
	}
	for _, f := range v.Fields {
		if f.Conflict {
			out = append(out, f.Name)
		}
	}
	return out
}

// View shows the entity by the rules of its type. nil: an unknown type, whose
// every field is shown by the rule [Ask].
func (s *State) View(t *Type) View {
	v := View{Ref: s.Ref}
	done := map[string]bool{Deleted: true}
	if t != nil {
		for _, r := range t.registers {
			done[r.name] = true
			v.Fields = append(v.Fields, s.show(r))
		}
	}
	for _, name := range s.Registers() {
		if head, _, element := strings.Cut(name, "/"); element {
			name = head
		}
		if name == "" || done[name] {
			continue
		}
		done[name] = true
		v.Fields = append(v.Fields, s.show(register{name: name, rule: s.guess(name)}))
	}
	v.Deleted, v.DeletionConflict = s.deletion()
	return v
}

// IsDeleted is [View.Deleted] without the rest of the view.
func (s *State) IsDeleted() bool {
	deleted, _ := s.deletion()
	return deleted
}

// guess is the rule of a register that the type does not know, by what is in it.
func (s *State) guess(name string) Rule {
	if _, ok := s.tallies[name]; ok {
		return Count
	}
	if _, ok := s.values[name]; !ok {
		return Set
	}
	return Ask
}

// Show shows one register of the type.
func (s *State) Show(t *Type, name string) Shown {
	if t != nil {
		if i, ok := t.home[name]; ok {
			return s.show(t.registers[i])
		}
	}
	return s.show(register{name: name, rule: s.guess(name)})
}

func (s *State) show(r register) Shown {
	out := Shown{Name: r.name, Rule: r.rule, Members: r.members}
	switch r.rule {
	case Count:
		t, ok := s.tallies[r.name]
		out.Value, out.Known, out.Dots = t.Sum, ok, t.Moves.Dots()
		return out
	case Set:
		out.Value, out.Dots, out.Known = s.elements(r.name)
		return out
	case Latest, Greatest, Least, Ask:
	}
	out.Values = s.values[r.name]
	for _, v := range out.Values {
		out.Dots = append(out.Dots, v.Dots...)
	}
	slices.SortFunc(out.Dots, dot.Dot.Compare)
	if len(out.Values) == 0 {
		return out
	}
	chosen := out.Values[0]
	for _, v := range out.Values[1:] {
		if better(r.rule, v, chosen) {
			chosen = v
		}
	}
	if r.rule == Ask && !agree(out.Values) {
		out.Conflict = true
		if p := provisional(out.Values); p != nil {
			out.Value, out.Known = p.Get(), true
		}
		return out
	}
	out.Value, out.Known = chosen.Get(), true
	return out
}

func better(r Rule, a, b Value) bool {
	order := 0
	if r == Greatest || r == Least {
		order = compare(a.Get(), b.Get())
	}
	if r == Least {
		order = -order
	}
	return cmp.Or(order, later(a, b)) > 0
}

func agree(vs []Value) bool {
	return !slices.ContainsFunc(vs[1:], func(v Value) bool { return !v.Agree(vs[0]) })
}

// provisional finds what stays while the sides of a conflict stand: the value
// that was displayed where one of them was written and that all had seen. A
// value that stands beside a conflict replaced nothing and has no say.
func provisional(vs []Value) *Prior {
	var best, oldest *Prior
	for _, v := range vs {
		p := v.Prior
		if p == nil || v.Add {
			continue
		}
		if oldest == nil || p.Dot.Compare(oldest.Dot) < 0 {
			oldest = p
		}
		all := !slices.ContainsFunc(vs, func(x Value) bool { return !x.Add && !x.Context.Covers(p.Dot) })
		if all && (best == nil || p.Dot.Compare(best.Dot) > 0) {
			best = p
		}
	}
	if best == nil {
		return oldest
	}
	return best
}

// elements are the elements of a set that are in it.
func (s *State) elements(name string) (value []any, dots []dot.Dot, known bool) {
	value = []any{}
	for r, vs := range s.values {
		if len(r) <= len(name) || r[len(name)] != '/' || r[:len(name)] != name {
			continue
		}
		known = true
		in := false
		for _, v := range vs {
			in = in || bytes.Equal(v.Raw, rawTrue)
			dots = append(dots, v.Dots...)
		}
		if in {
			value = append(value, r[len(name)+1:])
		}
	}
	slices.SortFunc(value, func(a, b any) int { return cmp.Compare(a.(string), b.(string)) })
	slices.SortFunc(dots, dot.Dot.Compare)
	return value, slices.Compact(dots), known
}

var rawTrue = []byte{0xf5}

// deletion says whether the entity is deleted, and whether that is in dispute.
func (s *State) deletion() (deleted, conflict bool) {
	d := s.show(register{name: Deleted, rule: Ask})
	if d.Conflict {
		return false, true
	}
	if d.Value != true {
		return false, false
	}
	for _, by := range d.Values {
		for name, vs := range s.values {
			if name != Deleted && slices.ContainsFunc(vs, func(v Value) bool { return apart(by, v) }) {
				return false, true
			}
		}
		for _, t := range s.tallies {
			if !by.Context.CoversAll(t.Moves) {
				return false, true
			}
		}
	}
	return true, false
}

// apart reports whether neither writer had seen the other's value, and they are
// not of the same entry.
func apart(a, b Value) bool {
	return !share(a.Dots, b.Dots) && !named(a.Context, b.Dots) && !named(b.Context, a.Dots)
}

// Beside lists the entries whose surviving values stand in other registers than
// those that c writes, and that neither had c in view nor were in view of c:
// edits of different fields, made without knowing of each other. Movements and
// deletions are not among them.
func (s *State) Beside(c Change) []dot.Dot {
	var out []dot.Dot
	own := make(map[string]bool, len(c.Writes))
	var seen vv.Vector
	for _, w := range c.Writes {
		own[w.Register] = true
		if w.Op != entry.Move && w.Register != Deleted {
			seen = vv.Join(seen, w.Context)
		}
	}
	if seen == nil {
		return nil // it edits nothing
	}
	mine := append([]dot.Dot{c.Dot}, c.Also...)
	for name, vs := range s.values {
		if own[name] || name == Deleted {
			continue
		}
		for _, v := range vs {
			if !share(mine, v.Dots) && !named(seen, v.Dots) && !named(v.Context, mine) && !v.Add {
				out = append(out, v.Dots[0])
			}
		}
	}
	slices.SortFunc(out, dot.Dot.Compare)
	return slices.Compact(out)
}

// compare orders values of unlike kinds by kind: nothing, then yes or no, then
// numbers, then text, then the rest, which are equal.
func compare(a, b any) int {
	if k := cmp.Compare(kindOf(a), kindOf(b)); k != 0 {
		return k
	}
	switch x := a.(type) {
	case bool:
		y, _ := b.(bool)
		return cmp.Compare(asInt(x), asInt(y))
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(float64(x), number(b))
	case float64:
		return cmp.Compare(x, number(b))
	case string:
		y, _ := b.(string)
		return strings.Compare(x, y)
	}
	return 0
}

func kindOf(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case int64, float64:
		return 2
	case string:
		return 3
	default:
		return 4
	}
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func number(v any) float64 {
	switch x := v.(type) {
	case int64:
		return float64(x)
	case float64:
		return x
	}
	return 0
}

// Deletion shows the register [Deleted] as one in conflict: its own values and
// those of other registers that stand against them.
func (s *State) Deletion() Shown {
	d := s.show(register{name: Deleted, rule: Ask})
	d.Value, d.Known, d.Conflict = false, true, true
	own := d.Values
	for _, name := range s.Registers() {
		for _, v := range s.values[name] {
			against := slices.ContainsFunc(own, func(by Value) bool { return apart(by, v) })
			if name != Deleted && against && !slices.ContainsFunc(d.Values, func(x Value) bool { return share(x.Dots, v.Dots) }) {
				d.Values = append(slices.Clip(d.Values), v)
				d.Dots = append(d.Dots, v.Dots...)
			}
		}
	}
	slices.SortFunc(d.Dots, dot.Dot.Compare)
	slices.SortFunc(d.Values, byDot)
	return d
}
