package merge_test

import (
	"testing"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/vv"
)

// TestLate takes an entry in after a later one of its chain: who wrote meanwhile
// names its dot and never saw it.
func TestLate(t *testing.T) {
	a := dot.Chain{Device: "D-A", Incarnation: 1, Lane: dot.Record}
	b := dot.Chain{Device: "D-B", Incarnation: 1, Lane: dot.Record}
	typ, err := merge.NewType("household", []merge.Field{{Name: "phone", Rule: merge.Ask}, {Name: "needs", Rule: merge.Latest}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(d dot.Dot, field, v string, context vv.Vector) merge.Change {
		return merge.Change{Dot: d, HLC: hlc.Time{Millis: int64(d.Seq)}, Writes: []merge.Write{{Register: field, Op: entry.Set, Raw: append([]byte{0x60 + byte(len(v))}, v...), Context: context}}}
	}
	for name, c := range map[string]struct {
		meanwhile merge.Change
		late      bool
		conflict  bool
		values    int
	}{
		"another wrote": {write(b.At(1), "phone", "3", vv.Vector{a: 2}), true, true, 2},
		// the control: without being late it would be lost without a word
		"another wrote, not late":  {write(b.At(1), "phone", "3", vv.Vector{a: 2}), false, false, 1},
		"its author wrote again":   {write(a.At(3), "phone", "4", vv.Vector{a: 2}), true, false, 1},
		"nobody wrote to it since": {write(b.At(1), "needs", "x", vv.Vector{a: 2}), true, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := merge.New(entry.Ref{Type: "household", ID: "H-1"})
			s.Apply(write(a.At(2), "needs", "hay", nil))
			s.Apply(c.meanwhile)
			early := write(a.At(1), "phone", "2", nil)
			early.Late = c.late
			s.Apply(early)
			if got := len(s.Values("phone")); got != c.values {
				t.Errorf("%d values stand, want %d", got, c.values)
			}
			if got := len(s.View(typ).Conflicts()) > 0; got != c.conflict {
				t.Errorf("in conflict: %v", got)
			}
			// Whoever answers with both in view ends it.
			s.Apply(write(b.At(9), "phone", "9", vv.Vector{a: 3, b: 8}))
			if got := len(s.Values("phone")); got != 1 {
				t.Errorf("%d values stand after the answer", got)
			}
		})
	}
}
