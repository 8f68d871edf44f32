package ingest_test

import (
	"slices"
	"strings"
	"testing"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/receipt"
)

// A device that leaves a hole after every entry is taken up to a bound: what would make more
// holes is in no receipt, and comes again. Sent from the lowest on, all of it is taken.
func TestHolesAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	check(t, w.enrol(t.Context(), "D-101"))
	h := newHistory(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, "main")
	const last = 2 * (1024 + 20)
	for range last {
		h.mint("", clockOf{wall: noon})
	}
	var scattered []ingest.Arrival
	for s := dot.Seq(2); s <= last; s += 2 {
		scattered = append(scattered, w.frame(t, h, s, s))
	}
	results, err := w.Take(t.Context(), scattered)
	check(t, err)
	taken, left := 0, 0
	for _, r := range results {
		taken, left = taken+r.New, left+r.Left
	}
	if taken != 1024 || left != 20 {
		t.Errorf("%d taken, %d left", taken, left)
	}
	l, err := laneOf(t.Context(), w.Store, h.chain)
	check(t, err)
	gaps, err := w.Gaps(t.Context(), false)
	check(t, err)
	if len(l.Received) != 1024 || l.Received.Highest() != 2048 || len(gaps) != 1024 {
		t.Errorf("%d runs up to %d, %d gaps", len(l.Received), l.Received.Highest(), len(gaps))
	}
	rec, err := receipt.Open(results[len(results)-1].Receipt, w.cfg.Key.Public())
	check(t, err)
	if rec.Set().Contains(last) {
		t.Error("the receipt covers what was not taken")
	}
	fs, err := w.Findings(t.Context(), false)
	check(t, err)
	if !slices.ContainsFunc(fs, func(f store.Finding) bool {
		return f.Code == "many_holes" && f.Device == "D-101" && strings.Contains(f.Words, "not taken")
	}) {
		t.Errorf("findings %+v", fs)
	}
	// What touches a run makes no hole more, wherever it is.
	results, err = w.Take(t.Context(), []ingest.Arrival{w.frame(t, h, 1500, 1502), w.frame(t, h, 2049, 2049), w.frame(t, h, 2060, 2060)})
	check(t, err)
	if results[0].New != 1 || results[1].New != 1 || results[2].New != 1 || results[2].Left != 0 {
		t.Errorf("results %+v", results) // the first closed a hole, so there is room for one
	}
	var whole []ingest.Arrival
	for s := dot.Seq(1); s <= last; s += 36 {
		whole = append(whole, w.frame(t, h, s, min(s+35, last)))
	}
	for _, a := range whole {
		results, err := w.Take(t.Context(), []ingest.Arrival{a})
		check(t, err)
		if results[0].Left != 0 {
			t.Fatalf("left %d of what comes from the lowest on", results[0].Left)
		}
	}
	check(t, ledgerIs(t.Context(), w, h))
	if gaps, err = w.Gaps(t.Context(), false); err != nil || len(gaps) != 0 {
		t.Errorf("%d gaps, %v", len(gaps), err)
	}
}
