package wire_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/vectors.json: a changed byte is a change of the protocol")

const vectorFile = "testdata/vectors.json"

type vector struct {
	Name  string `json:"name"`
	Bytes string `json:"bytes"`
	Diag  string `json:"diagnostic"` // RFC 8949 section 8, to read by
}

func hellos() []wire.Hello {
	battery := uint8(41)
	var head entry.Hash
	for i := range head {
		head[i] = byte(i)
	}
	return []wire.Hello{
		{Clock: 1758160020000, Version: "0.1.0"},
		{
			Lanes: []wire.LaneHead{
				{Incarnation: 1, Lane: dot.Record, Last: 17, Head: head, Received: 17, Archived: 12},
				{Incarnation: 2, Lane: dot.Alert, Last: 1, Head: head},
			},
			Clock: 1758160020000, Version: "0.1.0", Battery: &battery, DiskFree: 5 << 30, Blobs: 3, Epoch: head[:16],
		},
	}
}

func welcomes() []wire.Welcome {
	return []wire.Welcome{
		{Time: 1758157200000, Epoch: []byte{0x82, 0x40, 0x40}, Receipts: [][]byte{{0x82, 0x41, 0xa0, 0x40}}, Scopes: []string{"gacha/NB", "team/1"}},
		{Time: 1758157200000, Epoch: []byte{}, Receipts: [][]byte{}, Refused: &wire.Refusal{
			Code: "revoked", What: "this device was revoked", Which: "D-301", Do: "bring it to the office",
		}},
	}
}

func add[M wire.Message](t testing.TB, out []vector, name string, ms ...M) []vector {
	for _, m := range ms {
		b, err := wire.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		d, err := cbor.Diagnose(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, vector{name, hex.EncodeToString(b), d})
	}
	return out
}

func build(t testing.TB) []vector {
	out := add(t, nil, "hello", hellos()...)
	out = add(t, out, "welcome", welcomes()...)
	return add(t, out, "receipt news", wire.ReceiptNews{Receipts: [][]byte{{1, 2}, {}}})
}

func committed(t testing.TB) []vector {
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v []vector
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	got := build(t)
	if *update {
		b, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := committed(t)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("bytes changed\n got %+v\nwant %+v", got, want)
	}
	for i, h := range hellos() {
		equal(t, unhex(t, want[i].Bytes), h)
	}
	for i, w := range welcomes() {
		equal(t, unhex(t, want[2+i].Bytes), w)
	}
}

func equal[M wire.Message](t *testing.T, b []byte, want M) {
	t.Helper()
	got, err := wire.Unmarshal[M](b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestHelloIsChecked(t *testing.T) {
	for name, l := range map[string]wire.LaneHead{
		"no incarnation": {Lane: dot.Record}, "no lane": {Incarnation: 1}, "unknown lane": {Incarnation: 1, Lane: 9},
		"last": {Incarnation: 1, Lane: dot.Record, Last: dot.MaxSeq + 1}, "received": {Incarnation: 1, Lane: dot.Record, Received: 1 << 63},
		"archived": {Incarnation: 1, Lane: dot.Record, Archived: ^dot.Seq(0)},
	} {
		b, err := wire.Marshal(wire.Hello{Lanes: []wire.LaneHead{l}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Unmarshal[wire.Hello](b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := wire.Unmarshal[wire.Hello](make([]byte, wire.MaxMessage+1)); err == nil {
		t.Error("a message over the limit was accepted")
	}
}

func TestSubjects(t *testing.T) {
	d := dot.Device("D-101")
	for _, s := range []string{wire.Up(dot.Record, d), wire.Up(dot.Alert, d), wire.Relay(d), wire.HelloOn(d), wire.PullOn(d), wire.ReceiptFor(d)} {
		if got, err := wire.Sender(s); err != nil || got != d {
			t.Errorf("sender of %s: %q, %v", s, got, err)
		}
		if !strings.HasPrefix(s, wire.Prefix) {
			t.Errorf("%s is outside %s", s, wire.Prefix)
		}
		if wire.IsRelay(s) != (s == wire.Relay(d)) {
			t.Errorf("%s: is it a relay?", s)
		}
	}
	for reply, want := range map[string]bool{
		"_INBOX.D-101.x": true, "_INBOX.D-101.x.y": true, "_INBOX.D-101": false, "_INBOX.D-101.": false, "_INBOX.D-1011.x": false,
		"_INBOX.D-102.x": false, "_INBOX.D-101.*": false, "_INBOX.D-101.>": false, "otor.1.up.record.D-101": false, "": false,
		"_INBOX.D-101.a b": false, "$JS.API.STREAM.PURGE.OTOR_UP": false,
	} {
		if got := wire.ReplyAllowed(d, reply); got != want {
			t.Errorf("reply to %q: %v, want %v", reply, got, want)
		}
	}
}
