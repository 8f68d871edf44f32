package vv_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/vv"
)

// Few chains and low seqs, so that vectors meet; zero seqs and nil vectors too.
func vectors() *rapid.Generator[vv.Vector] {
	return rapid.Custom(func(t *rapid.T) vv.Vector {
		if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
			return nil
		}
		v := vv.Vector{}
		for range rapid.IntRange(0, 5).Draw(t, "chains") {
			v[chains().Draw(t, "chain")] = dot.Seq(rapid.Uint64Range(0, 5).Draw(t, "seq"))
		}
		return v
	})
}

func chains() *rapid.Generator[dot.Chain] {
	return rapid.Custom(func(t *rapid.T) dot.Chain {
		return dot.Chain{
			Device: rapid.SampledFrom([]dot.Device{"A", "B"}).Draw(t, "device"), Lane: rapid.SampledFrom(dot.Lanes()).Draw(t, "lane"),
			Incarnation: dot.Incarnation(rapid.Uint32Range(1, 2).Draw(t, "incarnation")),
		}
	})
}

func TestJoinIsALeastUpperBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := vectors().Draw(t, "a"), vectors().Draw(t, "b"), vectors().Draw(t, "c")
		was := []vv.Vector{maps.Clone(a), maps.Clone(b), maps.Clone(c)}
		j := vv.Join(a, b)
		if !j.Equal(vv.Join(b, a)) {
			t.Fatal("join is not commutative")
		}
		if !vv.Join(a, vv.Join(b, c)).Equal(vv.Join(vv.Join(a, b), c)) || !vv.Join(a, vv.Join(b, c)).Equal(vv.Join(a, b, c)) {
			t.Fatal("join is not associative")
		}
		if !vv.Join(a, a).Equal(a) || !vv.Join(a).Equal(a) || !vv.Join(a, nil).Equal(a) {
			t.Fatal("join is not idempotent")
		}
		if !j.CoversAll(a) || !j.CoversAll(b) {
			t.Fatal("a join covers less than its parts")
		}
		if c.CoversAll(a) && c.CoversAll(b) && !c.CoversAll(j) {
			t.Fatal("a join is more than the least that covers its parts")
		}
		j[dot.Chain{Device: "X"}] = 1 // a join is its own map, also of one or of none
		vv.Join()[dot.Chain{}] = 1
		a.Clone()[dot.Chain{}] = 1
		for i, v := range []vv.Vector{a, b, c} {
			if !maps.Equal(v, was[i]) {
				t.Fatal("joining changed a part")
			}
		}
	})
}

func TestCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := vectors().Draw(t, "a"), vectors().Draw(t, "b")
		all := true
		for _, d := range b.Dots() {
			for s := dot.Seq(1); s <= d.Seq; s++ {
				all = all && a.Covers(d.Chain.At(s))
			}
		}
		if got := a.CoversAll(b); got != all {
			t.Fatalf("covers all: %v, dot by dot: %v", got, all)
		}
		if vv.Concurrent(a, b) != (!a.CoversAll(b) && !b.CoversAll(a)) || vv.Concurrent(a, b) != vv.Concurrent(b, a) || vv.Concurrent(a, a) {
			t.Fatal("concurrent is not mutual")
		}
		if a.Equal(b) != slices.Equal(a.Dots(), b.Dots()) {
			t.Fatal("equal vectors have equal dots")
		}
		d := chains().Draw(t, "chain").At(dot.Seq(rapid.Uint64Range(0, 6).Draw(t, "seq")))
		w := a.With(d)
		if d.Seq > 0 && !w.Covers(d) || d.Seq == 0 && a.Covers(d) || !w.CoversAll(a) {
			t.Fatalf("%v with %s is %v", a, d, w)
		}
		if a.Covers(d) && !w.Equal(a) {
			t.Fatal("what was seen already changes nothing")
		}
	})
}

func TestDotsAreSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := vectors().Draw(t, "v")
		ds := v.Dots()
		if !slices.IsSortedFunc(ds, dot.Dot.Compare) {
			t.Fatalf("%v", ds)
		}
		back := vv.Vector{}
		for _, d := range ds {
			if d.Seq == 0 {
				t.Fatalf("%v lists an unseen chain", ds)
			}
			back[d.Chain] = d.Seq
		}
		if !back.Equal(v) {
			t.Fatalf("%v became %v", v, back)
		}
	})
}
