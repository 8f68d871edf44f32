package storetest

import (
	"errors"
	"sync"
	"sync/atomic"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
)

var rollbackChecks = []check{
	{name: "one of many succeeds an epoch", run: checkSucceed},
	{name: "losses open, widen and close", run: checkLosses},
	{name: "archived rises as far as received", run: checkArchive},
	{name: "a whole database checks", run: checkCheck},
}

func checkSucceed(t T, w *world) {
	first := receipt.EpochCertificate{Epoch: receipt.Epoch{1}, Minted: noon}
	if _, _, err := w.Succeed(t.Context(), first.Epoch, first, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before there is an epoch: %v", err)
	}
	_, err := w.Epoch(t.Context(), func() (receipt.EpochCertificate, error) { return first, nil })
	ok(t, "epoch", err)
	var wg sync.WaitGroup
	var minted atomic.Int32
	for i := range byte(16) {
		wg.Go(func() {
			child := receipt.EpochCertificate{Epoch: receipt.Epoch{2, i}, Parent: first.Epoch, Lineage: 1, Minted: noon + 1}
			now, own, err := w.Succeed(t.Context(), first.Epoch, child, []store.Loss{{Chain: chainA, Run: lane.Run(1, dot.Seq(i)+1), Epoch: child.Epoch, NotedAt: noon}})
			if err != nil || own != (now == child) || now.Lineage != 1 {
				t.Errorf("succeed: %+v, %v, %v", now, own, err)
			}
			if own {
				minted.Add(1)
			}
		})
	}
	wg.Wait()
	same(t, "children", minted.Load(), int32(1))
	w.again(t)
	now, err := w.Epoch(t.Context(), nil)
	ok(t, "epoch", err)
	ls, err := w.Losses(t.Context(), false)
	ok(t, "losses", err)
	if len(ls) != 1 || ls[0].Epoch != now.Epoch || ls[0].Run.Last != dot.Seq(now.Epoch[1])+1 {
		t.Errorf("losses %+v of another than the epoch %+v", ls, now)
	}
}

func checkLosses(t T, w *world) {
	enrolled(t, w, "D-101")
	add(t, w, entriesOf(chainA, lane.Run(1, 3))...)
	e := receipt.Epoch{5}
	note := func(run lane.Range, at int64) {
		t.Helper()
		ok(t, "note", w.NoteLosses(t.Context(), []store.Loss{{Chain: chainA, Run: run, Epoch: e, NotedAt: at}}))
	}
	wants := func(regained bool, want ...store.Loss) {
		t.Helper()
		got, err := w.Losses(t.Context(), regained)
		ok(t, "losses", err)
		same(t, "losses", got, want)
	}
	note(lane.Run(1, 3), noon) // all of it is there
	wants(true)
	note(lane.Run(2, 6), noon)
	l := store.Loss{Chain: chainA, Run: lane.Run(2, 6), Epoch: e, Missing: 3, Left: 3, NotedAt: noon}
	wants(false, l)
	note(lane.Run(4, 5), noon+1) // says nothing new
	wants(false, l)
	add(t, w, entryAt(chainA, 5))
	l.Left = 2
	wants(false, l)
	note(lane.Run(4, 9), noon+2)
	l.Run, l.Missing, l.Left = lane.Run(2, 9), 6, 5
	w.again(t)
	wants(false, l)
	for _, s := range []dot.Seq{4, 6, 7, 8} {
		add(t, w, entryAt(chainA, s))
	}
	l.Left = 1
	wants(false, l)
	add(t, w, entryAt(chainA, 9))
	wants(false)
	l.Left, l.RegainedAt = 0, entryAt(chainA, 9).ReceivedAt
	wants(true, l)
	note(lane.Run(20, 21), noon+9) // another restore, another loss
	wants(true, l, store.Loss{Chain: chainA, Run: lane.Run(20, 21), Epoch: e, Missing: 2, Left: 2, NotedAt: noon + 9})
}

func checkArchive(t T, w *world) {
	enrolled(t, w, "D-101")
	add(t, w, entriesOf(chainA, lane.Run(1, 10))...)
	add(t, w, entryAt(chainA, 12))
	for _, c := range []struct{ mark, want dot.Seq }{{4, 4}, {2, 4}, {dot.MaxSeq, 10}, {0, 10}} {
		ok(t, "archive", w.Archive(t.Context(), []store.Watermark{{Chain: chainA, Through: c.mark}, {Chain: chainB, Through: 9}}))
		same(t, "archived", laneOf(t, w, chainA).Archived, c.want)
	}
	ls, err := w.Lanes(t.Context())
	ok(t, "lanes", err)
	same(t, "lanes", len(ls), 1)
}

func checkCheck(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(1, 100))...)
	ok(t, "check", w.Check(t.Context()))
	ok(t, "glance", w.Glance(t.Context()))
}
