package storetest

import (
	"errors"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

var holeChecks = []check{
	{name: "segments", run: checkSegments},
	{name: "gaps open and close", run: checkGaps},
	{name: "forks are kept once", run: checkForks},
}

func checkSegments(t T, w *world) {
	seg := func(c dot.Chain, first, last dot.Seq) store.Segment {
		return store.Segment{Chain: c, Run: lane.Run(first, last), Before: headOf("before"), After: headOf("after")}
	}
	ok(t, "add", w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.AddSegment(seg(chainA, 6, 9)), tx.AddSegment(seg(chainA, 12, 12)), tx.AddSegment(seg(chainB, 6, 7)))
	}))
	w.again(t)
	ok(t, "find and drop", w.Ingest(t.Context(), func(tx store.Tx) error {
		got, err := tx.SegmentAt(chainA, 6)
		same(t, "segment", got, seg(chainA, 6, 9))
		for _, miss := range []dot.Seq{1, 7, 9} {
			if _, err := tx.SegmentAt(chainA, miss); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("segment at %d: %v", miss, err)
			}
		}
		return errors.Join(err, tx.DropSegment(got))
	}))
	ok(t, "look again", w.Ingest(t.Context(), func(tx store.Tx) error {
		if _, err := tx.SegmentAt(chainA, 6); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a dropped segment: %v", err)
		}
		_, err1 := tx.SegmentAt(chainA, 12)
		_, err2 := tx.SegmentAt(chainB, 6)
		return errors.Join(err1, err2)
	}))
	if err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.AddSegment(seg(chainA, 12, 13)) }); !errors.Is(err, store.ErrExists) {
		t.Errorf("a second segment at 12: %v", err)
	}
	if err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.DropSegment(seg(chainA, 6, 9)) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("dropping a segment twice: %v", err)
	}
}

func checkGaps(t T, w *world) {
	gap := func(c dot.Chain, first, last dot.Seq, opened, closed int64) store.Gap {
		return store.Gap{Chain: c, Run: lane.Run(first, last), OpenedAt: opened, ClosedAt: closed}
	}
	set := func(c dot.Chain, open, closed []store.Gap) {
		t.Helper()
		ok(t, "set gaps", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetGaps(c, open, closed) }))
	}
	set(chainA, []store.Gap{gap(chainA, 5, 8, noon, 0), gap(chainA, 20, 20, noon+1, 0)}, nil)
	set(chainB, []store.Gap{gap(chainB, 2, 2, noon-1, 0)}, nil)
	set(chainA, []store.Gap{gap(chainA, 20, 20, noon+1, 0), gap(chainA, 5, 6, noon, 0)}, []store.Gap{gap(chainA, 7, 8, noon, noon+9)})
	w.again(t)
	open, err := w.Gaps(t.Context(), false)
	ok(t, "gaps", err)
	wantOpen := []store.Gap{gap(chainB, 2, 2, noon-1, 0), gap(chainA, 5, 6, noon, 0), gap(chainA, 20, 20, noon+1, 0)}
	same(t, "open gaps", open, wantOpen)
	all, err := w.Gaps(t.Context(), true)
	ok(t, "gaps", err)
	same(t, "all gaps", all, []store.Gap{wantOpen[0], wantOpen[1], gap(chainA, 7, 8, noon, noon+9), wantOpen[2]})
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error {
		got, err := tx.OpenGaps(chainA)
		same(t, "open gaps of a chain", got, wantOpen[1:])
		none, err2 := tx.OpenGaps(alertA)
		same(t, "open gaps of an unknown chain", len(none), 0)
		return errors.Join(err, err2)
	}))
	set(chainA, nil, []store.Gap{gap(chainA, 5, 6, noon, noon+10), gap(chainA, 20, 20, noon+1, noon+10)})
	open, err = w.Gaps(t.Context(), false)
	ok(t, "gaps", err)
	same(t, "open gaps at the end", open, wantOpen[:1])
	wrong := gap(chainB, 2, 2, noon, 0)
	if err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetGaps(chainA, []store.Gap{wrong}, nil) }); err == nil {
		t.Errorf("a gap of another chain was taken")
	}
}

func checkForks(t T, w *world) {
	fork := func(seq dot.Seq, words, code string) store.Fork {
		raw := rawOf(chainB.At(seq), words)
		return store.Fork{Dot: chainB.At(seq), Hash: raw.Hash(), Raw: raw, ReceivedAt: noon, Via: "D-301", Code: code}
	}
	var fresh []bool
	put := func(fs ...store.Fork) {
		t.Helper()
		ok(t, "add forks", w.Ingest(t.Context(), func(tx store.Tx) error {
			for _, f := range fs {
				isNew, err := tx.AddFork(f)
				if err != nil {
					return err
				}
				fresh = append(fresh, isNew)
			}
			return nil
		}))
	}
	one, two, three := fork(1, "one", "fork"), fork(1, "two", "fork"), fork(2, "one", "chain_mismatch")
	three.Raw = three.Raw.Erase()
	later := one
	later.ReceivedAt, later.Via = noon+5, "D-302"
	put(one, two, one)
	put(later, three)
	same(t, "which were new", fresh, []bool{true, true, false, false, true})
	w.again(t)
	got, err := w.Forks(t.Context())
	ok(t, "forks", err)
	same(t, "forks", got, []store.Fork{one, two, three})
	totals, err := w.Totals(t.Context())
	ok(t, "totals", err)
	same(t, "forks counted", totals.Forks, int64(3))
	same(t, "a fork's bytes", entry.Hash(got[0].Raw.Hash()), one.Hash)
}
