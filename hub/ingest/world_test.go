package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// zone is the one that the tests' dates are reckoned in.
var zone = time.FixedZone("", 8*3600)

// noon is when the tests begin, at the hub.
var noon = time.Date(2025, 9, 18, 12, 0, 0, 0, zone)

// testForms are one form for each lane.
func testForms(t testing.TB) *form.Registry {
	t.Helper()
	note, err := form.New(form.Form{ID: "note", Version: 2, Lane: dot.Record, Entity: "household", Fields: []form.Field{
		{Name: "text", Kind: form.Text, Required: true},
		{Name: "number", Kind: form.Text, Rule: form.ResidentID},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sos, err := form.New(form.Form{ID: "sos", Version: 1, Lane: dot.Alert, Fields: []form.Field{{Name: "what", Kind: form.Text, Required: true}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := form.NewRegistry(note, sos)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// world is an Ingest over a real database, and devices that can sign.
type world struct {
	store.Store
	*ingest.Ingest
	cfg  ingest.Config
	now  time.Time
	keys map[dot.Device]identity.SigningKey
}

func keyFrom(words string) identity.SigningKey {
	seed := sha256.Sum256([]byte(words))
	k, err := identity.SigningKeyFromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}

// newWorld opens a database. wrap may stand between it and the ingest.
func newWorld(t testing.TB, wrap func(store.Store) ingest.Store) *world {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Store: s, now: noon, keys: make(map[dot.Device]identity.SigningKey)}
	w.cfg = ingest.Config{
		Store: s, Forms: testForms(t), Key: keyFrom("hub"), Epoch: func() receipt.Epoch { return receipt.Epoch{7} }, Zone: zone,
		Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	}
	if wrap != nil {
		w.cfg.Store = wrap(s)
	}
	w.Ingest = ingest.New(w.cfg)
	return w
}

// enrol lets a device in; calling it again gives the device a new incarnation
// with the same key.
func (w *world) enrol(ctx context.Context, d dot.Device) error {
	w.keys[d] = keyFrom(string(d))
	code := sha256.Sum256([]byte(string(d) + w.now.String()))
	at := w.now.UnixMilli()
	err := w.Invite(ctx, store.Invitation{Device: d, CodeHash: code, AddedAt: at, ExpiresAt: at + 1000}, true)
	if err != nil {
		return err
	}
	_, err = w.Redeem(ctx, store.Enrolment{CodeHash: code, SignKey: w.keys[d].Public(), NatsKey: "U" + string(d), At: at})
	return err
}

// history is a chain as some device has it.
type history struct {
	chain dot.Chain
	name  string // tells histories of one chain apart
	raws  []entry.Raw
	heads []entry.Hash // heads[s] is the head after seq s
}

func newHistory(c dot.Chain, name string) *history {
	return &history{chain: c, name: name, heads: []entry.Hash{entry.Genesis(c)}}
}

// branch is another history that agrees with h below seq from.
func (h *history) branch(name string, from dot.Seq) *history {
	return &history{
		chain: h.chain, name: name,
		raws: append([]entry.Raw{}, h.raws[:from-1]...), heads: append([]entry.Hash{}, h.heads[:from]...),
	}
}

func (h *history) last() dot.Seq { return dot.Seq(len(h.raws)) }

func (h *history) add(raw entry.Raw) {
	h.raws = append(h.raws, raw)
	h.heads = append(h.heads, entry.Next(h.heads[len(h.heads)-1], raw))
}

// fault says what is wrong with a minted entry; "" nothing.
type fault string

// faults lists the faults whose code is the verdict's.
var faults = []fault{
	"form_newer", "form_unknown", "form_old", "bad_type", "missing", "unknown_field", "id_checksum", "lane_mismatch",
	"dot_mismatch", "system_unknown", "malformed",
}

// clockOf is what an entry says of time.
type clockOf struct {
	wall   time.Time
	offset *entry.Offset
}

// mint adds an entry to h.
func (h *history) mint(what fault, at clockOf) {
	s := h.last() + 1
	wall := at.wall.UnixMilli()
	pub := entry.Public{
		Dot: h.chain.At(s), HLC: hlc.Time{Millis: wall}, Wall: wall, Zone: 480, Offset: at.offset, Actor: "U01",
		Form: entry.FormRef{ID: "note", Version: 2}, Refs: []entry.Ref{{Type: "household", ID: fmt.Sprintf("H-%02d", s)}},
	}
	priv := entry.Private{Fields: map[string]any{"text": fmt.Sprintf("%s %s %d", h.name, h.chain, s)}}
	if h.chain.Lane == dot.Alert {
		pub.Form = entry.FormRef{ID: "sos", Version: 1}
		priv.Fields = map[string]any{"what": h.name}
	}
	if s == 1 {
		pub.Origin = &entry.Origin{Reason: entry.Installed}
	}
	spoil(what, &pub, &priv)
	h.add(encode(what, pub, priv))
}

// spoil brings a fault in that still encodes.
func spoil(what fault, pub *entry.Public, priv *entry.Private) {
	switch what {
	case "form_newer":
		pub.Form.Version = 99
	case "form_old":
		pub.Form.Version = 1
	case "form_unknown":
		pub.Form.ID = "horoscope"
	case "bad_type":
		priv.Fields["text"] = int64(7)
	case "missing":
		priv.Fields = nil
	case "unknown_field":
		priv.Fields["colour"] = "red"
	case "id_checksum":
		priv.Fields["number"] = "110105194912310021"
	case "lane_mismatch":
		pub.Form = entry.FormRef{ID: "sos", Version: 1}
		if pub.Dot.Lane == dot.Alert {
			pub.Form = entry.FormRef{ID: "note", Version: 2}
		}
	case "dot_mismatch":
		pub.Dot.Incarnation++
	case "system_unknown":
		pub.Form, pub.System = entry.FormRef{}, "dance"
	case "too_large":
		priv.Fields["what"] = strings.Repeat("x", entry.MaxAlertSize)
	}
}

func encode(what fault, pub entry.Public, priv entry.Private) entry.Raw {
	b, err := pub.Encode()
	if err != nil {
		panic(err)
	}
	p, err := priv.Encode()
	if err != nil {
		panic(err)
	}
	switch what {
	case "malformed":
		return entry.NewRaw(append([]byte("not an entry at all "), b[:8]...), p)
	case "malformed_answers":
		return entry.NewRaw(b, []byte("no answers"))
	case "erased":
		return entry.NewRaw(b, p).Erase()
	}
	return entry.NewRaw(b, p)
}

// seal makes a frame of entries first to last of h, signed with key.
func (h *history) seal(r lane.Range, key identity.SigningKey) ([]byte, error) {
	f, _, err := batch.Seal(h.chain, r.First, h.heads[r.First-1], h.raws[r.First-1:r.Last], key, batch.Small)
	return f, err
}

// frame is seal with the device's own key.
func (w *world) frame(t testing.TB, h *history, first, last dot.Seq) ingest.Arrival {
	t.Helper()
	f, err := h.seal(lane.Run(first, last), w.keys[h.chain.Device])
	if err != nil {
		t.Fatal(err)
	}
	return ingest.Arrival{Sender: h.chain.Device, Frame: f}
}

// swapBody puts the body of the frame b into the frame a: a's signature stays valid.
func swapBody(t testing.TB, a, b []byte) []byte {
	t.Helper()
	i, j := bodyAt(t, a), bodyAt(t, b)
	return append(bytes.Clone(a[:i]), b[j:]...)
}

// bodyAt is where the third item of a frame [header, signature, body] starts.
func bodyAt(t testing.TB, frame []byte) int {
	t.Helper()
	at := 1
	for range 2 {
		switch n := frame[at] & 0x1f; {
		case frame[at]>>5 != 2 || n > 25:
			t.Fatalf("frame is not what this test takes apart: % x", frame[:8])
		case n < 24:
			at += 1 + int(n)
		case n == 24:
			at += 2 + int(frame[at+1])
		default:
			at += 3 + int(frame[at+1])<<8 + int(frame[at+2])
		}
	}
	return at
}

func laneOf(ctx context.Context, s store.Store, c dot.Chain) (store.Lane, error) {
	ls, err := s.LanesOf(ctx, c.Device)
	for _, l := range ls {
		if l.Chain == c {
			return l, err
		}
	}
	return store.Lane{Chain: c, Head: entry.Genesis(c)}, err
}

func entriesOf(ctx context.Context, s store.Store, d dot.Device) ([]store.ListedEntry, error) {
	var out []store.ListedEntry
	for e, err := range s.Entries(ctx, store.EntryQuery{Device: d, WithRaw: true}) {
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}
