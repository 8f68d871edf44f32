package dot_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
)

func dots() *rapid.Generator[dot.Dot] {
	return rapid.Custom(func(t *rapid.T) dot.Dot {
		return dot.Chain{
			Device:      dot.Device(rapid.StringMatching(`[A-C-]{1,2}|[A-Z0-9-]{1,32}`).Draw(t, "device")),
			Incarnation: dot.Incarnation(rapid.Uint32Min(1).Draw(t, "incarnation")),
			Lane:        rapid.SampledFrom(dot.Lanes()).Draw(t, "lane"),
		}.At(dot.Seq(rapid.Uint64Range(1, uint64(dot.MaxSeq)).Draw(t, "seq")))
	})
}

func TestDotTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dots().Draw(t, "dot")
		got, err := dot.Parse(d.String())
		if err != nil || got != d {
			t.Fatalf("%s reads as %v, %v", d, got, err)
		}
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		b, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var u dot.Dot
		if err := u.UnmarshalText(b); err != nil || u != d {
			t.Fatalf("%s unmarshals as %v, %v", b, u, err)
		}
	})
}

func TestCompareOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(dots(), 3, 3).Draw(t, "dots")
		a, b, c := ds[0], ds[1], ds[2]
		if a.Compare(b) != -b.Compare(a) || (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%s and %s compare as %d and %d", a, b, a.Compare(b), b.Compare(a))
		}
		slices.SortFunc(ds, dot.Dot.Compare)
		if ds[0].Compare(ds[2]) > 0 || ds[0].Compare(ds[1]) > 0 || ds[1].Compare(ds[2]) > 0 {
			t.Fatalf("%s, %s, %s do not sort", a, b, c)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", "D", "D/1/record", "D/1/record/1/", "D/1/record/0", "D/0/record/1", "D/1/records/1", "d/1/record/1", "/1/record/1",
		"D/01/record/1", "D/1/record/01", "D/+1/record/1", "D/1/record/-1", "D/1/record/1_0", "D/4294967296/record/1",
		"D/1/record/9007199254740992", "D/1/record/18446744073709551615", "D/1/record/18446744073709551616", "D 1/1/record/1",
		strings.Repeat("D", 33) + "/1/record/1", "Д/1/record/1", "D/1/Record/1", "D/1//1", " D/1/record/1", "D/1/record/1\n",
	} {
		if d, err := dot.Parse(s); err == nil {
			t.Errorf("%q reads as %s", s, d)
		}
	}
	_, err := dot.Parse(strings.Repeat("x", 1<<20))
	if err == nil || len(err.Error()) > 300 {
		t.Error("hostile input must not fill an error message")
	}
}

func TestText(t *testing.T) {
	var d dot.Dot
	if b, err := d.MarshalText(); err != nil || len(b) != 0 {
		t.Errorf("the zero dot is written %q, %v", b, err)
	}
	d = dot.Chain{Device: "D-1", Incarnation: 1, Lane: dot.Alert}.At(1)
	if err := d.UnmarshalText(nil); err != nil || !d.IsZero() {
		t.Errorf("nothing reads as %v, %v", d, err)
	}
	for _, l := range dot.Lanes() {
		var got dot.Lane
		if err := got.UnmarshalText([]byte(l.String())); err != nil || got != l || !l.Valid() {
			t.Errorf("%s reads as %v, %v", l, got, err)
		}
	}
	if dot.Lanes()[0] != dot.Alert {
		t.Error("the alert lane drains first")
	}
	if _, err := dot.ParseLane("lane3"); err == nil || dot.Lane(3).Valid() {
		t.Error("there is no third lane")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("D-101/3/record/17")
	f.Add("HUB/4294967295/alert/9007199254740991")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := dot.Parse(s)
		if err != nil {
			return
		}
		if d.String() != s {
			t.Fatalf("%q reads as %s", s, d)
		}
		if err := d.Check(); err != nil || d.Seq == 0 || d.Seq > dot.MaxSeq {
			t.Fatalf("%s: %v", d, err)
		}
	})
}
