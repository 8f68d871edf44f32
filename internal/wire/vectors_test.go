package wire_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/golden"
	"otor/internal/identity"
	"otor/internal/wire"
)

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
		{Time: 1758157200000, Epoch: []byte{0x82, 0x40, 0x40}, Receipts: [][]byte{{0x82, 0x41, 0xa0, 0x40}}, Scopes: []string{"gacha:NB", "team:1"}},
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

// The messages about credentials came later than those above; their vectors
// stand behind, so that the older ones keep their places.
func renewals() (wire.Hello, wire.Welcome) {
	h := wire.Hello{
		Clock: 1758160020000, Version: "0.2.0", Holds: &wire.Holding{Incarnation: 3, Expires: 1760000000, Door: true},
	}
	w := wire.Welcome{
		Time: 1758157200000, Epoch: []byte{0x82, 0x40, 0x40}, Receipts: [][]byte{}, Scopes: []string{"team:1"},
		Credentials: &wire.Credentials{JWT: "new.user.jwt", Door: "new.door.jwt"},
	}
	return h, w
}

func doorHellos() []wire.DoorHello {
	return []wire.DoorHello{
		{Incarnation: 3},
		{Incarnation: 3, Challenge: bytes.Repeat([]byte{0xc1}, wire.ChallengeSize), Proof: bytes.Repeat([]byte{0x50}, identity.SignatureSize)},
	}
}

func doorAnswers() []wire.DoorAnswer {
	return []wire.DoorAnswer{
		{Time: 1758157200000, Challenge: bytes.Repeat([]byte{0xc1}, wire.ChallengeSize)},
		{Time: 1758157200000, Credentials: &wire.Credentials{JWT: "new.user.jwt", Door: "new.door.jwt"}},
		{Time: 1758157200000, Refused: &wire.Refusal{Code: "revoked", What: "this device was revoked", Which: "D-301", Do: "bring it to the office"}},
	}
}

func refills() []wire.Refill {
	return []wire.Refill{
		{Incarnation: 1, Lane: dot.Record, First: 17, Last: 40},
		{Incarnation: 2, Lane: dot.Alert, First: 1, Last: 1, Bytes: 4096},
	}
}

func refillPages() []wire.RefillPage {
	return []wire.RefillPage{
		{First: 17, Entries: [][]byte{{0x82, 0x41, 0xa0, 0x41, 0xa0}}},
		{First: 1, Entries: [][]byte{}},
		{Entries: [][]byte{}, Refused: &wire.Refusal{Code: "unknown_device", What: "this hub does not know the device", Which: "D-301"}},
	}
}

func TestRefillIsChecked(t *testing.T) {
	for name, r := range map[string]wire.Refill{
		"no incarnation": {Lane: dot.Record, First: 1, Last: 1}, "no lane": {Incarnation: 1, First: 1, Last: 1},
		"seq 0": {Incarnation: 1, Lane: dot.Record, Last: 1}, "backwards": {Incarnation: 1, Lane: dot.Record, First: 2, Last: 1},
		"too far": {Incarnation: 1, Lane: dot.Record, First: 1, Last: dot.MaxSeq + 1},
	} {
		refused(t, name, r)
	}
	refused(t, "a page of nowhere", wire.RefillPage{Entries: [][]byte{}})
	refused(t, "too many entries", wire.RefillPage{First: 1, Entries: make([][]byte, wire.MaxRefillEntries+1)})
	big := wire.RefillPage{First: 1, Entries: [][]byte{make([]byte, wire.MaxRefillPage)}}
	refused(t, "too large", big)
	big.Entries[0] = big.Entries[0][:wire.MaxRefillPage-64]
	b, err := wire.Marshal(big)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b, big)
}

func refused[M wire.Message](t *testing.T, name string, m M) {
	t.Helper()
	b, err := wire.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Unmarshal[M](b); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("%s: %v", name, err)
	}
}

var feedNews = wire.FeedNews{N: 4711, Mark: feed.Mark{1, 2, 3, 4, 5, 6, 7, 8}}

func feedContact() (wire.Hello, wire.Welcome) {
	at := []wire.ScopeAt{{Scope: "device:D-101", N: 3, Mark: feed.Mark{9}}, {Scope: "all"}}
	return wire.Hello{Clock: 1758160020000, Version: "0.3.0", Feeds: at},
		wire.Welcome{Time: 1758157200000, Epoch: []byte{0x82, 0x40, 0x40}, Receipts: [][]byte{}, Heads: at}
}

func pulls() []wire.Pull {
	return []wire.Pull{
		{Scope: "all", Incarnation: 1},
		{Scope: "team", Cursors: [][]byte{{0x82, 0x40, 0x40}}, Bytes: 32768, Incarnation: 2},
		{Scope: "team", Cursors: [][]byte{{0x82, 0x40, 0x40}}, All: true, Incarnation: 2, Names: []wire.RowName{{Slot: feed.Entity, Key: "household/H-1"}}},
	}
}

func feedPages() []wire.FeedPage {
	return []wire.FeedPage{
		{Scope: "team", Next: []byte{0x82, 0x40, 0x40}, Body: []byte{1, 2}, More: true, After: 17},
		{Scope: "team", Turn: wire.Ask},
		{Scope: "team", Turn: wire.Resume, Next: []byte{0x82, 0x40, 0x40}},
		{Scope: "team", Turn: wire.Rebase},
		{Scope: "team", Next: []byte{0x82, 0x40, 0x40}, Body: []byte{1, 2}, Answered: 1},
		{Scope: "team", Refused: &wire.Refusal{Code: "not_granted", What: "the device is not granted this scope", Which: "team"}},
	}
}

func TestPullsAreChecked(t *testing.T) {
	for i, p := range pulls() {
		b, err := wire.Marshal(p)
		if err != nil {
			t.Fatal(i, err)
		}
		equal(t, b, p)
	}
	for i, p := range feedPages() {
		b, err := wire.Marshal(p)
		if err != nil {
			t.Fatal(i, err)
		}
		equal(t, b, p)
	}
	refused(t, "no scope", wire.Pull{Incarnation: 1})
	refused(t, "no life", wire.Pull{Scope: "a"})
	refused(t, "too many cursors", wire.Pull{Scope: "a", Incarnation: 1, Cursors: make([][]byte, feed.MaxCursors+1)})
	refused(t, "too many names", wire.Pull{Scope: "a", Incarnation: 1, Names: make([]wire.RowName, wire.MaxNames+1)})
	refused(t, "no cursor", wire.FeedPage{Scope: "a"})
	refused(t, "an unknown turn", wire.FeedPage{Scope: "a", Turn: wire.Rebase + 1})
	refused(t, "too large", wire.FeedPage{Scope: "a", Next: []byte{1}, Body: make([]byte, wire.MaxPage)})
	refused(t, "a number beyond all", wire.FeedNews{N: feed.MaxN + 1})
}

func blobAsks() []wire.BlobAsk {
	photo := entry.Hash{0xab, 31: 0xcd}
	return []wire.BlobAsk{
		{Offers: []entry.Hash{photo, {1}}},
		{Piece: &wire.BlobPiece{Hash: photo, Offset: 65536, Bytes: []byte{0xff, 0xd9}}},
		{Preview: &wire.BlobPiece{Hash: photo, Bytes: []byte{0xff, 0xd8, 0xff}}},
		{Archived: []entry.Hash{photo, {2}}},
	}
}

func blobAnswers() []wire.BlobAnswer {
	photo := entry.Hash{0xab, 31: 0xcd}
	return []wire.BlobAnswer{
		{At: []wire.BlobAt{{Hash: photo, State: wire.BlobWanted, At: 65536}, {Hash: entry.Hash{1}, State: wire.BlobWhole, At: 9, Preview: true}}},
		{Refused: &wire.Refusal{Code: "revoked", What: "this device was revoked", Which: "D-301", Do: "bring it to the office"}},
		{Archived: []entry.Hash{photo}},
	}
}

func TestBlobsAreChecked(t *testing.T) {
	for i, a := range blobAsks() {
		b, err := wire.Marshal(a)
		if err != nil {
			t.Fatal(i, err)
		}
		equal(t, b, a)
	}
	for i, a := range blobAnswers() {
		b, err := wire.Marshal(a)
		if err != nil {
			t.Fatal(i, err)
		}
		equal(t, b, a)
	}
	piece := func(at uint64, n int) *wire.BlobPiece { return &wire.BlobPiece{Offset: at, Bytes: make([]byte, n)} }
	refused(t, "nothing said", wire.BlobAsk{})
	refused(t, "two things said", wire.BlobAsk{Offers: make([]entry.Hash, 1), Piece: piece(0, 1)})
	refused(t, "too many offers", wire.BlobAsk{Offers: make([]entry.Hash, wire.MaxOffers+1)})
	refused(t, "too many asked about", wire.BlobAsk{Archived: make([]entry.Hash, wire.MaxOffers+1)})
	refused(t, "an offer and a question", wire.BlobAsk{Offers: make([]entry.Hash, 1), Archived: make([]entry.Hash, 1)})
	refused(t, "too many archived", wire.BlobAnswer{Archived: make([]entry.Hash, wire.MaxOffers+1)})
	refused(t, "an empty piece", wire.BlobAsk{Piece: piece(0, 0)})
	refused(t, "a large piece", wire.BlobAsk{Piece: piece(0, wire.MaxPiece+1)})
	refused(t, "a piece beyond every file", wire.BlobAsk{Piece: piece(wire.MaxBlob, 1)})
	refused(t, "a piece so far away that numbers end", wire.BlobAsk{Piece: piece(^uint64(0), 1)})
	refused(t, "a large preview", wire.BlobAsk{Preview: piece(0, wire.MaxPreview+1)})
	refused(t, "an unknown state", wire.BlobAnswer{At: []wire.BlobAt{{State: wire.BlobUnfit + 1}}})
	if wire.RequestLimit(wire.BlobAny) != wire.MaxBlobAsk || wire.RequestLimit(wire.HelloAny) != wire.MaxMessage {
		t.Error("what the hub takes on its subjects")
	}
	whole := wire.BlobAsk{Piece: piece(0, wire.MaxPiece)}
	b, err := wire.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b, whole)
}

func TestNewsOfCredentials(t *testing.T) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"nats":{"sub":{"allow":["_INBOX.D-101.>","otor.1.news.all","otor.1.news.gacha:a"]}}}`))
	if got := wire.NewsOf("h." + claims + ".s"); !slices.Equal(got, []string{"all", "gacha:a"}) {
		t.Errorf("%v", got)
	}
	claims = base64.RawURLEncoding.EncodeToString([]byte(`{"nats":{"pub":{"allow":["otor.1.blob.D-101"]}}}`))
	if !wire.MayPublish("h."+claims+".s", wire.BlobOn("D-101")) || wire.MayPublish("h."+claims+".s", wire.PullOn("D-101")) || wire.MayPublish("", "") {
		t.Error("what may be published is not what the token says")
	}
	for _, bad := range []string{"", "a.b", "a.!.c", "a." + base64.RawURLEncoding.EncodeToString([]byte("{")) + ".c"} {
		if got := wire.NewsOf(bad); got != nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func build(t testing.TB) []vector {
	out := add(t, nil, "hello", hellos()...)
	out = add(t, out, "welcome", welcomes()...)
	out = add(t, out, "receipt news", wire.ReceiptNews{Receipts: [][]byte{{1, 2}, {}}})
	h, w := renewals()
	out = add(t, out, "hello of a device that takes credentials", h)
	out = add(t, out, "welcome with credentials", w)
	out = add(t, out, "door hello", doorHellos()...)
	out = add(t, out, "door answer", doorAnswers()...)
	out = add(t, out, "refill", refills()...)
	out = add(t, out, "refill page", refillPages()...)
	out = add(t, out, "a call", wire.ReceiptNews{Receipts: [][]byte{}, Call: &wire.Call{Round: 1758157200000, Within: 12}})
	h, w = lives()
	out = add(t, out, "hello of a device that goes on in another life", h)
	out = add(t, out, "welcome about lives", w)
	hello, welcome := feedContact()
	out = add(t, out, "hello with feeds", hello)
	out = add(t, out, "welcome with heads", welcome)
	out = add(t, out, "pull", pulls()...)
	out = add(t, out, "feed page", feedPages()...)
	out = add(t, out, "feed news", feedNews)
	out = add(t, out, "blob ask", blobAsks()...)
	out = add(t, out, "blob answer", blobAnswers()...)
	return add(t, out, "hello that brings a receipt", proving())
}

// proving is a hello of a device whose hub lacks what it gave a receipt for.
func proving() wire.Hello {
	return wire.Hello{Clock: 1758160020000, Version: "0.3.0", Epoch: make([]byte, 16), Proofs: [][]byte{{0x82, 0x40, 0x40}}}
}

func committed(t testing.TB) []vector {
	v := golden.Load[[]vector](t)
	if len(v) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func TestVectors(t *testing.T) {
	got := build(t)
	golden.Update(t, got)
	want := committed(t)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("bytes changed\n got %+v\nwant %+v", got, want)
	}
	for i, h := range hellos() {
		equal(t, golden.Unhex(t, want[i].Bytes), h)
	}
	for i, w := range welcomes() {
		equal(t, golden.Unhex(t, want[2+i].Bytes), w)
	}
	h, w := renewals()
	equal(t, golden.Unhex(t, want[5].Bytes), h)
	equal(t, golden.Unhex(t, want[6].Bytes), w)
	for i, d := range doorHellos() {
		equal(t, golden.Unhex(t, want[7+i].Bytes), d)
	}
	for i, a := range doorAnswers() {
		equal(t, golden.Unhex(t, want[9+i].Bytes), a)
	}
	for i, r := range refills() {
		equal(t, golden.Unhex(t, want[12+i].Bytes), r)
	}
	for i, p := range refillPages() {
		equal(t, golden.Unhex(t, want[14+i].Bytes), p)
	}
	equal(t, golden.Unhex(t, want[len(want)-1].Bytes), proving())
	refused(t, "too many receipts", wire.Hello{Proofs: make([][]byte, wire.MaxProofs+1)})
}

func TestDoorIsChecked(t *testing.T) {
	whole, short := make([]byte, wire.ChallengeSize), make([]byte, wire.ChallengeSize-1)
	proof := make([]byte, identity.SignatureSize)
	for name, h := range map[string]wire.DoorHello{
		"no incarnation": {}, "short challenge": {Incarnation: 1, Challenge: short, Proof: proof}, "no proof": {Incarnation: 1, Challenge: whole},
		"no challenge": {Incarnation: 1, Proof: proof}, "short proof": {Incarnation: 1, Challenge: whole, Proof: proof[1:]},
	} {
		b, err := wire.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Unmarshal[wire.DoorHello](b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := wire.Marshal(wire.DoorAnswer{Challenge: short})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Unmarshal[wire.DoorAnswer](b); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("an answer with a short challenge: %v", err)
	}
	if b, err = wire.Marshal(wire.Hello{Holds: &wire.Holding{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Unmarshal[wire.Hello](b); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a hello with credentials of no life: %v", err)
	}
}

// What a proof signs can be read in one way only: the key's length is fixed and
// no name holds a zero byte.
func TestDoorProof(t *testing.T) {
	got := wire.DoorProof([]byte("challenge"), "D-101", "UKEY")
	if string(got) != "challengeD-101\x00UKEY" {
		t.Errorf("got %q", got)
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
	for _, s := range []string{wire.Up(dot.Record, d), wire.Up(dot.Alert, d), wire.Relay(d), wire.HelloOn(d), wire.DoorOn(d), wire.PullOn(d), wire.RefillOn(d), wire.BlobOn(d), wire.ReceiptFor(d)} {
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
