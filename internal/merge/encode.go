package merge

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"otor/internal/dot"
	"otor/internal/vv"
)

// The bytes of a state are deterministic CBOR (RFC 8949, section 4.2.1):
//
//	{1: version, 2: [type, id], 3?: chains, 4?: seen, 5?: {register: [value, ...]}, 6?: {register: [sum, vector]}, 7?: {register: vector}}
//	value: {1: dots, 2: ms, 3?: counter, 4?: 1 when it stands beside, 5: the value, 6?: context, 7?: [dot, value]}
//
// chains lists every chain that is named, as [device, incarnation, lane], in
// order. A dot is two numbers: its chain's place in that list and its seq.
// dots, seen, context and vector are lists of such pairs, flat. Higher integer
// keys are of a newer version: they are kept as they came.
const formatVersion = 1

// pair is a member of a map that this version does not know.
type pair struct {
	key uint64
	raw []byte
}

// The major types of CBOR.
const (
	majorUint  = 0
	majorNeg   = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorOther = 7
)

// writer appends CBOR.
type writer struct {
	b      []byte
	chains map[dot.Chain]uint64
}

// Encode writes the state. Equal states have equal bytes.
func (s *State) Encode() []byte {
	chains := s.chains()
	w := writer{b: make([]byte, 0, 256+64*len(s.values)), chains: make(map[dot.Chain]uint64, len(chains))}
	for i, c := range chains {
		w.chains[c] = uint64(i)
	}
	n := 2 + len(s.extra)
	for _, some := range []bool{len(chains) > 0, len(s.Seen) > 0, len(s.values) > 0, len(s.tallies) > 0, len(s.beyond) > 0} {
		if some {
			n++
		}
	}
	w.head(majorMap, uint64(n))
	w.uints(1, formatVersion, 2)
	w.head(majorArray, 2)
	w.text(s.Ref.Type)
	w.text(s.Ref.ID)
	if len(chains) > 0 {
		w.uints(3)
		w.head(majorArray, uint64(len(chains)))
		for _, c := range chains {
			w.head(majorArray, 3)
			w.text(string(c.Device))
			w.uints(uint64(c.Incarnation), uint64(c.Lane))
		}
	}
	if len(s.Seen) > 0 {
		w.uints(4)
		w.vector(s.Seen)
	}
	if len(s.values) > 0 {
		w.uints(5)
		w.head(majorMap, uint64(len(s.values)))
		for _, name := range names(s.values) {
			w.text(name)
			w.head(majorArray, uint64(len(s.values[name])))
			for _, v := range s.values[name] {
				w.value(v)
			}
		}
	}
	if len(s.tallies) > 0 {
		w.uints(6)
		w.head(majorMap, uint64(len(s.tallies)))
		for _, name := range names(s.tallies) {
			w.text(name)
			w.head(majorArray, 2)
			w.int(s.tallies[name].Sum)
			w.vector(s.tallies[name].Moves)
		}
	}
	if len(s.beyond) > 0 {
		w.uints(7)
		w.head(majorMap, uint64(len(s.beyond)))
		for _, name := range names(s.beyond) {
			w.text(name)
			w.vector(s.beyond[name])
		}
	}
	w.pairs(s.extra)
	return w.b
}

// names sorts as deterministic CBOR sorts keys: shorter first.
func names[V any](m map[string]V) []string {
	out := slices.Collect(maps.Keys(m))
	slices.SortFunc(out, compareKeys)
	return out
}

func compareKeys(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// chains lists every chain that the state names, in order.
func (s *State) chains() []dot.Chain {
	set := make(map[dot.Chain]bool, 8)
	add := func(v vv.Vector) {
		for c, seq := range v {
			if seq > 0 {
				set[c] = true
			}
		}
	}
	add(s.Seen)
	for _, vs := range s.values {
		for _, v := range vs {
			add(v.Context)
			for _, d := range v.Dots {
				set[d.Chain] = true
			}
			if v.Prior != nil {
				set[v.Prior.Dot.Chain] = true
			}
		}
	}
	for _, t := range s.tallies {
		add(t.Moves)
	}
	for _, v := range s.beyond {
		add(v)
	}
	return slices.SortedFunc(maps.Keys(set), dot.Chain.Compare)
}

func (w *writer) value(v Value) {
	n := 3 + len(v.extra)
	for _, some := range []bool{v.HLC.Counter > 0, v.Add, len(v.Context) > 0, v.Prior != nil} {
		if some {
			n++
		}
	}
	w.head(majorMap, uint64(n))
	w.uints(1)
	w.dots(v.Dots)
	w.uints(2)
	w.int(v.HLC.Millis)
	if v.HLC.Counter > 0 {
		w.uints(3, uint64(v.HLC.Counter))
	}
	if v.Add {
		w.uints(4, 1)
	}
	w.uints(5)
	w.b = append(w.b, v.Raw...)
	if len(v.Context) > 0 {
		w.uints(6)
		w.vector(v.Context)
	}
	if v.Prior != nil {
		w.uints(7)
		w.head(majorArray, 3)
		w.uints(w.chains[v.Prior.Dot.Chain], uint64(v.Prior.Dot.Seq))
		w.b = append(w.b, v.Prior.Raw...)
	}
	w.pairs(v.extra)
}

func (w *writer) vector(v vv.Vector) { w.dots(v.Dots()) }

func (w *writer) dots(ds []dot.Dot) {
	w.head(majorArray, uint64(2*len(ds)))
	for _, d := range ds {
		w.uints(w.chains[d.Chain], uint64(d.Seq))
	}
}

func (w *writer) pairs(ps []pair) {
	for _, p := range ps {
		w.uints(p.key)
		w.b = append(w.b, p.raw...)
	}
}

func (w *writer) uints(ns ...uint64) {
	for _, n := range ns {
		w.head(majorUint, n)
	}
}

func (w *writer) int(n int64) {
	if n < 0 {
		w.head(majorNeg, uint64(-1-n))
		return
	}
	w.head(majorUint, uint64(n))
}

func (w *writer) text(s string) {
	w.head(majorText, uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) head(major byte, n uint64) {
	major <<= 5
	switch {
	case n < 24:
		w.b = append(w.b, major|byte(n))
	case n < 1<<8:
		w.b = append(w.b, major|24, byte(n))
	case n < 1<<16:
		w.b = binary.BigEndian.AppendUint16(append(w.b, major|25), uint16(n))
	case n < 1<<32:
		w.b = binary.BigEndian.AppendUint32(append(w.b, major|26), uint32(n))
	default:
		w.b = binary.BigEndian.AppendUint64(append(w.b, major|27), n)
	}
}
