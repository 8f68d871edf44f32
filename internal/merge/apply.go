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

// write takes in one value. A write takes away what its context names, whether it
// stands itself or not: a write that comes after the one that replaced it still says
// what it had replaced. What is so known of writes that do not stand, and by no value
// that does, is kept in beyond. So it does not matter in which order they come.
func (s *State) write(register string, v Value, c Change) {
	old, told := slices.Clone(s.values[register]), v.Dots
	var gone []vv.Vector // contexts of what does not stand
	i := slices.IndexFunc(old, func(x Value) bool { return share(x.Dots, v.Dots) })
	if i >= 0 { // judged anew: others may have seen the fact by this dot
		gone = append(gone, old[i].Context, v.Context)
		v = same(old[i], v)
		old = slices.Delete(old, i, i+1)
	}
	// A linked one whose other form does not stand was superseded long ago. Of one whose other form
	// stands somebody may have named the new name alone.
	over := i < 0 && c.Linked || !c.Late && named(s.beyond[register], told)
	kept := make([]Value, 0, len(old)+1)
	for _, x := range old {
		over = over || named(x.Context, v.Dots) && (!c.Late || after(x.Dots, c.Dot))
		if named(v.Context, x.Dots) {
			gone = append(gone, x.Context)
		} else {
			kept = append(kept, x)
		}
	}
	if over {
		gone = append(gone, v.Context)
	} else {
		kept = append(kept, v)
	}
	s.put(register, kept)
	s.know(register, gone)
}

// know keeps of the contexts of what does not stand what no standing value's names.
func (s *State) know(register string, gone []vv.Vector) {
	var rest vv.Vector
	for _, v := range append(gone, s.beyond[register]) {
		for c, seq := range v {
			stands := slices.ContainsFunc(s.values[register], func(x Value) bool { return x.Context[c] >= seq })
			if !stands && rest[c] < seq {
				if rest == nil {
					rest = make(vv.Vector, 1)
				}
				rest[c] = seq
			}
		}
	}
	switch {
	case rest == nil:
		delete(s.beyond, register)
	default:
		if s.beyond == nil {
			s.beyond = make(map[string]vv.Vector, 1)
		}
		s.beyond[register] = rest
	}
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
	if len(vs) == 0 { // two writes that name each other, which no honest device makes
		delete(s.values, register)
		return
	}
	slices.SortFunc(vs, byDot)
	s.values[register] = vs
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
