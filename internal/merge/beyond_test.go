package merge_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/vv"
)

// TestContextsThatAreNotClosed: a write may name another without naming what that one
// had replaced, since a context names a chain up to a seq and a device does not show
// all that it wrote there. In whatever order such writes come, what nobody names stands, in
// equal bytes.
func TestContextsThatAreNotClosed(t *testing.T) {
	ref := entry.Ref{Type: "household", ID: "H-1"}
	rapid.Check(t, func(t *rapid.T) {
		var chains []dot.Chain
		for _, d := range []dot.Device{"D-A", "D-B"} {
			chains = append(chains, dot.Chain{Device: d, Incarnation: 1, Lane: dot.Alert}, dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record})
		}
		last := make(vv.Vector)
		named := make(vv.Vector)
		var all []merge.Change
		for i := range rapid.IntRange(1, 9).Draw(t, "writes") {
			context := make(vv.Vector)
			for _, c := range chains {
				if seq := last[c]; seq > 0 && rapid.Bool().Draw(t, "names") {
					context[c] = dot.Seq(rapid.IntRange(1, int(seq)).Draw(t, "up to"))
				}
			}
			c := rapid.SampledFrom(chains).Draw(t, "chain")
			last[c]++
			w := merge.Write{Register: "name", Raw: []byte{0x61, byte('a' + i)}, Context: context}
			if rapid.IntRange(0, 4).Draw(t, "beside") == 0 {
				w.Op, context = entry.Add, nil
			}
			all = append(all, merge.Change{Dot: c.At(last[c]), HLC: hlc.Time{Millis: int64(i)}, Writes: []merge.Write{w}})
			named = vv.Join(named, context)
		}
		arrive := func(order []merge.Change) *merge.State {
			s := merge.New(ref)
			for _, c := range order {
				s.Apply(c)
			}
			again, err := merge.Decode(s.Encode())
			if err != nil || !bytes.Equal(again.Encode(), s.Encode()) {
				t.Fatalf("read and written again: %v", err)
			}
			return again
		}
		first := arrive(all)
		var stand []dot.Dot
		for _, v := range first.Values("name") {
			stand = append(stand, v.Dots...)
		}
		for _, c := range all {
			if slices.Contains(stand, c.Dot) == named.Covers(c.Dot) {
				t.Errorf("%s stands: %t; somebody names it: %t", c.Dot, !named.Covers(c.Dot), named.Covers(c.Dot))
			}
		}
		for i := range 4 { // each chain in its own order
			by := make(map[dot.Chain][]merge.Change)
			for _, c := range all {
				by[c.Dot.Chain] = append(by[c.Dot.Chain], c)
			}
			var order []merge.Change
			for len(order) < len(all) {
				c := rapid.SampledFrom(chains).Draw(t, fmt.Sprint("next of order ", i))
				if len(by[c]) > 0 {
					order, by[c] = append(order, by[c][0]), by[c][1:]
				}
			}
			if got := arrive(order); !bytes.Equal(got.Encode(), first.Encode()) {
				t.Fatalf("another order: %x, want %x", got.Encode(), first.Encode())
			}
		}
	})
}
