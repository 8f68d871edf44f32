package batch_test

import (
	"encoding/hex"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/golden"
	"otor/internal/identity"
)

// vector is one frame. Its header and signature are fixed to the byte. Its body
// is what one version of the compressor made: another may differ, but whatever
// was once sent must always unpack to these entries.
type vector struct {
	Name      string   `json:"name"`
	Header    string   `json:"header"`
	Diag      string   `json:"header_diagnostic"` // RFC 8949 section 8, to read by
	Signature string   `json:"signature"`
	Frame     string   `json:"frame"`
	Entries   []string `json:"entries"` // stored form
}

type vectors struct {
	Seed   string   `json:"signing_seed"`
	Public string   `json:"public_key"`
	Frames []vector `json:"frames"`
}

type sample struct {
	name    string
	first   dot.Seq
	before  entry.Hash
	entries []entry.Raw
}

// samples seal runs of one chain: its heads go on from one to the next.
func samples(t testing.TB) []sample {
	es := visits(t, 8)
	es[2] = es[2].Erase()
	es[5] = entry.NewRaw(es[5].Public, []byte{0x18, 0x01}) // 1, but not in its shortest form
	es[6] = entry.NewRaw([]byte("not CBOR at all \xff"), []byte{})
	out := []sample{
		{name: "one entry", first: 1, entries: es[:1]},
		{name: "three entries, one of them erased", first: 2, entries: es[1:4]},
		{name: "parts that are not deterministic CBOR, and an empty one", first: 5, entries: es[4:8]},
	}
	head := entry.Genesis(chain)
	for i := range out {
		out[i].before = head
		for _, e := range out[i].entries {
			head = entry.Next(head, e)
		}
	}
	return out
}

// apart gives a frame's header and signature.
func apart(t testing.TB, frame []byte) (header, sig []byte) {
	var f struct {
		_                 struct{} `cbor:",toarray"`
		Header, Sig, Body []byte
	}
	if err := cbor.Unmarshal(frame, &f); err != nil {
		t.Fatal(err)
	}
	return f.Header, f.Sig
}

func build(t testing.TB) vectors {
	out := vectors{Seed: hex.EncodeToString(testKey(t).Seed()), Public: testKey(t).Public().String()}
	for _, s := range samples(t) {
		frame, _, err := batch.Seal(chain, s.first, s.before, s.entries, testKey(t), batch.Small)
		if err != nil {
			t.Fatal(err)
		}
		header, sig := apart(t, frame)
		diag, err := cbor.Diagnose(header)
		if err != nil {
			t.Fatal(err)
		}
		v := vector{
			Name: s.name, Header: hex.EncodeToString(header), Diag: diag,
			Signature: hex.EncodeToString(sig), Frame: hex.EncodeToString(frame),
		}
		for _, e := range s.entries {
			v.Entries = append(v.Entries, hex.EncodeToString(e.Encode()))
		}
		out.Frames = append(out.Frames, v)
	}
	return out
}

func committed(t testing.TB) vectors {
	v := golden.Load[vectors](t)
	if len(v.Frames) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func TestVectors(t *testing.T) {
	got := build(t)
	golden.Update(t, got)
	want := committed(t)
	if got.Public != want.Public {
		t.Errorf("public key %s, want %s", got.Public, want.Public)
	}
	if len(got.Frames) != len(want.Frames) {
		t.Fatalf("%d frames, the file has %d", len(got.Frames), len(want.Frames))
	}
	for i, w := range want.Frames {
		g := got.Frames[i]
		if g.Name != w.Name || g.Header != w.Header || g.Diag != w.Diag || g.Signature != w.Signature {
			t.Errorf("%s: header or signature changed:\n got %s\n     %s\nwant %s\n     %s", w.Name, g.Header, g.Signature, w.Header, w.Signature)
		}
		if len(g.Entries) != len(w.Entries) {
			t.Fatalf("%s: %d entries, want %d", w.Name, len(g.Entries), len(w.Entries))
		}
		for k := range w.Entries {
			if g.Entries[k] != w.Entries[k] {
				t.Errorf("%s: entry %d changed:\n got %s\nwant %s", w.Name, k, g.Entries[k], w.Entries[k])
			}
		}
	}
}

func TestVectorsOpen(t *testing.T) {
	all := committed(t)
	var key identity.PublicKey
	if err := key.UnmarshalText([]byte(all.Public)); err != nil {
		t.Fatal(err)
	}
	for _, v := range all.Frames {
		f, err := batch.Open(golden.Unhex(t, v.Frame))
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if !f.Verify(key) {
			t.Errorf("%s: signature refused", v.Name)
		}
		got, err := f.Entries()
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if len(got) != len(v.Entries) {
			t.Fatalf("%s: %d entries, want %d", v.Name, len(got), len(v.Entries))
		}
		for i, e := range got {
			if hex.EncodeToString(e.Encode()) != v.Entries[i] {
				t.Errorf("%s: entry %d differs:\n got %x\nwant %s", v.Name, i, e.Encode(), v.Entries[i])
			}
		}
	}
}
