package ingest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/receipt"
)

var errDisk = errors.New("the disk says no")

// frail is a database that fails where it is told to.
type frail struct {
	store.Store
	putFails bool
	// refuses entries, by dot, when they are inserted
	refuses map[dot.Dot]bool
	// lateFails: fn ran, the commit did not
	lateFails bool
}

func (f *frail) PutUnattributed(ctx context.Context, u store.Unattributed) (bool, error) {
	if f.putFails {
		return false, errDisk
	}
	return f.Store.PutUnattributed(ctx, u)
}

func (f *frail) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Ingest(ctx, func(tx store.Tx) error {
		err := fn(frailTx{tx, f})
		if f.lateFails {
			return errors.Join(err, errDisk)
		}
		return err
	})
}

type frailTx struct {
	store.Tx
	f *frail
}

func (x frailTx) Insert(es []store.Entry) error {
	for _, e := range es {
		if x.f.refuses[e.Dot] {
			return errDisk
		}
	}
	return x.Tx.Insert(es)
}

func frailWorld(t *testing.T) (*world, *frail, *history) {
	t.Helper()
	f := &frail{refuses: make(map[dot.Dot]bool)}
	w := newWorld(t, func(s store.Store) ingest.Store { f.Store = s; return f })
	check(t, w.enrol(t.Context(), "D-101"))
	h := newHistory(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, "main")
	for range 6 {
		h.mint("", clockOf{wall: noon})
	}
	return w, f, h
}

// kept is how much of a history the hub has.
func kept(t *testing.T, w *world, h *history) string {
	t.Helper()
	l, err := laneOf(t.Context(), w.Store, h.chain)
	check(t, err)
	return l.Received.String()
}

func TestNothingIsKeptOfATakeThatFails(t *testing.T) {
	for name, breaks := range map[string]func(f *frail, h *history){
		"at an entry of the second frame": func(f *frail, h *history) { f.refuses[h.chain.At(5)] = true },
		"at the commit":                   func(f *frail, _ *history) { f.lateFails = true },
		"at what nobody vouches for":      func(f *frail, _ *history) { f.putFails = true },
	} {
		t.Run(name, func(t *testing.T) {
			w, f, h := frailWorld(t)
			as := []ingest.Arrival{w.frame(t, h, 1, 3), w.frame(t, h, 4, 6), {Sender: "D-101", Frame: []byte("rubbish")}}
			breaks(f, h)
			results, err := w.Take(t.Context(), as)
			if !errors.Is(err, errDisk) || results != nil {
				t.Errorf("results %v, error %v", results, err)
			}
			if got := kept(t, w, h); got != "{}" {
				t.Errorf("kept %s", got)
			}
			*f = frail{Store: f.Store, refuses: map[dot.Dot]bool{}}
			results, err = w.Take(t.Context(), as)
			check(t, err)
			totals, err := w.Totals(t.Context())
			check(t, err)
			if got := kept(t, w, h); got != "{1-6}" || results[1].New != 3 || totals.Duplicates != 0 || totals.Unattributed != 1 {
				t.Errorf("taken again: kept %s, results %+v, totals %+v", got, results, totals)
			}
		})
	}
}

func TestTakenSinglyAllButTheOneThatFails(t *testing.T) {
	w, f, h := frailWorld(t)
	f.refuses[h.chain.At(4)] = true
	a := w.frame(t, h, 1, 6)
	if _, err := w.Take(t.Context(), []ingest.Arrival{a}); !errors.Is(err, errDisk) {
		t.Fatalf("taken whole: %v", err)
	}
	r, err := w.TakeSingly(t.Context(), a)
	if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "D-101/1/record 4") {
		t.Errorf("error: %v", err)
	}
	if r.New != 5 || r.Copies != 0 || r.Chain != h.chain {
		t.Errorf("result: %+v", r)
	}
	rec, err := receipt.Open(r.Receipt, w.cfg.Key.Public())
	check(t, err)
	if got := rec.Set().String(); got != "{1-3, 5-6}" || rec.Head != h.heads[3] {
		t.Errorf("receipt covers %s", got)
	}

	// Once the database takes it, the hole fills and all is as if nothing had been.
	f.refuses = nil
	_, err = w.Take(t.Context(), []ingest.Arrival{a})
	check(t, err)
	check(t, ledgerIs(t.Context(), w, h))
	l, err := laneOf(t.Context(), w.Store, h.chain)
	check(t, err)
	if l.Received.Through() != 6 || l.Head != h.heads[6] || l.Duplicates != 5 {
		t.Errorf("lane: %+v", l)
	}
}

func TestTakenSinglyRaisesTheSameAlarms(t *testing.T) {
	w, _, h := frailWorld(t)
	twin := h.branch("twin", 4)
	for range 2 {
		twin.mint("", clockOf{wall: noon})
	}
	_, err := w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, 1, 6)})
	check(t, err)
	r, err := w.TakeSingly(t.Context(), w.frame(t, twin, 3, 5))
	check(t, err)
	findings, err := w.Findings(t.Context(), false)
	check(t, err)
	if r.Forked != 2 || r.Copies != 1 || !slices.ContainsFunc(findings, func(f store.Finding) bool { return f.Code == "fork" && f.Device == "D-101" }) {
		t.Errorf("result %+v, findings %+v", r, findings)
	}
}

func TestTakenSinglyWhatNobodyVouchesFor(t *testing.T) {
	w, _, _ := frailWorld(t)
	r, err := w.TakeSingly(t.Context(), ingest.Arrival{Sender: "D-101", Frame: []byte("rubbish")})
	check(t, err)
	if r.Unattributed != "malformed" || r.Receipt != nil {
		t.Errorf("result %+v", r)
	}
}
