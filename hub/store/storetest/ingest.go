package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

var ingestChecks = []check{
	{name: "entries are kept whole", run: checkEntriesKept},
	{name: "an error in ingest leaves nothing", run: checkIngestError},
	{name: "a panic in ingest leaves nothing", run: checkIngestPanic},
	{name: "a dot is inserted once", run: checkInsertTwice},
	{name: "a failed call spoils the transaction", run: checkSpoilt},
	{name: "a transaction ends with ingest", run: checkEnded},
	{name: "a cancelled ingest leaves nothing", run: checkIngestCancelled},
	{name: "ingests on one lane follow one another", run: checkIngestRace},
	{name: "hashes of a run", run: checkHashes},
	{name: "judgements are replaced", run: checkJudge},
	{name: "a large batch", run: checkLargeBatch},
}

var errOnPurpose = errors.New("on purpose")

func checkEntriesKept(t T, w *world) {
	plain := entryAt(chainA, 1)
	bare := store.Entry{Dot: chainA.At(2), Raw: entry.NewRaw([]byte{0}, []byte{}), Judgement: store.Judgement{Verdict: store.Held}}
	bare.Hash = bare.Raw.Hash()
	erased := entryAt(chainA, 3)
	erased.Raw = erased.Raw.Erase()
	erased.Judgement = store.Judgement{Verdict: store.Quarantined, Code: "form_newer", Words: "form visit, version 99: this hub knows up to 3 · 敖特尔"}
	largest := entryAt(chainA, 4)
	largest.Raw = entry.NewRaw(make([]byte, 1<<10), make([]byte, entry.MaxSize-1<<10))
	largest.Hash = largest.Raw.Hash()
	want := []store.Entry{plain, bare, erased, largest}
	add(t, w, want...)
	w.again(t)
	var listed []store.Entry
	for _, e := range list(t, w, store.EntryQuery{WithRaw: true}) {
		listed = append(listed, e.Entry)
	}
	same(t, "entries, listed", listed, want)
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error {
		got, err := tx.Entries(chainA, lane.Run(1, dot.MaxSeq))
		same(t, "entries, in a transaction", got, want)
		return err
	}))
	for _, e := range list(t, w, store.EntryQuery{}) {
		same(t, "bytes when none were asked for", e.Raw, entry.Raw{})
	}
}

// nothing checks that no trace of chainA's ingest is there.
func nothing(t T, w *world) {
	t.Helper()
	same(t, "entries", len(list(t, w, store.EntryQuery{})), 0)
	ls, err := w.Lanes(t.Context())
	ok(t, "lanes", err)
	same(t, "lanes", len(ls), 0)
	gaps, err := w.Gaps(t.Context(), true)
	ok(t, "gaps", err)
	same(t, "gaps", len(gaps), 0)
	forks, err := w.Forks(t.Context())
	ok(t, "forks", err)
	same(t, "forks", len(forks), 0)
	totals, err := w.Totals(t.Context())
	ok(t, "totals", err)
	same(t, "totals", totals, store.Totals{ByVerdict: map[store.Verdict]int64{}})
}

// everything does one of each thing that a transaction can.
func everything(tx store.Tx) error {
	seg := store.Segment{Chain: chainA, Run: lane.Run(5, 6), Before: headOf("r4"), After: headOf("r6")}
	gap := store.Gap{Chain: chainA, Run: lane.Run(3, 4), OpenedAt: noon}
	raw := rawOf(chainA.At(1), "fork")
	_, err := tx.AddFork(store.Fork{Dot: chainA.At(1), Hash: raw.Hash(), Raw: raw, Code: "fork"})
	return errors.Join(addIn(tx, entriesOf(chainA, lane.Run(1, 2))...), tx.AddSegment(seg), tx.SetGaps(chainA, []store.Gap{gap}, nil), err)
}

func checkIngestError(t T, w *world) {
	err := w.Ingest(t.Context(), func(tx store.Tx) error { return errors.Join(everything(tx), errOnPurpose) })
	if !errors.Is(err, errOnPurpose) {
		t.Errorf("ingest gave %v", err)
	}
	nothing(t, w)
	w.again(t)
	nothing(t, w)
	ok(t, "ingest afterwards", w.Ingest(t.Context(), everything))
	same(t, "entries afterwards", len(list(t, w, store.EntryQuery{})), 2)
}

func checkIngestPanic(t T, w *world) {
	func() {
		defer func() { same(t, "recovered", recover(), any("on purpose")) }()
		_ = w.Ingest(t.Context(), func(tx store.Tx) error {
			if err := everything(tx); err != nil {
				t.Errorf("before the panic: %v", err)
			}
			panic("on purpose")
		})
	}()
	nothing(t, w)
	ok(t, "ingest afterwards", w.Ingest(t.Context(), everything))
}

func checkInsertTwice(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(1, 120))...)
	twice := func(what string, es []store.Entry) {
		t.Helper()
		err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.Insert(es) })
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("%s: %v", what, err)
		}
	}
	twice("an entry that is there", entriesOf(chainA, lane.Run(7, 7)))
	twice("one among many new", entriesOf(chainA, lane.Run(120, 400)))
	other := entryAt(chainA, 9)
	other.Raw = rawOf(other.Dot, "other bytes")
	other.Hash = other.Raw.Hash()
	twice("the same dot with other bytes", []store.Entry{other})
	fresh := entryAt(chainA, 121)
	twice("twice in one call", []store.Entry{fresh, fresh})
	same(t, "entries", len(list(t, w, store.EntryQuery{})), 120)
	add(t, w, entriesOf(chainB, lane.Run(1, 120))...) // the same seqs of another chain are others
}

func checkSpoilt(t T, w *world) {
	add(t, w, entryAt(chainA, 1))
	err := w.Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.Insert(entriesOf(chainA, lane.Run(2, 3))); err != nil {
			return err
		}
		if _, err := tx.SegmentAt(chainA, 9); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no segment: %v", err)
		}
		if err := tx.Insert(entriesOf(chainA, lane.Run(1, 1))); err == nil {
			t.Errorf("an existing dot was inserted")
		}
		return nil // fn overlooks the error
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("ingest gave %v", err)
	}
	same(t, "entries", len(list(t, w, store.EntryQuery{})), 1)
	ok(t, "finding no segment spoils nothing", w.Ingest(t.Context(), func(tx store.Tx) error {
		_, _ = tx.SegmentAt(chainA, 9)
		return tx.Insert(entriesOf(chainA, lane.Run(2, 3)))
	}))
	same(t, "entries", len(list(t, w, store.EntryQuery{})), 3)
}

func checkEnded(t T, w *world) {
	var leaked store.Tx
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error { leaked = tx; return nil }))
	if err := leaked.Insert(entriesOf(chainA, lane.Run(1, 1))); err == nil {
		t.Errorf("a transaction was used after its end")
	}
	nothing(t, w)
}

func checkIngestCancelled(t T, w *world) {
	ctx, cancel := context.WithCancel(t.Context())
	err := w.Ingest(ctx, func(tx store.Tx) error {
		defer cancel()
		return everything(tx)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before the commit: %v", err)
	}
	nothing(t, w)
	ctx, cancel = context.WithCancel(t.Context())
	err = w.Ingest(ctx, func(tx store.Tx) error {
		cancel()
		return everything(tx)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before the work: %v", err)
	}
	nothing(t, w)
	if err := w.Ingest(ctx, everything); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before the call: %v", err)
	}
	for _, err := range w.Entries(ctx, store.EntryQuery{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled listing gave %v", err)
		}
	}
	if _, err := w.Totals(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled totals: %v", err)
	}
	ok(t, "ingest afterwards", w.Ingest(t.Context(), everything))
}

func checkIngestRace(t T, w *world) {
	const workers, each = 8, 12
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for range each {
				err := w.Ingest(t.Context(), func(tx store.Tx) error {
					for _, c := range []dot.Chain{alertA, chainA} {
						l, err := tx.Lane(c)
						if err != nil {
							return err
						}
						e := entryAt(c, l.Received.Through()+1)
						e.Entity = fmt.Sprint(worker)
						if err := addIn(tx, e); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("ingest: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for _, c := range []dot.Chain{alertA, chainA} {
		same(t, "received of "+c.String(), laneOf(t, w, c).Received, lane.NewSet(lane.Run(1, workers*each)))
	}
	same(t, "entries", len(list(t, w, store.EntryQuery{})), 2*workers*each)
}

func checkHashes(t T, w *world) {
	add(t, w, append(entriesOf(chainA, lane.Run(1, 3)), entryAt(chainA, 7))...)
	add(t, w, entryAt(chainB, 2))
	want := map[dot.Seq]entry.Hash{3: entryAt(chainA, 3).Hash, 7: entryAt(chainA, 7).Hash}
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error {
		got, err := tx.Hashes(chainA, lane.Run(3, 9))
		same(t, "hashes", got, want)
		none, err2 := tx.Hashes(alertA, lane.Run(1, 9))
		same(t, "hashes of an unknown chain", len(none), 0)
		es, err3 := tx.Entries(chainA, lane.Run(2, 7))
		same(t, "entries of the run", len(es), 3)
		return errors.Join(err, err2, err3)
	}))
}

func checkJudge(t T, w *world) {
	held := entriesOf(chainA, lane.Run(1, 4))
	for i := range held {
		held[i].Judgement = store.Judgement{Verdict: store.Held}
	}
	add(t, w, held...)
	bad := store.Judgement{Verdict: store.Quarantined, Code: "id_checksum", Words: "the number's check digit is wrong"}
	ok(t, "judge", w.Ingest(t.Context(), func(tx store.Tx) error {
		return tx.Judge(chainA, map[dot.Seq]store.Judgement{1: {Verdict: store.Applied}, 2: bad, 3: {Verdict: store.Merged}})
	}))
	ok(t, "judge again", w.Ingest(t.Context(), func(tx store.Tx) error {
		return tx.Judge(chainA, map[dot.Seq]store.Judgement{3: {Verdict: store.Applied}})
	}))
	err := w.Ingest(t.Context(), func(tx store.Tx) error {
		return tx.Judge(chainA, map[dot.Seq]store.Judgement{4: {Verdict: store.Applied}, 5: {Verdict: store.Applied}})
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("judging an entry that is not there: %v", err)
	}
	w.again(t)
	var got []store.Judgement
	for _, e := range list(t, w, store.EntryQuery{}) {
		got = append(got, e.Judgement)
	}
	same(t, "judgements", got, []store.Judgement{{Verdict: store.Applied}, bad, {Verdict: store.Applied}, {Verdict: store.Held}})
	counts, err := w.VerdictCounts(t.Context())
	ok(t, "verdict counts", err)
	same(t, "verdict counts", counts, map[dot.Device]map[store.Verdict]int64{"D-101": {store.Applied: 2, store.Quarantined: 1, store.Held: 1}})
	heldCounts, err := w.HeldCounts(t.Context())
	ok(t, "held counts", err)
	same(t, "held counts", heldCounts, map[dot.Chain]int64{chainA: 1})
}

func checkLargeBatch(t T, w *world) {
	const n = 2_345
	add(t, w, entriesOf(chainA, lane.Run(1, n))...)
	got := list(t, w, store.EntryQuery{WithRaw: true})
	if len(got) != n {
		t.Fatalf("%d entries came back, want %d", len(got), n)
	}
	for i, e := range got {
		if want := entryAt(chainA, dot.Seq(i+1)); e.Dot != want.Dot || !e.Raw.Equal(want.Raw) || e.Entity != want.Entity {
			t.Fatalf("entry %d came back as %+v", i+1, e)
		}
	}
}
