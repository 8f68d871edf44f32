package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// effects are the entries that took their effect, as they did, a transaction each.
type effects struct{ rounds [][]dot.Dot }

type effectsRound struct {
	of  *effects
	got []dot.Dot
}

func (r *effectsRound) Take(es []store.Entry, _ []string) error {
	for _, e := range es {
		r.got = append(r.got, e.Dot)
	}
	return nil
}

func (r *effectsRound) Finish() error {
	r.of.rounds = append(r.of.rounds, r.got)
	return nil
}

// holding is a hub that has some runs of a chain of last entries, each in a frame of its own.
func holding(t *testing.T, wrap func(store.Store) ingest.Store, last dot.Seq, has ...lane.Range) (*world, *history, *effects) {
	t.Helper()
	w := newWorld(t, wrap)
	check(t, w.enrol(t.Context(), "D-101"))
	h := newHistory(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, "main")
	for range last {
		h.mint("", clockOf{wall: noon})
	}
	took := &effects{}
	w.cfg.Begin = func(store.Tx, int64) ingest.Round { return &effectsRound{of: took} }
	w.Ingest = ingest.New(w.cfg)
	for _, r := range has {
		_, err := w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, r.First, r.Last)})
		check(t, err)
	}
	took.rounds = nil
	return w, h, took
}

// heldWorld is a hub that has entries 11 to 100 of a chain in frames of ten, and the frame
// that is missing.
func heldWorld(t *testing.T, wrap func(store.Store) ingest.Store) (*world, *history, *effects, ingest.Arrival) {
	t.Helper()
	var has []lane.Range
	for s := dot.Seq(11); s <= 100; s += 10 {
		has = append(has, lane.Run(s, s+9))
	}
	w, h, took := holding(t, wrap, 100, has...)
	return w, h, took, w.frame(t, h, 1, 10)
}

// What is held is released a bounded number a transaction: no receipt goes further than
// what took its effect, a hub that starts anew goes on, and each entry has its effect
// once, in the order of the chain.
func TestWhatIsHeldIsReleasedALittleAtATime(t *testing.T) {
	w, h, took, hole := heldWorld(t, nil)
	w.Narrow(25, 1<<30)
	results, err := w.Take(t.Context(), []ingest.Arrival{hole})
	check(t, err)
	r := results[0]
	for step := range 20 {
		rec, err := receipt.Open(r.Receipt, w.cfg.Key.Public())
		check(t, err)
		l, err := laneOf(t.Context(), w.Store, h.chain)
		check(t, err)
		if rec.Head != h.heads[rec.Through] || l.Head != h.heads[100] || l.Received.Through() != 100 {
			t.Errorf("step %d: receipt through %d; lane %+v", step, rec.Through, l)
		}
		es, err := entriesOf(t.Context(), w.Store, "D-101")
		check(t, err)
		for _, e := range es {
			if held := e.Judgement.Verdict == store.Held; held != (e.Dot.Seq > rec.Through) {
				t.Fatalf("step %d: receipt through %d, and %s is %s", step, rec.Through, e.Dot, e.Judgement.Verdict)
			}
		}
		if ingest.Unreleased(l) != r.Unreleased {
			t.Errorf("step %d: the lane says %t, the result %t", step, ingest.Unreleased(l), r.Unreleased)
		}
		if !r.Unreleased {
			break
		}
		w.Ingest = ingest.New(w.cfg) // it was killed here
		w.Narrow(25, 1<<30)
		if r, err = w.Release(t.Context(), h.chain); err != nil {
			t.Fatal(err)
		}
	}
	check(t, ledgerIs(t.Context(), w, h))
	var all []dot.Dot
	for _, round := range took.rounds {
		if len(round) > 40 { // 25, the frame that filled the hole, and what is left of a segment
			t.Errorf("%d entries in one transaction", len(round))
		}
		all = append(all, round...)
	}
	if len(all) != 100 || !slices.IsSortedFunc(all, dot.Dot.Compare) || len(slices.Compact(all)) != 100 || len(took.rounds) != 3 {
		t.Errorf("%d effects in %d transactions", len(all), len(took.rounds))
	}
	// There is nothing more, and asking changes nothing.
	if r, err = w.Release(t.Context(), h.chain); err != nil || r.Unreleased || len(took.rounds[len(took.rounds)-1]) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What comes meanwhile is held behind it; a copy is a copy; bytes count as well as entries.
func TestWhatComesWhileHeldEntriesAreReleased(t *testing.T) {
	w, h, took, hole := heldWorld(t, nil)
	for range 20 {
		h.mint("", clockOf{wall: noon})
	}
	w.Narrow(1<<20, 1)
	results, err := w.Take(t.Context(), []ingest.Arrival{hole})
	check(t, err)
	if !results[0].Unreleased || len(took.rounds[0]) != 20 {
		t.Fatalf("%+v, %d effects", results[0], len(took.rounds[0]))
	}
	results, err = w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, 101, 110), w.frame(t, h, 31, 40), w.frame(t, h, 113, 113)})
	check(t, err)
	if results[0].New != 10 || results[1].Copies != 10 || results[2].New != 1 || !results[2].Unreleased {
		t.Errorf("results %+v", results)
	}
	l, err := laneOf(t.Context(), w.Store, h.chain)
	check(t, err)
	if l.Head != h.heads[110] || l.Received.String() != "{1-110, 113}" || l.Joined != 30 || l.JoinedHead != h.heads[30] {
		t.Errorf("lane %+v", l)
	}
	for range 30 {
		if !results[0].Unreleased {
			break
		}
		if results[0], err = w.Release(t.Context(), h.chain); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, 111, 120)})
	check(t, err)
	check(t, ledgerIs(t.Context(), w, h))
	if l, err = laneOf(t.Context(), w.Store, h.chain); err != nil || l.Head != h.heads[120] || l.Joined != 0 || len(l.Received) != 1 {
		t.Errorf("lane %+v, %v", l, err)
	}
}

// An operator's sealing of the hole releases no more at once either.
func TestSealingReleasesALittleAtATime(t *testing.T) {
	w, h, took, _ := heldWorld(t, nil)
	w.Narrow(10, 1<<30)
	var l store.Lane
	check(t, w.Store.Ingest(t.Context(), func(tx store.Tx) (err error) {
		l, err = w.Seal(tx, h.chain, lane.Run(1, 10), noon.UnixMilli())
		return err
	}))
	steps := 0
	for r := (ingest.Result{Unreleased: ingest.Unreleased(l)}); r.Unreleased; steps++ {
		var err error
		if r, err = w.Release(t.Context(), h.chain); err != nil {
			t.Fatal(err)
		}
		rec, err := receipt.Open(r.Receipt, w.cfg.Key.Public())
		check(t, err)
		if rec.Through != 0 {
			t.Errorf("a receipt covers what was sealed: %d", rec.Through)
		}
	}
	if steps != 8 || len(slices.Concat(took.rounds...)) != 90 {
		t.Errorf("%d steps, %d effects", steps, len(slices.Concat(took.rounds...)))
	}
}

// A transaction that fails in the middle leaves the lane where the one before did.
func TestAReleaseThatFailsIsDoneAgain(t *testing.T) {
	f := &frail{refuses: make(map[dot.Dot]bool)}
	w, h, took, hole := heldWorld(t, func(s store.Store) ingest.Store { f.Store = s; return f })
	w.Narrow(10, 1<<30)
	_, err := w.Take(t.Context(), []ingest.Arrival{hole})
	check(t, err)
	before, err := laneOf(t.Context(), w.Store, h.chain)
	check(t, err)
	f.lateFails = true
	if r, err := w.Release(t.Context(), h.chain); !errors.Is(err, errDisk) || !r.Unreleased || r.Receipt != nil {
		t.Errorf("%+v, %v", r, err)
	}
	f.lateFails = false
	took.rounds = took.rounds[:1]
	if l, err := laneOf(t.Context(), w.Store, h.chain); err != nil || l.Joined != before.Joined || l.Head != before.Head {
		t.Errorf("lane %+v, %v", l, err)
	}
	for r := (ingest.Result{Unreleased: true}); r.Unreleased; {
		if r, err = w.Release(t.Context(), h.chain); err != nil {
			t.Fatal(err)
		}
	}
	check(t, ledgerIs(t.Context(), w, h))
	if n := len(slices.Concat(took.rounds...)); n != 100 {
		t.Errorf("%d effects", n)
	}
}

// In whatever order entries arrive, and however little is released at once: it comes to the
// same ledger, and receipts hold on the way.
func TestAnyOrderOfArrivalALittleAtATime(t *testing.T) {
	w := newWorld(t, nil)
	w.Narrow(1, 1)
	days, released := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		days++
		d := drawDay(rt, fmt.Sprintf("D-%d", days))
		d.between = func(ctx context.Context) error {
			for _, h := range d.histories {
				for range rapid.IntRange(0, 3).Draw(rt, "releases") {
					n, err := releaseOnce(ctx, w, h)
					if released += n; err != nil {
						return err
					}
				}
			}
			return nil
		}
		d.last = func(ctx context.Context) error {
			for _, h := range d.histories {
				for n := 1; n > 0; released += n {
					var err error
					if n, err = releaseOnce(ctx, w, h); err != nil {
						return err
					}
				}
			}
			return nil
		}
		if err := d.deliver(t.Context(), w); err != nil {
			rt.Fatal(err)
		}
	})
	if days < 20 || released == 0 {
		t.Errorf("%d days, %d releases", days, released)
	}
}

// releaseOnce goes on with a chain if there is something to release.
func releaseOnce(ctx context.Context, w *world, h *history) (int, error) {
	if l, err := laneOf(ctx, w.Store, h.chain); err != nil || !ingest.Unreleased(l) {
		return 0, err
	}
	r, err := w.Release(ctx, h.chain)
	if err != nil {
		return 0, err
	}
	return 1, receiptHolds(ctx, w, h, r, make(map[dot.Chain]dot.Seq))
}

// Sealed holes between what is held end a transaction like all else.
func TestSealedHolesReleaseALittleAtATime(t *testing.T) {
	var has []lane.Range
	for s := dot.Seq(12); s <= 60; s += 10 { // 11, 21, and so on never come
		has = append(has, lane.Run(s, min(s+8, 60)))
	}
	w, h, took := holding(t, nil, 60, has...)
	check(t, w.Store.Ingest(t.Context(), func(tx store.Tx) error {
		for s := dot.Seq(11); s <= 60; s += 10 {
			if _, err := w.Seal(tx, h.chain, lane.Run(s, s), noon.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	}))
	w.Narrow(1, 1)
	results, err := w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, 1, 10)})
	check(t, err)
	r := results[0]
	steps := 0
	for ; r.Unreleased; steps++ {
		if r, err = w.Release(t.Context(), h.chain); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(slices.Concat(took.rounds...)); steps != 4 || n != 55 {
		t.Errorf("%d steps, %d effects", steps, n)
	}
}
