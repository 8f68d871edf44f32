package merge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/vv"
)

// signed is the private part that whoever has a key can sign: any value that the entry's
// decoder takes stands in its writes.
func signed(t interface{ Fatal(args ...any) }, writes ...[]any) (entry.Private, error) {
	b, err := cbor.Marshal(map[int]any{1: make([]byte, entry.SaltSize), 3: writes})
	if err != nil {
		t.Fatal(err)
	}
	return entry.DecodePrivate(b)
}

// A value that a state cannot hold, or that cannot be written as JSON, is refused where it
// comes in: later it would be somebody else's record that fails.
func TestChangesRefusesWhatIsNoValue(t *testing.T) {
	pub := entry.Public{Refs: []entry.Ref{{Type: "thing", ID: "1"}}}
	refused := map[string]any{
		"bytes": []byte{1}, "NaN": math.NaN(), "infinity": math.Inf(1), "NaN in a list": []any{int64(1), math.NaN()},
		"minus infinity in a map": map[string]any{"a": map[string]any{"b": math.Inf(-1)}},
	}
	for n := range 256 {
		if n < 20 || n > 31 {
			refused[fmt.Sprintf("simple value %d", n)] = cbor.SimpleValue(n)
		}
	}
	for name, value := range refused {
		priv, err := signed(t, []any{0, "a", 0, value, 0})
		if err != nil {
			t.Errorf("%s: the entry cannot be read: %v", name, err)
			continue
		}
		if _, err := merge.Changes(pub, priv); err == nil || !strings.Contains(err.Error(), "no value") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was displayed is not its author's doing: where it was no value it counts as nothing.
func TestWhatWasDisplayedAndIsNoValue(t *testing.T) {
	pub := entry.Public{Refs: []entry.Ref{{Type: "thing", ID: "1"}}}
	for _, value := range []any{math.NaN(), cbor.SimpleValue(16), []byte{1}} {
		got, err := merge.Changes(pub, entry.Private{
			Writes: []entry.Write{{Field: "a", Value: int64(1)}}, Priors: []entry.Prior{{Dot: record.At(1), Value: value}},
		})
		if err != nil {
			t.Errorf("%v: %v", value, err)
			continue
		}
		if p := got[0].Writes[0].Prior; p == nil || p.Dot != record.At(1) || !bytes.Equal(p.Raw, []byte{0xf6}) {
			t.Errorf("%v: displayed was %+v", value, p)
		}
	}
}

// A state with a value that no entry can bring in any more is read all the same, and shows
// nothing in its place.
func TestAStateFromBeforeValuesWereChecked(t *testing.T) {
	for name, raw := range map[string][]byte{"simple value 16": {0xf0}, "simple value 200": {0xf8, 200}, "undefined": {0xf7}, "NaN": {0xf9, 0x7e, 0}, "infinity": {0xf9, 0x7c, 0}} {
		s := merge.New(entry.Ref{Type: "thing", ID: "1"})
		s.Apply(merge.Change{Dot: record.At(1), Writes: []merge.Write{{Register: "a", Raw: raw}, {Register: "b", Raw: []byte{1}}}})
		again, err := merge.Decode(s.Encode())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(again.Encode(), s.Encode()) {
			t.Errorf("%s: the bytes changed", name)
		}
		v := again.View(nil)
		a, known := v.Field("a")
		if b, _ := v.Field("b"); a != nil || !known || b != int64(1) {
			t.Errorf("%s: shows %v and %v", name, a, b)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// anyValue draws what the bytes of an entry may hold.
func anyValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		most := 8
		if depth == 0 {
			most = 6
		}
		switch rapid.IntRange(0, most).Draw(t, "kind") {
		case 0:
			return rapid.Int64().Draw(t, "int")
		case 1:
			return rapid.String().Draw(t, "text")
		case 2:
			return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "simple")
		case 3:
			return rapid.Float64().Draw(t, "float")
		case 4:
			return rapid.SampledFrom([]any{math.NaN(), math.Inf(1), math.Inf(-1), float32(0.5)}).Draw(t, "odd float")
		case 5:
			n := rapid.IntRange(0, 255).Filter(func(n int) bool { return n < 20 || n > 31 }).Draw(t, "number")
			return cbor.SimpleValue(n)
		case 6:
			return rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "bytes")
		case 7:
			return rapid.SliceOfN(anyValue(depth-1), 0, 3).Draw(t, "list")
		default:
			return rapid.MapOfN(rapid.StringN(0, 3, -1), anyValue(depth-1), 0, 3).Draw(t, "map")
		}
	})
}

// Whatever an entry may do to an entity, whoever comes next can read the entity, and what
// is shown of it can be written down.
func TestWhatIsTakenCanBeReadAgain(t *testing.T) {
	took, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := merge.New(entry.Ref{Type: "thing", ID: "1"})
		for i := range rapid.IntRange(1, 6).Draw(t, "entries") {
			chain := rapid.SampledFrom([]dot.Chain{record, alert, hub}).Draw(t, "chain")
			pub := entry.Public{Dot: chain.At(dot.Seq(i + 1)), HLC: hlc.Time{Millis: int64(i)}, Refs: []entry.Ref{s.Ref}}
			pub.Contexts = []vv.Vector{{record: dot.Seq(rapid.IntRange(1, 4).Draw(t, "seen"))}}
			var writes [][]any
			for _, field := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "/deleted"}), 1, 3, rapid.ID[string]).Draw(t, "fields") {
				writes = append(writes, []any{0, field, rapid.SampledFrom([]int{0, 1}).Draw(t, "op"), anyValue(3).Draw(t, "value"), 0})
			}
			priv, err := signed(t, writes...)
			if err != nil {
				continue
			}
			for i := range priv.Writes {
				priv.Priors = append(priv.Priors, entry.Prior{Write: uint32(i), Dot: record.At(1), Value: anyValue(2).Draw(t, "prior")})
			}
			touches, err := merge.Changes(pub, priv)
			if err != nil {
				refused++
				continue
			}
			took++
			s.Apply(touches[0].Change)
		}
		again, err := merge.Decode(s.Encode())
		if err != nil {
			t.Fatalf("%v: %x", err, s.Encode())
		}
		if !bytes.Equal(again.Encode(), s.Encode()) {
			t.Fatal("the bytes changed")
		}
		v := again.View(nil)
		for _, f := range append(v.Fields, again.Deletion()) {
			if _, err := json.Marshal(f.Value); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			for _, x := range f.Values {
				if _, err := json.Marshal(x.Get()); err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
				if x.Prior == nil {
					continue
				}
				if _, err := json.Marshal(x.Prior.Get()); err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
			}
		}
	})
	if took == 0 || refused == 0 {
		t.Errorf("%d entries were taken and %d refused: the property says too little", took, refused)
	}
}

// A state may name more chains than any one entry: whoever signs may name what is not there.
func TestAStateOfManyChains(t *testing.T) {
	s := merge.New(entry.Ref{Type: "thing", ID: "1"})
	v := make(vv.Vector)
	for i := range 70_000 {
		v[dot.Chain{Device: "D-1", Incarnation: dot.Incarnation(i + 1), Lane: dot.Record}] = 1
	}
	s.Apply(merge.Change{Dot: record.At(1), Writes: []merge.Write{{Register: "a", Raw: []byte{1}, Context: v}}})
	if _, err := merge.Decode(s.Encode()); err != nil {
		t.Error(err)
	}
}
