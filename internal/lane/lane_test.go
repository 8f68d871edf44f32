package lane_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/lane"
)

const highest = 60

// model is the set as anyone would write it first.
type model [highest + 2]bool

func (m *model) runs(from, to dot.Seq, in bool) []lane.Range {
	var out []lane.Range
	for q := from; q <= to; q++ {
		if m[q] != in {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Last+1 == q {
			out[n-1].Last = q
		} else {
			out = append(out, lane.Run(q, q))
		}
	}
	return out
}

func (m *model) through() dot.Seq {
	q := dot.Seq(0)
	for m[q+1] {
		q++
	}
	return q
}

func (m *model) last() dot.Seq {
	for q := dot.Seq(highest); q > 0; q-- {
		if m[q] {
			return q
		}
	}
	return 0
}

func ranges() *rapid.Generator[lane.Range] {
	return rapid.Custom(func(t *rapid.T) lane.Range {
		first := dot.Seq(rapid.Uint64Range(0, highest).Draw(t, "first"))
		last := dot.Seq(rapid.Uint64Range(0, highest).Draw(t, "last"))
		if rapid.Bool().Draw(t, "short") {
			last = min(first+last%4, highest)
		}
		return lane.Run(first, last)
	})
}

func TestSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s lane.Set
		var m model
		var all []lane.Range
		through := dot.Seq(0)
		for range rapid.IntRange(0, 25).Draw(t, "adds") {
			r := ranges().Draw(t, "range")
			was, before := slices.Clone(s), s
			s = s.Add(r)
			if !slices.Equal(was, before) {
				t.Fatalf("adding %s changed the set in place: %s, was %s", r, before, was)
			}
			all = append(all, r)
			if r.Valid() {
				for q := r.First; q <= r.Last; q++ {
					m[q] = true
				}
			}
			if s.Through() < through {
				t.Fatalf("the watermark fell from %d to %d", through, s.Through())
			}
			through = s.Through()
			if !s.Add(r).Contains(r.First) && r.Valid() || !slices.Equal(s.Add(r), s) {
				t.Fatalf("adding %s twice changes %s", r, s)
			}
		}
		compare(t, s, &m)
		slices.Reverse(all)
		if o := lane.NewSet(all...); !slices.Equal(o, s) {
			t.Fatalf("in the other order: %s, want %s", o, s)
		}
	})
}

func compare(t *rapid.T, s lane.Set, m *model) {
	if want := m.runs(1, highest, true); !slices.Equal(s, want) {
		t.Fatalf("set %s, want %s", s, lane.Format(want))
	}
	n := uint64(0)
	for q := dot.Seq(0); q <= highest+1; q++ {
		if s.Contains(q) != m[q] {
			t.Fatalf("%s contains %d: %v", s, q, s.Contains(q))
		}
		if m[q] {
			n++
		}
	}
	if s.Len() != n || s.Through() != m.through() || s.Highest() != m.last() {
		t.Fatalf("%s: length %d, through %d, highest %d; want %d, %d, %d", s, s.Len(), s.Through(), s.Highest(), n, m.through(), m.last())
	}
	for _, upto := range []dot.Seq{0, 1, m.through(), m.last(), highest / 2, highest} {
		if got, want := s.Missing(upto), m.runs(1, upto, false); !slices.Equal(got, want) {
			t.Fatalf("%s: missing up to %d: %s, want %s", s, upto, lane.Format(got), lane.Format(want))
		}
	}
	if got, want := s.Gaps(), m.runs(1, m.last(), false); !slices.Equal(got, want) {
		t.Fatalf("%s: gaps %s, want %s", s, lane.Format(got), lane.Format(want))
	}
	if got, want := s.Extra(), m.runs(m.through()+1, highest, true); !slices.Equal(got, want) {
		t.Fatalf("%s: extra %s, want %s", s, lane.Format(got), lane.Format(want))
	}
	one, two := append(s.Extra(), lane.Run(1, 1)), append(s.Extra(), lane.Run(2, 2))
	if one[len(one)-1] == two[len(two)-1] {
		t.Fatal("two lists of extra runs grow into the same memory")
	}
}

func TestSetAtTheEnds(t *testing.T) {
	top := lane.Run(dot.MaxSeq, dot.MaxSeq)
	s := lane.NewSet(top, lane.Run(1, 1), lane.Run(1, dot.MaxSeq+1), lane.Run(^dot.Seq(0), ^dot.Seq(0)), lane.Run(0, 4), lane.Run(3, 2))
	if !slices.Equal(s, lane.Set{lane.Run(1, 1), top}) {
		t.Fatalf("got %s", s)
	}
	if got := s.Gaps(); !slices.Equal(got, []lane.Range{lane.Run(2, dot.MaxSeq-1)}) {
		t.Fatalf("gaps %s", lane.Format(got))
	}
	if s = s.Add(lane.Run(2, dot.MaxSeq-1)); s.Through() != dot.MaxSeq || s.Len() != uint64(dot.MaxSeq) || s.Gaps() != nil {
		t.Fatalf("got %s", s)
	}
	if got := lane.Format([]lane.Range{lane.Run(5, 5), lane.Run(8, 11)}); got != "{5, 8-11}" {
		t.Errorf("written %q", got)
	}
}

// A window never holds more than its bounds, except for one batch alone; when
// all is settled it is empty.
func TestWindowBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, bytes := rapid.IntRange(0, 5).Draw(t, "count"), rapid.IntRange(0, 100).Draw(t, "bytes")
		w := lane.NewWindow(count, bytes)
		flying := map[uint64]int{}
		for name := range uint64(rapid.IntRange(1, 60).Draw(t, "steps")) {
			size := rapid.IntRange(0, 150).Draw(t, "size")
			if w.Open(size) {
				w.Add(name, size)
				flying[name] = size
			} else if len(flying) == 0 {
				t.Fatal("one batch must always be allowed")
			}
			if rapid.Bool().Draw(t, "settle") {
				old := rapid.Uint64Range(0, name).Draw(t, "which") // often an unknown one
				w.Done(old)
				delete(flying, old)
			}
			sum := 0
			for _, n := range flying {
				sum += n
			}
			if w.Len() != len(flying) || w.Bytes() != sum {
				t.Fatalf("%d batches, %d bytes; want %d, %d", w.Len(), w.Bytes(), len(flying), sum)
			}
			if w.Len() > 1 && (w.Len() > count || w.Bytes() > bytes) {
				t.Fatalf("%d batches of %d bytes in a window of %d and %d", w.Len(), w.Bytes(), count, bytes)
			}
		}
		for name := range flying {
			w.Add(name, 7) // sent again before it settled: counted once
			w.Done(name)
			w.Done(name)
		}
		if w.Len() != 0 || w.Bytes() != 0 {
			t.Fatalf("%d batches, %d bytes left", w.Len(), w.Bytes())
		}
	})
}

func TestWithout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s lane.Set
		for range rapid.IntRange(0, 6).Draw(t, "runs") {
			first := dot.Seq(rapid.IntRange(1, 40).Draw(t, "first"))
			s = s.Add(lane.Run(first, first+dot.Seq(rapid.IntRange(0, 5).Draw(t, "more"))))
		}
		first := dot.Seq(rapid.IntRange(1, 40).Draw(t, "from"))
		r := lane.Run(first, first+dot.Seq(rapid.IntRange(0, 12).Draw(t, "to")))
		got := s.Without(r)
		for q := dot.Seq(1); q <= 60; q++ {
			if want := s.Contains(q) && !r.Contains(q); got.Contains(q) != want {
				t.Fatalf("%s without %s is %s: %d", s, r, got, q)
			}
		}
	})
}
