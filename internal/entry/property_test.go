package entry_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/vv"
)

func chains() *rapid.Generator[dot.Chain] {
	return rapid.Custom(func(t *rapid.T) dot.Chain {
		return dot.Chain{
			Device:      dot.Device(rapid.StringMatching(`[A-Z0-9-]{1,32}`).Draw(t, "device")),
			Incarnation: dot.Incarnation(rapid.Uint32Min(1).Draw(t, "incarnation")),
			Lane:        rapid.SampledFrom(dot.Lanes()).Draw(t, "lane"),
		}
	})
}

func dots() *rapid.Generator[dot.Dot] {
	return rapid.Custom(func(t *rapid.T) dot.Dot {
		return chains().Draw(t, "chain").At(dot.Seq(rapid.Uint64Range(1, uint64(dot.MaxSeq)).Draw(t, "seq")))
	})
}

func hashes() *rapid.Generator[entry.Hash] {
	return rapid.Custom(func(t *rapid.T) (h entry.Hash) {
		copy(h[:], rapid.SliceOfN(rapid.Byte(), len(h), len(h)).Draw(t, "hash"))
		return h
	})
}

func publics() *rapid.Generator[entry.Public] {
	return rapid.Custom(func(t *rapid.T) entry.Public {
		wall := rapid.Int64Range(-1<<45, 1<<45).Draw(t, "wall")
		p := entry.Public{
			Dot: dots().Draw(t, "dot"), Wall: wall, Zone: rapid.IntRange(-720, 840).Draw(t, "zone"),
			HLC:   hlc.Time{Millis: wall + rapid.Int64Range(0, 1<<40).Draw(t, "ahead"), Counter: rapid.Uint32().Draw(t, "counter")},
			Actor: rapid.String().Draw(t, "actor"),
		}
		if rapid.Bool().Draw(t, "system") {
			p.System = rapid.StringN(1, 20, -1).Draw(t, "kind")
		} else {
			p.Form = entry.FormRef{ID: rapid.StringN(1, 20, -1).Draw(t, "form"), Version: rapid.Uint32().Draw(t, "version")}
		}
		if p.Dot.Seq == 1 {
			p.Origin = &entry.Origin{Reason: entry.Moved, Previous: 1, LastSeq: 2, LastHead: hashes().Draw(t, "last head")}
		}
		if rapid.Bool().Draw(t, "offset?") {
			p.Offset = &entry.Offset{Millis: rapid.Int64().Draw(t, "offset"), Age: rapid.Uint32().Draw(t, "age")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "contexts") {
			v := vv.Vector{}
			for _, d := range rapid.SliceOfN(dots(), 0, 4).Draw(t, "context") {
				v[d.Chain] = d.Seq
			}
			p.Contexts = append(p.Contexts, v)
			p.Refs = append(p.Refs, entry.Ref{Type: "household", ID: rapid.String().Draw(t, "id")})
		}
		if rapid.Bool().Draw(t, "blob?") {
			p.Blobs = []entry.Blob{{Hash: hashes().Draw(t, "blob"), Size: rapid.Uint64().Draw(t, "size"), Mime: "image/jpeg"}}
		}
		if rapid.Bool().Draw(t, "position?") {
			p.Position = &entry.Position{Lon: rapid.Int32().Draw(t, "lon"), Lat: rapid.Int32().Draw(t, "lat"), Source: entry.Picked}
		}
		if rapid.Bool().Draw(t, "was?") {
			p.Was = &entry.Was{Dot: dots().Draw(t, "was"), Hash: hashes().Draw(t, "was")}
		}
		if rapid.Bool().Draw(t, "corrects?") {
			d := dots().Draw(t, "corrects")
			p.Corrects = &d
		}
		return p
	})
}

// values draws what a field may hold.
func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		most := 6
		if depth == 0 {
			most = 4
		}
		switch rapid.IntRange(0, most).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Int64().Draw(t, "int")
		case 3:
			return rapid.Float64().Draw(t, "float")
		case 4:
			return rapid.String().Draw(t, "text")
		case 5:
			return append([]any{}, rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "list")...)
		default:
			return rapid.MapOfN(rapid.String(), values(depth-1), 0, 4).Draw(t, "group")
		}
	})
}

func TestPartsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := publics().Draw(t, "public")
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := entry.DecodePublic(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got %+v, want %+v", got, p)
		}
		q := entry.Private{Salt: salt(rapid.Byte().Draw(t, "salt"))}
		if fields := rapid.MapOfN(rapid.String(), values(3), 0, 6).Draw(t, "fields"); len(fields) > 0 {
			q.Fields = fields
		}
		for range rapid.IntRange(0, 3).Draw(t, "writes") {
			q.Writes = append(q.Writes, entry.Write{
				Ref: rapid.Uint32().Draw(t, "ref"), Field: rapid.String().Draw(t, "field"), Op: entry.Add,
				Value: values(2).Draw(t, "value"), Context: rapid.Uint32().Draw(t, "context"),
			})
		}
		if rapid.Bool().Draw(t, "prior") {
			q.Priors = append(q.Priors, entry.Prior{Write: rapid.Uint32().Draw(t, "of"), Dot: p.Dot, Value: values(2).Draw(t, "displayed")})
		}
		c, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := entry.DecodePrivate(c)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, q) {
			t.Fatalf("got %#v, want %#v", back, q)
		}
		r := entry.NewRaw(b, c)
		for _, r := range []entry.Raw{r, r.Erase()} {
			again, err := entry.DecodeRaw(r.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if !again.Equal(r) || again.Hash() != r.Hash() {
				t.Fatal("the stored form changed the entry")
			}
		}
	})
}

// A head names one history: any other entry, order, chain or start gives another.
func TestHeadsTellHistoriesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := chains().Draw(t, "chain")
		parts := rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.Byte(), 0, 20), 2, 6, func(b []byte) string { return string(b) }).Draw(t, "parts")
		var es []entry.Raw
		for _, p := range parts {
			es = append(es, entry.NewRaw(p, []byte("p")))
		}
		head := func(c dot.Chain, es []entry.Raw) entry.Hash {
			h := entry.Genesis(c)
			for _, e := range es {
				h = entry.Next(h, e)
			}
			return h
		}
		want := head(c, es)
		swapped := append([]entry.Raw{es[1], es[0]}, es[2:]...)
		other := c
		other.Incarnation ^= 1
		changed := append([]entry.Raw{entry.NewRaw(parts[0], []byte("q"))}, es[1:]...)
		erased := append([]entry.Raw{es[0].Erase()}, es[1:]...)
		if head(c, swapped) == want || head(other, es) == want || head(c, changed) == want || head(c, es[1:]) == want {
			t.Fatal("two histories have one head")
		}
		if head(c, erased) != want {
			t.Fatal("erasing changed the head")
		}
	})
}
