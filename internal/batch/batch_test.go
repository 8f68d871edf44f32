package batch_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/identity"
)

var chain = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}

// visits makes n realistic entries.
func visits(t testing.TB, n int) []entry.Raw {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]entry.Raw, n)
	wall := int64(1758150000000)
	for i := range out {
		wall += r.Int64N(900_000)
		p := entry.Public{
			Dot: chain.At(dot.Seq(i + 1)), HLC: hlc.Time{Millis: wall}, Wall: wall, Zone: 480, Actor: "U01",
			Form: entry.FormRef{ID: "visit", Version: 1}, Refs: []entry.Ref{{Type: "household", ID: "H-NB-0" + string(rune('1'+r.IntN(9)))}},
			Offset:   &entry.Offset{Millis: -3, Age: uint32(r.IntN(10000))},
			Position: &entry.Position{Lon: 101700000 + r.Int32N(50000), Lat: 39200000 + r.Int32N(50000), Accuracy: uint32(r.IntN(12) * 10), Source: entry.GNSS},
		}
		if i == 0 {
			p.Origin = &entry.Origin{Reason: entry.Installed}
		}
		pub, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		q := entry.Private{Fields: map[string]any{"topics": []any{"policy_grass_livestock"}, "minutes": int64(r.IntN(60)), "ok": r.IntN(2) == 0, "dose": r.Float64()}}
		for k := range q.Salt {
			q.Salt[k] = byte(r.Uint32())
		}
		priv, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		out[i] = entry.NewRaw(pub, priv)
	}
	return out
}

func testKey(t testing.TB) identity.SigningKey {
	k, err := identity.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{1, 2, 200, 1000} {
		es := visits(t, n)
		if n > 2 {
			es[1] = es[1].Erase()
			es[2].Private = []byte{0x18, 0x01, 0xff} // not deterministic CBOR: carried as it is
			es[2] = entry.NewRaw(es[2].Public, es[2].Private)
		}
		frame, h, err := batch.Seal(chain, 1, entry.Genesis(chain), es, testKey(t), batch.Small)
		if err != nil {
			t.Fatal(err)
		}
		raw := 0
		for _, e := range es {
			raw += e.Size()
		}
		t.Logf("%d entries: raw %d B each, frame %.1f B each", n, raw/n, float64(len(frame))/float64(n))
		f, err := batch.Open(frame)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header != h {
			t.Fatalf("header %+v, want %+v", f.Header, h)
		}
		if !f.Verify(testKey(t).Public()) {
			t.Fatal("own signature refused")
		}
		got, err := f.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for i := range es {
			if !got[i].Equal(es[i]) {
				t.Fatalf("entry %d differs", i)
			}
		}
	}
}

func TestBodyIsPinned(t *testing.T) {
	frame, _, err := batch.Seal(chain, 1, entry.Genesis(chain), visits(t, 3), testKey(t), batch.Small)
	if err != nil {
		t.Fatal(err)
	}
	frame[len(frame)-1] ^= 1 // a salt's last byte
	f, err := batch.Open(frame)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Verify(testKey(t).Public()) {
		t.Fatal("the header was not touched")
	}
	if _, err := f.Entries(); !errors.Is(err, batch.ErrMismatch) {
		t.Fatalf("got %v, want ErrMismatch", err)
	}
}

func BenchmarkSeal(b *testing.B)     { benchSeal(b, batch.Small) }
func BenchmarkSealFast(b *testing.B) { benchSeal(b, batch.Fast) }

func benchSeal(b *testing.B, l batch.Level) {
	es := visits(b, 1000)
	for b.Loop() {
		if _, _, err := batch.Seal(chain, 1, entry.Genesis(chain), es, testKey(b), l); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/entry")
}

func BenchmarkOpen(b *testing.B) {
	frame, _, err := batch.Seal(chain, 1, entry.Genesis(chain), visits(b, 1000), testKey(b), batch.Small)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := batch.Open(frame)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Entries(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/entry")
}
