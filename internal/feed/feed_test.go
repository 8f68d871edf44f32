package feed_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/feed"
	"otor/internal/golden"
	"otor/internal/identity"
	"otor/internal/receipt"
)

func hubKey(t testing.TB) identity.SigningKey {
	t.Helper()
	k, err := identity.SigningKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type vector struct {
	Name  string `json:"name"`
	Bytes string `json:"bytes"`
}

func cursors() []feed.Cursor {
	e := receipt.Epoch{1, 2, 3}
	return []feed.Cursor{
		{Epoch: e, Scope: "gacha:ulaanchulu", N: 4711, Mark: feed.Mark{1, 2, 3, 4, 5, 6, 7, 8}},
		{Epoch: e, Scope: "device:D-101", N: 300, Mark: feed.Mark{9}, Anchor: 4711, Since: 4000},
		{Epoch: e, Scope: "all"},
	}
}

func sampleRows() []feed.Row {
	return []feed.Row{
		{N: 8, Kind: feed.Entity, Key: "household/H-NB-07", Rev: 3, Body: []byte("state")},
		{N: 9, Kind: feed.Gone, Key: "herd/H-NB-07-sheep", Rev: 12},
		{N: 300, Kind: feed.Verdict, Key: "D-101/1/record/17", Body: []byte{0xa0}},
		// its state names it: {1: 1, 2: ["herd", "H-7"]}
		{N: 301, Kind: feed.Entity, Key: "herd/H-7", Rev: 1, Body: []byte("\xa2\x01\x01\x02\x82\x64herd\x63H-7")},
		{N: 302, Kind: feed.Entity, Key: "herd/H-8", Rev: 1, Body: []byte("\xa2\x01\x01\x02\x82\x64herd\x63H-7")}, // another's
	}
}

// mixedRows are rows whose bodies stand in another order than they: herd, household,
// household, verdict.
func mixedRows() []feed.Row {
	return []feed.Row{
		{N: 1, Kind: feed.Entity, Key: "household/H-2", Rev: 5, Body: []byte("house 2")},
		{N: 2, Kind: feed.Verdict, Key: "D-101/1/record/1", Body: []byte{0xa0}},
		{N: 5, Kind: feed.Entity, Key: "herd/H-2-sheep", Rev: 4, Body: []byte("sheep")},
		{N: 6, Kind: feed.Entity, Key: "household/H-1", Rev: 9, Body: []byte("house 1")},
	}
}

func outcomes() []feed.Outcome {
	return []feed.Outcome{
		{Verdict: "quarantined", Code: "id_checksum", Words: "a digit of the resident number is mistyped", At: 1758157200000},
		{Verdict: "applied", At: 1758157200000},
	}
}

func vectors(t testing.TB) (out []vector) {
	t.Helper()
	put := func(name string, b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, vector{name, hex.EncodeToString(b)})
	}
	for _, c := range cursors() {
		b, err := c.Sign(hubKey(t))
		put("cursor", b, err)
	}
	for _, o := range outcomes() {
		b, err := o.Encode()
		put("outcome", b, err)
	}
	b, err := feed.EncodeGrant([]string{"team", "north"})
	put("grant", b, err)
	// How zstd packs is its own matter: what stands here must be read, and is
	// what this version writes.
	b, err = feed.Pack(7, sampleRows())
	put("rows after 7", b, err)
	b, err = feed.Pack(0, mixedRows())
	put("rows after 0", b, err)
	return out
}

func TestVectors(t *testing.T) {
	golden.Update(t, vectors(t))
	want := golden.Load[[]vector](t)
	if got := vectors(t); !reflect.DeepEqual(got, want) {
		t.Errorf("the bytes changed, which changes the protocol:\n got %v\nwant %v", got, want)
	}
	for _, v := range want {
		b := golden.Unhex(t, v.Bytes)
		for name, want := range map[string][]feed.Row{"rows after 7": sampleRows(), "rows after 0": mixedRows()} {
			if v.Name != name {
				continue
			}
			rows, err := feed.Unpack(want[0].N-1, b)
			if err != nil || !sameRows(rows, want) {
				t.Errorf("%s: %v %v", name, rows, err)
			}
		}
	}
}

func sameRows(a, b []feed.Row) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].N != b[i].N || a[i].Kind != b[i].Kind || a[i].Key != b[i].Key || a[i].Rev != b[i].Rev || !bytes.Equal(a[i].Body, b[i].Body) {
			return false
		}
	}
	return true
}

func TestCursorsAreTheHubsAlone(t *testing.T) {
	for _, c := range cursors() {
		b, err := c.Sign(hubKey(t))
		if err != nil {
			t.Fatal(err)
		}
		got, err := feed.OpenCursor(b, hubKey(t).Public())
		if err != nil || got != c {
			t.Errorf("%+v, %v, want %+v", got, err, c)
		}
		for i := range b {
			broken := bytes.Clone(b)
			broken[i] ^= 1
			if got, err := feed.OpenCursor(broken, hubKey(t).Public()); err == nil && got != c {
				t.Fatalf("byte %d changed, and it reads %+v", i, got)
			}
		}
		other, err := identity.SigningKeyFromSeed(bytes.Repeat([]byte{8}, 32))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := feed.OpenCursor(b, other.Public()); !errors.Is(err, feed.ErrInvalid) {
			t.Errorf("another hub's key: %v", err)
		}
	}
}

func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		after := rapid.Uint64Range(0, 1<<40).Draw(t, "after")
		n := after
		var rows []feed.Row
		for range rapid.IntRange(0, 40).Draw(t, "count") {
			n += rapid.Uint64Range(1, 1000).Draw(t, "step")
			r := feed.Row{
				N: n, Kind: feed.Kind(rapid.IntRange(1, 255).Draw(t, "kind")), Key: rapid.StringMatching(`[a-z]{1,8}/[A-Z0-9-]{1,20}`).Draw(t, "key"),
				Rev: rapid.Uint64Range(0, feed.MaxN).Draw(t, "rev"),
			}
			if r.Kind != feed.Gone {
				r.Body = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
			}
			rows = append(rows, r)
		}
		b, err := feed.Pack(after, rows)
		if err != nil {
			t.Fatal(err)
		}
		got, err := feed.Unpack(after, b)
		if err != nil || !sameRows(got, rows) {
			t.Fatalf("%v: %v, want %v", err, got, rows)
		}
	})
}

func TestRowsThatNoFeedHolds(t *testing.T) {
	for name, rows := range map[string][]feed.Row{
		"no kind":        {{N: 9, Key: "k"}},
		"no key":         {{N: 9, Kind: feed.Entity}},
		"a long key":     {{N: 9, Kind: feed.Entity, Key: strings.Repeat("k", feed.MaxKey+1)}},
		"no text":        {{N: 9, Kind: feed.Entity, Key: "\xff"}},
		"a large body":   {{N: 9, Kind: feed.Entity, Key: "k", Body: make([]byte, feed.MaxBody+1)}},
		"gone with body": {{N: 9, Kind: feed.Gone, Key: "k", Body: []byte{1}}},
		"not above":      {{N: 7, Kind: feed.Entity, Key: "k"}},
		"not rising":     {{N: 9, Kind: feed.Entity, Key: "k"}, {N: 9, Kind: feed.Entity, Key: "l"}},
		"a huge number":  {{N: feed.MaxN + 1, Kind: feed.Entity, Key: "k"}},
	} {
		if _, err := feed.Pack(7, rows); err == nil {
			t.Errorf("%s was packed", name)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, o := range append(outcomes(), feed.Outcome{Verdict: "conflict", Words: strings.Repeat("冲突", 2000)}) {
		b, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := feed.DecodeOutcome(b)
		if err != nil || got.Verdict != o.Verdict || len(got.Words) > 4<<10 || !strings.HasPrefix(o.Words, strings.TrimSuffix(got.Words, "…")) {
			t.Errorf("%+v %v", got, err)
		}
	}
	said := feed.Outcome{Verdict: "refused", Words: "the office sends it back: " + strings.Repeat("远", 500)} // as long as a reason may be
	b, err := said.Encode()
	if got, bad := feed.DecodeOutcome(b); err != nil || bad != nil || got != said {
		t.Errorf("%d bytes of words arrive, %d were said", len(got.Words), len(said.Words))
	}
	if (feed.Outcome{Verdict: "conflict"}).Returned() || !(feed.Outcome{Verdict: "refused"}).Returned() {
		t.Error("what is returned")
	}
}

func FuzzUnpack(f *testing.F) {
	b, err := feed.Pack(7, sampleRows())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint64(7), b)
	f.Fuzz(func(t *testing.T, after uint64, b []byte) {
		rows, err := feed.Unpack(after, b)
		if err != nil {
			if !errors.Is(err, feed.ErrInvalid) {
				t.Fatalf("%v does not wrap ErrInvalid", err)
			}
			return
		}
		again, err := feed.Pack(after, rows)
		if err != nil {
			t.Fatalf("understood, but does not pack: %v", err)
		}
		if back, err := feed.Unpack(after, again); err != nil || !sameRows(back, rows) {
			t.Fatalf("packed again it is another: %v", err)
		}
	})
}

func FuzzOpenCursor(f *testing.F) {
	for _, c := range cursors() {
		b, err := c.Sign(hubKey(f))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	pub := hubKey(f).Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := feed.OpenCursor(b, pub); err != nil && !errors.Is(err, feed.ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeOutcome(f *testing.F) {
	for _, o := range outcomes() {
		b, err := o.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := feed.DecodeOutcome(b)
		if err != nil {
			if !errors.Is(err, feed.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if _, err := o.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}
