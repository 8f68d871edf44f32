// Package vv is the version vector: for each chain, how far it has been seen.
//
// A write's context is such a vector, and two writes are concurrent when
// neither's context covers the other's dot. A [Vector] is a plain map; its
// wire form is sorted, so that equal vectors have equal bytes.
package vv

import (
	"slices"

	"otor/internal/dot"
)

// Vector holds the highest seq seen of each chain. nil is the empty vector.
type Vector map[dot.Chain]dot.Seq

// Covers reports whether d was seen.
func (v Vector) Covers(d dot.Dot) bool { return d.Seq != 0 && v[d.Chain] >= d.Seq }

// CoversAll reports whether everything that o has seen was seen by v.
func (v Vector) CoversAll(o Vector) bool {
	for c, s := range o {
		if v[c] < s {
			return false
		}
	}
	return true
}

// Concurrent reports whether neither vector covers the other.
func Concurrent(a, b Vector) bool { return !a.CoversAll(b) && !b.CoversAll(a) }

// Join returns the least vector that covers all of vs, leaving them as they are.
func Join(vs ...Vector) Vector {
	out := Vector{}
	for _, v := range vs {
		for c, s := range v {
			out[c] = max(out[c], s)
		}
	}
	return out
}

// With returns v joined with one dot, leaving v as it is.
func (v Vector) With(d dot.Dot) Vector { return Join(v, Vector{d.Chain: d.Seq}) }

// Clone returns a copy that can be written to, also of nil.
func (v Vector) Clone() Vector { return Join(v) }

// Equal reports whether both have seen the same; zero seqs count as unseen.
func (v Vector) Equal(o Vector) bool { return v.CoversAll(o) && o.CoversAll(v) }

// Dots lists the vector as dots, sorted by chain; chains at seq 0 are left out.
func (v Vector) Dots() []dot.Dot {
	out := make([]dot.Dot, 0, len(v))
	for c, s := range v {
		if s > 0 {
			out = append(out, c.At(s))
		}
	}
	slices.SortFunc(out, dot.Dot.Compare)
	return out
}
