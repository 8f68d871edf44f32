package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"otor/hub/store"
)

var noteChecks = []check{
	{name: "findings open, change and close", run: checkFindings},
	{name: "unattributed frames are kept once", run: checkUnattributed},
	{name: "unattributed frames are bounded", run: checkUnattributedBound, slow: true},
	{name: "a closed store says so", run: checkClosed},
}

func checkFindings(t T, w *world) {
	f := store.Finding{Device: "D-301", Code: "clock_skew", Words: "47 minutes fast", Value: 47 * 60_000, OpenedAt: noon, UpdatedAt: noon}
	ok(t, "set", w.SetFinding(t.Context(), f))
	other := store.Finding{Device: "D-102", Code: "fork", Words: "two devices", Value: -1, OpenedAt: noon + 1, UpdatedAt: noon + 1}
	ok(t, "set another", w.SetFinding(t.Context(), other))
	later := f
	later.Words, later.Value, later.OpenedAt, later.UpdatedAt = "46 minutes fast", 46*60_000, noon+9, noon+9
	ok(t, "update within a transaction", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetFinding(later) }))
	undone := errors.New("undone")
	gone := store.Finding{Device: "D-301", Code: "twins", OpenedAt: noon, UpdatedAt: noon}
	if err := w.Ingest(t.Context(), func(tx store.Tx) error { return errors.Join(tx.SetFinding(gone), undone) }); !errors.Is(err, undone) {
		t.Errorf("a transaction that was undone: %v", err)
	}
	later.OpenedAt = noon
	w.again(t)
	got, err := w.Findings(t.Context(), false)
	ok(t, "findings", err)
	same(t, "findings", got, []store.Finding{later, other})

	ok(t, "clear", w.ClearFinding(t.Context(), "D-301", "clock_skew", noon+20))
	ok(t, "clear what is not open", w.ClearFinding(t.Context(), "D-301", "clock_skew", noon+21))
	got, err = w.Findings(t.Context(), false)
	ok(t, "findings", err)
	same(t, "open findings", got, []store.Finding{other})
	f.OpenedAt, f.UpdatedAt = noon+30, noon+30
	ok(t, "open again", w.SetFinding(t.Context(), f))
	later.ClosedAt, later.UpdatedAt = noon+20, noon+20
	got, err = w.Findings(t.Context(), true)
	ok(t, "findings", err)
	same(t, "all findings", got, []store.Finding{later, other, f})
}

func checkUnattributed(t T, w *world) {
	big := bytes.Repeat([]byte("x"), store.MaxKeptFrame+10)
	one := store.Unattributed{ReceivedAt: noon, Via: "D-301", Claims: "X-1", Code: "unknown_key", Words: "no such device", Size: 5, Frame: []byte("frame")}
	two := store.Unattributed{ReceivedAt: noon + 1, Via: "D-101", Code: "malformed", Size: len(big), Frame: big}
	otherWay := one
	otherWay.Via = "D-302"
	var fresh []bool
	for _, u := range []store.Unattributed{one, two, one, otherWay, two} {
		isNew, err := w.PutUnattributed(t.Context(), u)
		ok(t, "put", err)
		fresh = append(fresh, isNew)
	}
	same(t, "which were new", fresh, []bool{true, true, false, true, false})
	w.again(t)
	got, err := w.Unattributed(t.Context())
	ok(t, "list", err)
	if len(got) != 3 {
		t.Fatalf("%d frames are listed, want 3", len(got))
	}
	for i, want := range []store.Unattributed{one, two, otherWay} {
		frame, err := w.UnattributedFrame(t.Context(), got[i].ID)
		ok(t, "frame", err)
		same(t, "frame", frame, want.Frame[:min(len(want.Frame), store.MaxKeptFrame)])
		want.ID, want.Frame = got[i].ID, nil
		same(t, "listed frame", got[i], want)
	}
	if got[0].ID >= got[1].ID || got[1].ID >= got[2].ID {
		t.Errorf("ids do not rise: %d, %d, %d", got[0].ID, got[1].ID, got[2].ID)
	}
	if _, err := w.UnattributedFrame(t.Context(), got[2].ID+1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown frame: %v", err)
	}
	totals, err := w.Totals(t.Context())
	ok(t, "totals", err)
	same(t, "frames counted", totals.Unattributed, int64(3))
}

func checkUnattributedBound(t T, w *world) {
	const beyond = 25
	var wg sync.WaitGroup
	numbers := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range numbers {
				u := store.Unattributed{ReceivedAt: noon + int64(i), Via: "D-301", Code: "malformed", Frame: fmt.Append(nil, i)}
				if isNew, err := w.PutUnattributed(t.Context(), u); err != nil || !isNew {
					t.Errorf("put frame %d: %v, %v", i, isNew, err)
				}
			}
		})
	}
	for i := range store.MaxUnattributed + beyond {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
	got, err := w.Unattributed(t.Context())
	ok(t, "list", err)
	same(t, "frames kept", len(got), store.MaxUnattributed)
	for i := 1; i < len(got); i++ {
		if got[i].ID <= got[i-1].ID {
			t.Fatalf("frames are out of order at %d", i)
		}
	}
	if oldest := got[0].ReceivedAt - noon; oldest < beyond-8 {
		t.Errorf("frame %d is still there: the oldest must give way", oldest)
	}
	totals, err := w.Totals(t.Context())
	ok(t, "totals", err)
	same(t, "frames counted", totals.Unattributed, int64(store.MaxUnattributed+beyond))
}

func checkClosed(t T, w *world) {
	add(t, w, entryAt(chainA, 1))
	ok(t, "close", w.Close())
	if err := w.Ingest(t.Context(), everything); !errors.Is(err, store.ErrClosed) {
		t.Errorf("ingest after close: %v", err)
	}
	if _, err := w.Lanes(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("lanes after close: %v", err)
	}
	ok(t, "close again", w.Close())
	w.Store = w.reopen()
	same(t, "entries", len(list(t, w, store.EntryQuery{})), 1)
}
