// Package lane keeps account of a chain: which seqs are there, which are
// missing, and how much may be on its way at once.
//
// Both sides count with it. The hub notes what it received and derives gaps;
// a device notes what the hub confirmed and derives its outbox. It is pure:
// no clock, no I/O, no locking.
//
//   - [Range] is a closed run of seqs.
//   - [Set] is a sorted set of disjoint runs; [Set.Through] is its watermark.
//   - [Window] bounds what is in flight, by count and by bytes.
package lane

import (
	"fmt"
	"slices"
	"strings"

	"otor/internal/dot"
)

// Range is a run of seqs, both ends included. First is at least 1.
type Range struct {
	_     struct{} `cbor:",toarray"`
	First dot.Seq  `json:"first"`
	Last  dot.Seq  `json:"last"`
}

// Run returns the range from first to last.
func Run(first, last dot.Seq) Range { return Range{First: first, Last: last} }

// Valid reports whether r holds at least one seq, from 1 to [dot.MaxSeq].
func (r Range) Valid() bool { return r.First >= 1 && r.Last >= r.First && r.Last <= dot.MaxSeq }

// Len is the number of seqs in r; r must be valid.
func (r Range) Len() uint64 { return uint64(r.Last-r.First) + 1 }

// Contains reports whether s lies in r.
func (r Range) Contains(s dot.Seq) bool { return r.First <= s && s <= r.Last }

func (r Range) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Set is a set of seqs as sorted runs that neither overlap nor touch. nil is
// empty. A Set is never changed in place.
type Set []Range

// NewSet builds a set from any valid ranges; invalid ones are left out.
func NewSet(rs ...Range) Set {
	var s Set
	for _, r := range rs {
		s = s.Add(r)
	}
	return s
}

// Add returns the set with r in it. An invalid r changes nothing.
func (s Set) Add(r Range) Set {
	if !r.Valid() {
		return s
	}
	// The common case: r continues the last run.
	if n := len(s); n > 0 && r.First == s[n-1].Last+1 {
		out := slices.Clone(s)
		out[n-1].Last = r.Last
		return out
	}
	out := make(Set, 0, len(s)+1)
	i := 0
	for ; i < len(s) && s[i].Last+1 < r.First; i++ {
		out = append(out, s[i])
	}
	for ; i < len(s) && s[i].First <= r.Last+1; i++ {
		r = Run(min(r.First, s[i].First), max(r.Last, s[i].Last))
	}
	out = append(out, r)
	return append(out, s[i:]...)
}

// Without returns the set without r.
func (s Set) Without(r Range) Set {
	var out Set
	for _, own := range s {
		if own.Last < r.First || own.First > r.Last {
			out = append(out, own)
			continue
		}
		if own.First < r.First {
			out = append(out, Run(own.First, r.First-1))
		}
		if own.Last > r.Last {
			out = append(out, Run(r.Last+1, own.Last))
		}
	}
	return out
}

// Contains reports whether q is in the set.
func (s Set) Contains(q dot.Seq) bool {
	_, found := slices.BinarySearchFunc(s, q, func(r Range, q dot.Seq) int {
		switch {
		case r.Last < q:
			return -1
		case r.First > q:
			return 1
		}
		return 0
	})
	return found
}

// Through is the watermark: the highest seq such that 1 up to it are all in the set. 0: none.
func (s Set) Through() dot.Seq {
	if len(s) == 0 || s[0].First != 1 {
		return 0
	}
	return s[0].Last
}

// Highest is the highest seq in the set, 0 when empty.
func (s Set) Highest() dot.Seq {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Last
}

// Extra lists the runs above the watermark. They share the set's memory: read only.
func (s Set) Extra() []Range {
	if s.Through() > 0 {
		return slices.Clip(s[1:])
	}
	return slices.Clip(s)
}

// Missing lists what is not in the set between 1 and upto.
func (s Set) Missing(upto dot.Seq) []Range {
	var out []Range
	next := dot.Seq(1)
	for _, r := range s {
		if r.First > upto {
			break
		}
		if r.First > next {
			out = append(out, Run(next, r.First-1))
		}
		next = r.Last + 1
	}
	if next <= upto {
		out = append(out, Run(next, upto))
	}
	return out
}

// Gaps lists the seqs below the highest one that are not in the set.
func (s Set) Gaps() []Range { return s.Missing(s.Highest()) }

// Len is the number of seqs in the set.
func (s Set) Len() uint64 {
	var n uint64
	for _, r := range s {
		n += r.Len()
	}
	return n
}

func (s Set) String() string { return Format(s) }

// Format writes ranges as people read them: "{5, 8-11}".
func Format(rs []Range) string {
	parts := make([]string, len(rs))
	for i, r := range rs {
		parts[i] = r.String()
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Below returns the part of the set up to last.
func (s Set) Below(last dot.Seq) Set {
	var out Set
	for _, r := range s {
		out = out.Add(Run(r.First, min(r.Last, last)))
	}
	return out
}
