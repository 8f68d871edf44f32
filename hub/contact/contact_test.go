package contact_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/contact"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

var noon = time.Date(2025, 9, 18, 12, 0, 0, 0, time.UTC)

// office is a desk over a real database.
type office struct {
	contact.Desk
	store.Store
	now time.Time
	// frozen: the hub keeps its epoch whatever it hears.
	frozen bool
}

func newOffice(t *testing.T) *office {
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
	o := &office{Store: s, now: noon}
	o.start(t)
	o.enrol(t, "D-101")
	return o
}

// hubKey signs what the desk says.
var hubKey = func() identity.SigningKey {
	seed := sha256.Sum256([]byte("hub"))
	k, err := identity.SigningKeyFromSeed(seed[:])
	if err != nil {
		panic(err)
	}
	return k
}()

// start is a start of the hub over the database.
func (o *office) start(t *testing.T) {
	t.Helper()
	epochs, err := contact.OpenEpochs(t.Context(), o.Store, hubKey, o.now.UnixMilli(), o.frozen, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	o.Desk = contact.Desk{
		Store: o.Store, Epochs: epochs, Now: func() time.Time { return o.now }, SkewFlag: 5 * time.Minute,
		Sign: func(_ receipt.Epoch, l store.Lane) ([]byte, error) {
			return []byte("receipt of " + l.Chain.String()), nil
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// enrol lets a device in, under a new incarnation each time.
func (o *office) enrol(t *testing.T, d dot.Device) {
	t.Helper()
	o.now = o.now.Add(time.Second)
	code := sha256.Sum256([]byte(string(d) + o.now.String()))
	at := o.now.UnixMilli()
	if err := o.Invite(t.Context(), store.Invitation{Device: d, Scopes: []string{"team:T1"}, CodeHash: code, AddedAt: at, ExpiresAt: at + 1000}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Redeem(t.Context(), store.Enrolment{CodeHash: code, SignKey: identity.PublicKey(code), NatsKey: "U" + o.now.String(), At: at}); err != nil {
		t.Fatal(err)
	}
}

// say says hello and returns the answer.
func (o *office) say(t *testing.T, d dot.Device, h wire.Hello) wire.Welcome {
	t.Helper()
	b, err := wire.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	w, err := o.Hello(t.Context(), d, b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (o *office) known(t *testing.T, d dot.Device) store.Device {
	t.Helper()
	dev, err := o.Device(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// hello is an ordinary one.
func (o *office) hello(lanes ...wire.LaneHead) wire.Hello {
	return wire.Hello{Clock: o.now.UnixMilli(), Version: "1.0", Lanes: lanes}
}

func head(l dot.Lane, last dot.Seq) wire.LaneHead {
	return wire.LaneHead{Incarnation: 1, Lane: l, Last: last, Head: entry.Hash{byte(last)}}
}

func TestAWelcomeHoldsAllThereIsToKnow(t *testing.T) {
	o := newOffice(t)
	battery := uint8(73)
	h := o.hello(head(dot.Record, 7), head(dot.Alert, 1))
	h.Battery, h.DiskFree, h.Blobs = &battery, 5<<30, 3
	w := o.say(t, "D-101", h)
	if w.Refused != nil || w.Time != o.now.UnixMilli() || len(w.Epoch) == 0 || len(w.Scopes) != 1 || len(w.Receipts) != 2 {
		t.Errorf("welcome: %+v", w)
	}
	if got := o.known(t, "D-101").Contact; got != (store.Contact{At: o.now.UnixMilli(), Version: "1.0", Battery: 73, DiskFree: 5 << 30, Blobs: 3}) {
		t.Errorf("contact: %+v", got)
	}
	o.say(t, "D-101", o.hello())
	if got := o.known(t, "D-101").Contact.Battery; got != -1 {
		t.Errorf("battery not told: %d", got)
	}
}

func TestDeclaredLanesAreKept(t *testing.T) {
	o := newOffice(t)
	declared := func() (out [3]dot.Seq) {
		ls, err := o.LanesOf(t.Context(), "D-101")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range ls {
			out[l.Chain.Lane] = l.Declared
			if l.Declared > 0 && (l.DeclaredHead != entry.Hash{byte(l.Declared)}) {
				t.Errorf("%s: head declared %s", l.Chain, l.DeclaredHead)
			}
		}
		return out
	}
	o.say(t, "D-101", o.hello(head(dot.Record, 7)))
	if got := declared(); got != [3]dot.Seq{0, 0, 7} {
		t.Errorf("declared: %v", got)
	}
	o.say(t, "D-101", o.hello(head(dot.Record, 9), head(dot.Alert, 2)))
	// A restored device declares less than before: what it once had is not forgotten.
	o.say(t, "D-101", o.hello(head(dot.Record, 4)))
	if got := declared(); got != [3]dot.Seq{0, 2, 9} {
		t.Errorf("declared: %v", got)
	}
}

func TestAClockFindingOpensChangesAndCloses(t *testing.T) {
	o := newOffice(t)
	const fast = 47 * time.Minute
	for _, step := range []struct {
		ahead time.Duration
		words string // of the open finding
	}{
		{0, ""},
		{fast, "device clock 47 min fast"},
		{fast - 10*time.Minute, "device clock 37 min fast"},
		{-9 * time.Minute, "device clock 9 min slow"},
		{5 * time.Minute, "device clock 5 min fast"},
		{5*time.Minute - time.Millisecond, ""},
		{-2 * time.Hour, "device clock 120 min slow"},
	} {
		o.now = o.now.Add(time.Hour)
		h := o.hello()
		h.Clock += step.ahead.Milliseconds()
		o.say(t, "D-101", h)
		if got := o.known(t, "D-101").Contact.Skew; got != step.ahead.Milliseconds() {
			t.Errorf("%s ahead: kept as %d ms", step.ahead, got)
		}
		open, err := o.Findings(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case step.words == "" && len(open) == 0:
		case len(open) != 1 || open[0].Code != "clock_skew" || open[0].Words != step.words || open[0].Value != step.ahead.Milliseconds():
			t.Errorf("%s ahead: open findings %+v", step.ahead, open)
		}
	}
	all, err := o.Findings(t.Context(), true)
	if err != nil || len(all) != 2 || all[0].ClosedAt == 0 || all[1].ClosedAt != 0 {
		t.Errorf("findings: %+v, %v", all, err)
	}
}

func TestRefusedHellos(t *testing.T) {
	o := newOffice(t)
	o.enrol(t, "D-102")
	if _, err := o.Revoke(t.Context(), "D-102", o.now.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	many := make([]wire.LaneHead, 257)
	for i := range many {
		many[i] = head(dot.Record, 1)
	}
	encode := func(h wire.Hello) []byte {
		b, err := wire.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		d    dot.Device
		b    []byte
		code string
	}{
		"of a stranger":         {"D-999", encode(o.hello()), "unknown_device"},
		"of a revoked device":   {"D-102", encode(o.hello()), "revoked"},
		"that is no hello":      {"D-101", []byte("hello?"), "bad_hello"},
		"without bytes":         {"D-101", nil, "bad_hello"},
		"that is endless":       {"D-101", make([]byte, wire.MaxMessage+1), "bad_hello"},
		"with too many lanes":   {"D-101", encode(o.hello(many...)), "bad_hello"},
		"of the life before 1":  {"D-101", encode(o.hello(wire.LaneHead{Lane: dot.Record, Last: 1})), "bad_hello"},
		"with an unknown lane":  {"D-101", encode(o.hello(wire.LaneHead{Incarnation: 1, Lane: 9, Last: 1})), "bad_hello"},
		"with seqs beyond all":  {"D-101", encode(o.hello(head(dot.Record, dot.MaxSeq+1))), "bad_hello"},
		"with the highest seq":  {"D-101", encode(o.hello(head(dot.Record, math.MaxUint64))), "bad_hello"},
		"with a later bad lane": {"D-101", encode(o.hello(head(dot.Record, 3), wire.LaneHead{Incarnation: 7, Lane: 3, Last: 1})), "bad_hello"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := o.Hello(t.Context(), c.d, c.b)
			if err != nil || w.Refused == nil || w.Refused.Code != c.code || w.Refused.Do == "" || len(w.Receipts) != 0 {
				t.Errorf("answer %+v, error %v", w, err)
			}
		})
	}
	ls, err := o.LanesOf(t.Context(), "D-101")
	if err != nil || len(ls) != 0 || o.known(t, "D-101").Contact.At != 0 {
		t.Errorf("a refused hello left something behind: %+v, %v", ls, err)
	}
}

// A lane of a life that nobody claims in this hello counts if the hub knows the life.
// That of an unknown one is passed over, and the device is answered all the same.
func TestLanesOfLivesThatAreNotClaimed(t *testing.T) {
	o := newOffice(t)
	l := store.Life{Device: "D-101", Incarnation: 2, ID: make([]byte, wire.LifeIDSize), Reason: entry.Moved, Previous: 1, Enrolled: 1, ClaimedAt: 1}
	if _, taken, err := o.Claim(t.Context(), l); err != nil || taken {
		t.Fatal(taken, err)
	}
	w := o.say(t, "D-101", o.hello(head(dot.Record, 4),
		wire.LaneHead{Incarnation: 2, Lane: dot.Record, Last: 5}, wire.LaneHead{Incarnation: 3, Lane: dot.Record, Last: 6}))
	if w.Refused != nil || len(w.Scopes) == 0 {
		t.Fatalf("welcome: %+v", w)
	}
	ls, err := o.LanesOf(t.Context(), "D-101")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[dot.Incarnation]dot.Seq)
	for _, l := range ls {
		got[l.Chain.Incarnation] = l.Declared
	}
	if len(got) != 2 || got[1] != 4 || got[2] != 5 {
		t.Errorf("declared: %v", got)
	}
	h := o.hello(wire.LaneHead{Incarnation: 2, Lane: dot.Record, Last: 5, Received: 5}, wire.LaneHead{Incarnation: 3, Lane: dot.Record, Last: 6, Received: 6})
	h.Epoch = make([]byte, len(receipt.Epoch{})) // another than this hub's
	h.Epoch[0] = 9
	o.say(t, "D-101", h)
	ls, err = o.LanesOf(t.Context(), "D-101")
	if lost := o.losses(t, true); err != nil || len(ls) != 2 || lost != "D-101/2/record 1-5" {
		t.Errorf("lost: %s; %d lanes, %v", lost, len(ls), err)
	}
}

// What a broken or hostile device says of itself is bounded, and harms nothing
// that is reckoned with it.
func TestHugeValuesAreBounded(t *testing.T) {
	o := newOffice(t)
	const century = 100 * 365 * 24 * time.Hour
	for _, clock := range []int64{math.MaxInt64, math.MinInt64} {
		battery := uint8(255)
		w := o.say(t, "D-101", wire.Hello{
			Clock: clock, Version: strings.Repeat("ä", 20_000), Battery: &battery, DiskFree: math.MaxUint64, Blobs: math.MaxUint32,
			Lanes: []wire.LaneHead{head(dot.Record, dot.MaxSeq)},
		})
		if w.Refused != nil {
			t.Fatalf("refused: %v", w.Refused)
		}
		c := o.known(t, "D-101").Contact
		if time.Duration(c.Skew)*time.Millisecond != century && time.Duration(c.Skew)*time.Millisecond != -century {
			t.Errorf("skew %d ms", c.Skew)
		}
		if c.Battery != 100 || c.DiskFree <= 0 || c.Blobs <= 0 || len(c.Version) > 64 || !strings.HasPrefix(c.Version, "ää") {
			t.Errorf("contact %+v", c)
		}
		open, err := o.Findings(t.Context(), false)
		if err != nil || len(open) != 1 {
			t.Errorf("findings %+v, %v", open, err)
		}
	}
}

// broken is a database that is away.
type broken struct{ store.Store }

var errAway = errors.New("the database is away")

func (broken) NoteContact(context.Context, dot.Device, store.Contact, []store.Lane) error {
	return errAway
}

// A hello that cannot be kept is not answered: an answer would be taken for it.
func TestNoAnswerWithoutADatabase(t *testing.T) {
	o := newOffice(t)
	o.Desk.Store = broken{o.Store}
	b, err := wire.Marshal(o.hello())
	if err != nil {
		t.Fatal(err)
	}
	if w, err := o.Hello(t.Context(), "D-101", b); !errors.Is(err, errAway) || w.Time != 0 {
		t.Errorf("answer %+v, error %v", w, err)
	}
}

// TestSealedIsTold: a welcome says what the hub lacks and waits for no more, not what
// came in late after all.
func TestSealedIsTold(t *testing.T) {
	o := newOffice(t)
	chain := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	err := o.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(chain)
		if err != nil {
			return err
		}
		l.Received = lane.NewSet(lane.Run(1, 4), lane.Run(7, 7), lane.Run(12, 20))
		l.Sealed = lane.NewSet(lane.Run(5, 10))
		return tx.SaveLane(l)
	})
	if err != nil {
		t.Fatal(err)
	}
	w := o.say(t, "D-101", o.hello(head(dot.Record, 20)))
	if len(w.Sealed) != 1 || w.Sealed[0].Incarnation != 1 || w.Sealed[0].Lane != dot.Record || lane.Format(w.Sealed[0].Runs) != "{5-6, 8-10}" {
		t.Errorf("sealed: %+v", w.Sealed)
	}
	b, err := wire.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Unmarshal[wire.Welcome](b); err != nil {
		t.Error(err)
	}
	many := make([]lane.Range, wire.MaxRuns+1)
	for i := range many {
		many[i] = lane.Run(dot.Seq(2*i+1), dot.Seq(2*i+1)) //nolint:gosec // small
	}
	for name, bad := range map[string][]wire.Sealed{
		"too many":   {{Incarnation: 1, Lane: dot.Record, Runs: many}},
		"no chain":   {{Lane: dot.Record}},
		"no run":     {{Incarnation: 1, Lane: dot.Record, Runs: []lane.Range{lane.Run(3, 2)}}},
		"no lane is": {{Incarnation: 1, Lane: 9}},
	} {
		b, err := wire.Marshal(wire.Welcome{Sealed: bad})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Unmarshal[wire.Welcome](b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
