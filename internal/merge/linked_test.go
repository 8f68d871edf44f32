package merge_test

import (
	"bytes"
	"testing"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/vv"
)

// A fact has two names, and somebody who replaced it knew the new one alone. What they wrote was
// replaced in turn. In whatever order all of it comes, the fact does not stand.
func TestALinkedFactThatWasReplacedByItsNewName(t *testing.T) {
	old := dot.Chain{Device: "D-A", Incarnation: 1, Lane: dot.Record}.At(1)
	again := dot.Chain{Device: "D-A", Incarnation: 2, Lane: dot.Record}.At(1)
	b, c := dot.Chain{Device: "D-B", Incarnation: 1, Lane: dot.Record}.At(1), dot.Chain{Device: "D-C", Incarnation: 1, Lane: dot.Record}.At(1)
	change := func(at dot.Dot, value byte, context vv.Vector) merge.Change {
		return merge.Change{Dot: at, HLC: hlc.Time{Millis: int64(value)}, Writes: []merge.Write{{Register: "phone", Raw: []byte{0x61, value}, Context: context}}}
	}
	first, x, y := change(old, '1', nil), change(b, '2', vv.Vector{again.Chain: 1}), change(c, '3', vv.Vector{b.Chain: 1})
	link := change(again, '1', nil)
	link.Also, link.Linked = []dot.Dot{old}, true
	var want []byte
	for _, order := range [][]merge.Change{{first, link, x, y}, {first, x, y, link}, {first, x, link, y}, {x, first, y, link}, {y, x, first, link}} {
		s := merge.New(entry.Ref{Type: "household", ID: "H-1"})
		for _, c := range order {
			s.Apply(c)
		}
		got := s.Encode()
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("in another order the state is another: %x, not %x", got, want)
		}
	}
	if typ, err := merge.NewType("household", []merge.Field{{Name: "phone", Rule: merge.Latest}}); err != nil {
		t.Fatal(err)
	} else if s, err := merge.Decode(want); err != nil || s.Show(typ, "phone").Value != "3" || len(s.Show(typ, "phone").Values) != 1 {
		t.Errorf("it stands though it was replaced: %v", err)
	}
}
