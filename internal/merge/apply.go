package merge

import (
	"bytes"
	"cmp"
	"slices"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/vv"
)

// Change is what one entry does to one entity.
type Change struct {
	Dot dot.Dot
	// Also are other dots of the same fact: a re-homed entry's first form.
	Also []dot.Dot
	// Linked says that the fact had its effect already, under another dot: a value
	// that still stands goes by this one as well, and nothing is written.
	Linked bool
	// Late says that the entry takes its effect after later ones of its chain did, so
	// that seen covered its dot while nobody had its writes in view: contexts that name
	// it do not supersede it, but for those of its own author's later writes.
	Late   bool
	HLC    hlc.Time
	Writes []Write // at most one for each register
}

// Write is a new value for one register.
type Write struct {
	Register string
	Op       entry.Op
	Raw      []byte // the value as deterministic CBOR; for [entry.Move] see Move
	Move     int64  // the amount of a movement
	Context  vv.Vector
	Prior    *Prior
}

// Apply takes in what an entry does (law L10). An entry that is a copy must not
// be applied again: the ledger decides that by (dot, hash), never a vector.
// Applying a change without movements twice changes nothing.
func (s *State) Apply(c Change) {
	dots := append([]dot.Dot{c.Dot}, c.Also...)
	slices.SortFunc(dots, dot.Dot.Compare)
	dots = slices.Compact(dots)
	for _, w := range c.Writes {
		if w.Op == entry.Move {
			s.move(w, c)
			continue
		}
		v := Value{Dots: dots, HLC: c.HLC, Add: w.Op == entry.Add, Raw: w.Raw, Prior: w.Prior}
		if !v.Add {
			v.Context = w.Context
		}
		s.write(w.Register, v, c)
	}
	s.see(c.Dot)
}

// Dispose notes an entry that touches the entity and changes nothing of it: it
// was quarantined, refused, or its place was sealed.
func (s *State) Dispose(d dot.Dot) { s.see(d) }

func (s *State) write(register string, v Value, c Change) {
	old := slices.Clone(s.values[register])
	i := slices.IndexFunc(old, func(x Value) bool { return share(x.Dots, v.Dots) })
	switch {
	case i >= 0: // judged anew: others may have seen the fact by this dot
		v = same(old[i], v)
		old = slices.Delete(old, i, i+1)
	case c.Linked:
		return // superseded long ago
	}
	for _, x := range old {
		if named(x.Context, v.Dots) && (!c.Late || after(x.Dots, c.Dot)) {
			s.put(register, old) // superseded
			return
		}
	}
	kept := make([]Value, 0, len(old)+1)
	for _, x := range old {
		if !named(v.Context, x.Dots) {
			kept = append(kept, x)
		}
	}
	s.put(register, append(kept, v))
}

// after reports whether one of the dots is a later one of d's chain.
func after(dots []dot.Dot, d dot.Dot) bool {
	return slices.ContainsFunc(dots, func(x dot.Dot) bool { return x.Chain == d.Chain && x.Seq > d.Seq })
}

// same makes one value of two forms of the same fact: it goes by the dots of
// both. What else they say differs in the names of the device's own entries at
// most; the greater one is taken, so that it does not matter which came first.
func same(a, b Value) Value {
	if compareForms(a, b) < 0 {
		a, b = b, a
	}
	a.Dots = slices.Concat(a.Dots, b.Dots)
	slices.SortFunc(a.Dots, dot.Dot.Compare)
	a.Dots = slices.Compact(a.Dots)
	return a
}

func compareForms(a, b Value) int {
	prior := func(v Value) dot.Dot {
		if v.Prior == nil {
			return dot.Dot{}
		}
		return v.Prior.Dot
	}
	return cmp.Or(a.HLC.Compare(b.HLC), slices.CompareFunc(a.Context.Dots(), b.Context.Dots(), dot.Dot.Compare), prior(a).Compare(prior(b)))
}

func (s *State) put(register string, vs []Value) {
	if s.values == nil {
		s.values = make(map[string][]Value)
	}
	slices.SortFunc(vs, byDot)
	s.values[register] = vs // never empty: whatever removed a value stands there itself
}

func (s *State) move(w Write, c Change) {
	if s.tallies == nil {
		s.tallies = make(map[string]Tally)
	}
	t := s.tallies[w.Register]
	if !c.Linked {
		t.Sum += w.Move
	}
	t.Moves = t.Moves.With(c.Dot)
	s.tallies[w.Register] = t
}

// Agree reports whether both are the same value.
func (v Value) Agree(o Value) bool { return bytes.Equal(v.Raw, o.Raw) }
