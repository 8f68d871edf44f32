package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/ledger"
	"otor/hub/ledger/journal"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/identity"
)

// worker is one of several hubs on a database.
type worker struct {
	*ledger.Ledger
	t       *testing.T
	key     identity.SigningKey
	journal string
	store   *frail
	heard   []string
}

func newWorkers(t *testing.T, n int) (out []*worker, s store.Store) {
	t.Helper()
	key, err := identity.NewSigningKey(rand.Reader)
	must(t, err)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	for range n {
		w := &worker{t: t, key: key, journal: t.TempDir(), store: &frail{Store: db}}
		w.open()
		out = append(out, w)
	}
	return out, db
}

func (w *worker) open() {
	w.t.Helper()
	kinds := (&office{}).kinds()
	kinds[0].Heard = func(_ context.Context, f ledger.Fact) error { w.heard = append(w.heard, f.Subject); return nil }
	var err error
	w.Ledger, err = ledger.Open(w.t.Context(), ledger.Config{
		Store: w.store, Key: w.key, Kinds: kinds, Dir: w.journal, Make: true, Shared: true, Now: func() time.Time { return time.UnixMilli(1_774_000_000_000) },
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	must(w.t, err)
	w.t.Cleanup(func() { _ = w.Close() })
}

func (w *worker) invite(d dot.Device) error {
	_, err := w.Record(w.t.Context(), ledger.Act{By: "operator", Kind: "invited", Subject: string(d), Body: invited{d, bytes.Repeat([]byte(d[len(d)-1:]), 32)}}, nil)
	return err
}

func (w *worker) follow() {
	w.t.Helper()
	_, err := w.Follow(w.t.Context())
	must(w.t, err)
}

// facts are the subjects in the database, in order.
func facts(t *testing.T, s store.Store) (out []string) {
	t.Helper()
	for f, err := range s.Facts(t.Context(), store.FactQuery{}) {
		must(t, err)
		out = append(out, f.Subject)
	}
	return out
}

// sameJournals wants each worker's journal to hold what the database holds.
func sameJournals(t *testing.T, s store.Store, ws ...*worker) {
	t.Helper()
	var want [][]byte
	for f, err := range s.Facts(t.Context(), store.FactQuery{}) {
		must(t, err)
		want = append(want, f.Signed)
	}
	for i, w := range ws {
		must(t, w.Close())
		var got [][]byte
		j, _, err := journal.Open(w.journal, false, func(c []byte) error { got = append(got, bytes.Clone(c)); return nil })
		must(t, err)
		must(t, j.Close())
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("journal %d has %d facts, the database %d, or they differ", i, len(got), len(want))
		}
	}
}

// TestTwoHubsRecord: each hub's journal has the facts of both, and each carries
// out what the other decided.
func TestTwoHubsRecord(t *testing.T) {
	ws, s := newWorkers(t, 2)
	a, b := ws[0], ws[1]
	must(t, a.invite("D-1"))
	must(t, b.invite("D-2")) // learns the first one
	must(t, b.invite("D-3"))
	a.follow()
	b.follow()
	b.follow()
	if !slices.Equal(a.heard, []string{"D-2", "D-3"}) || !slices.Equal(b.heard, []string{"D-1"}) {
		t.Errorf("heard of %v and %v", a.heard, b.heard)
	}
	if got := facts(t, s); !slices.Equal(got, []string{"D-1", "D-2", "D-3"}) {
		t.Errorf("the database has %v", got)
	}
	sameJournals(t, s, a, b)
}

// TestOvertaken: an act that was journalled and not committed finds its number
// taken by another hub, and is recorded after it, once; with and without a restart
// in between.
func TestOvertaken(t *testing.T) {
	for _, restart := range []bool{false, true} {
		ws, s := newWorkers(t, 2)
		a, b := ws[0], ws[1]
		must(t, a.invite("D-1"))
		a.store.fails = errors.New("the line was cut")
		if err := a.invite("D-2"); !errors.Is(err, ledger.ErrPending) {
			t.Fatalf("got %v, want %v", err, ledger.ErrPending)
		}
		a.store.fails = nil
		must(t, b.invite("D-3"))
		if restart {
			must(t, a.Close())
			a.open()
		} else {
			a.follow()
		}
		must(t, a.invite("D-4"))
		b.follow()
		if got := facts(t, s); !slices.Equal(got, []string{"D-1", "D-3", "D-2", "D-4"}) {
			t.Errorf("restart %v: the database has %v", restart, got)
		}
		ds, err := s.Devices(t.Context())
		must(t, err)
		if len(ds) != 4 {
			t.Errorf("restart %v: %d devices, want 4", restart, len(ds))
		}
		sameJournals(t, s, a, b)
	}
}

// TestACheckBesideAnotherHub: what another hub recorded since this one looked last is no
// damage of its journal.
func TestACheckBesideAnotherHub(t *testing.T) {
	ws, s := newWorkers(t, 2)
	a, b := ws[0], ws[1]
	must(t, a.invite("D-1"))
	must(t, b.invite("D-2"))
	must(t, b.invite("D-3"))
	c, err := a.Check(t.Context())
	if err != nil || c.Facts != 3 || c.Journal != 3 || c.Unapplied != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	a.follow()
	sameJournals(t, s, a, b)
}

// TestOtherKeys: a hub with other keys than those of the database is refused.
func TestOtherKeys(t *testing.T) {
	ws, s := newWorkers(t, 1)
	must(t, ws[0].invite("D-1"))
	key, err := identity.NewSigningKey(rand.Reader)
	must(t, err)
	_, err = ledger.Open(t.Context(), ledger.Config{
		Store: s, Key: key, Kinds: (&office{}).kinds(), Dir: t.TempDir(), Make: true, Shared: true, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if !errors.Is(err, store.ErrForeign) {
		t.Errorf("got %v, want %v", err, store.ErrForeign)
	}
}

// TestOwed: what was taken out of the journal is recorded once, also when the hub ended
// before it could record it again, or after that and before it noted so.
func TestOwed(t *testing.T) {
	ws, s := newWorkers(t, 2)
	a, b := ws[0], ws[1]
	must(t, a.invite("D-1"))
	a.store.fails = errors.New("the line was cut")
	if err := a.invite("D-2"); !errors.Is(err, ledger.ErrPending) {
		t.Fatalf("got %v, want %v", err, ledger.ErrPending)
	}
	must(t, b.invite("D-3"))
	if _, err := a.Follow(t.Context()); err == nil {
		t.Fatal("the line is cut, and nothing failed")
	}
	aside := func(pattern string) []string {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(a.journal, pattern))
		must(t, err)
		return names
	}
	if got := aside("taken-back-*"); len(got) != 1 || strings.HasSuffix(got[0], ".done") {
		t.Fatalf("taken back and owed: %v", got)
	}
	want := []string{"D-1", "D-3"}
	if got := facts(t, s); !slices.Equal(got, want) {
		t.Fatalf("the database has %v", got)
	}
	want = append(want, "D-2")
	for _, when := range []string{"before it was recorded again", "after that"} {
		must(t, a.Close())
		a.store.fails = nil
		for _, done := range aside("*.done") { // the end came before this was noted
			must(t, os.Rename(done, strings.TrimSuffix(done, ".done")))
		}
		a.open()
		if got := facts(t, s); !slices.Equal(got, want) {
			t.Errorf("ended %s: the database has %v, want %v", when, got, want)
		}
		if got := aside("*.done"); len(got) != 1 {
			t.Errorf("ended %s: done are %v", when, got)
		}
	}
	b.follow()
	sameJournals(t, s, a, b)
}
