package storetest

import (
	"math"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

var laneChecks = []check{
	{name: "an unknown lane is empty", run: checkUnknownLane},
	{name: "a lane is kept", run: checkLaneKept},
	{name: "declared never falls", run: checkDeclared},
	{name: "what arrived is declared", run: checkDeclaredByArrival},
}

func checkUnknownLane(t T, w *world) {
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(chainA)
		same(t, "unknown lane", l, store.Lane{Chain: chainA, Head: entry.Genesis(chainA)})
		return err
	}))
	ls, err := w.Lanes(t.Context())
	ok(t, "lanes", err)
	same(t, "lanes after a mere look", len(ls), 0)
}

func checkLaneKept(t T, w *world) {
	want := store.Lane{
		Chain: chainA, Received: lane.NewSet(lane.Run(1, 4), lane.Run(6, 6), lane.Run(300, 70_000), lane.Run(dot.MaxSeq, dot.MaxSeq)),
		Head: headOf("r4"), Archived: 3, Duplicates: math.MaxInt32 + 1, ReceivedAt: noon,
		Declared: dot.MaxSeq, DeclaredHead: headOf("end"), DeclaredAt: noon + 7,
	}
	enrolled(t, w, "D-101")
	ok(t, "note contact", w.NoteContact(t.Context(), "D-101", store.Contact{}, []store.Lane{want}))
	save := func(l store.Lane) {
		t.Helper()
		ok(t, "save", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SaveLane(l) }))
	}
	undeclared := want
	undeclared.Declared, undeclared.DeclaredHead, undeclared.DeclaredAt = 0, entry.Hash{}, 0
	save(undeclared)
	other := store.Lane{Chain: alertA, Received: lane.NewSet(lane.Run(1, 1)), Head: headOf("a1"), ReceivedAt: 5}
	save(other)
	other.Declared, other.DeclaredHead, other.DeclaredAt = 1, other.Head, 5
	w.again(t)
	ls, err := w.LanesOf(t.Context(), "D-101")
	ok(t, "lanes", err)
	same(t, "lanes of D-101", ls, []store.Lane{other, want})
	all, err := w.Lanes(t.Context())
	ok(t, "lanes", err)
	same(t, "all lanes", all, ls)
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(chainA)
		same(t, "lane in a transaction", l, want)
		return err
	}))
}

func checkDeclared(t T, w *world) {
	enrolled(t, w, "D-101")
	declare := func(seq dot.Seq, head string, at int64) {
		t.Helper()
		l := store.Lane{Chain: chainA, Declared: seq, DeclaredHead: headOf(head), DeclaredAt: at}
		ok(t, "note contact", w.NoteContact(t.Context(), "D-101", store.Contact{At: at}, []store.Lane{l}))
	}
	declare(9, "r9", noon)
	declare(4, "r4", noon+1)
	got := laneOf(t, w, chainA)
	same(t, "declared", got.Declared, dot.Seq(9))
	same(t, "declared head", got.DeclaredHead, headOf("r9"))
	same(t, "declared at", got.DeclaredAt, int64(noon))
	declare(12, "r12", noon+2)
	same(t, "declared head", laneOf(t, w, chainA).DeclaredHead, headOf("r12"))
}

func checkDeclaredByArrival(t T, w *world) {
	enrolled(t, w, "D-101")
	add(t, w, entriesOf(chainA, lane.Run(1, 3))...)
	got := laneOf(t, w, chainA)
	same(t, "declared", got.Declared, dot.Seq(3))
	same(t, "declared head", got.DeclaredHead, got.Head)
	same(t, "declared at", got.DeclaredAt, got.ReceivedAt)
	add(t, w, entryAt(chainA, 9)) // above a hole the head is not known
	got = laneOf(t, w, chainA)
	same(t, "declared", got.Declared, dot.Seq(9))
	same(t, "declared head", got.DeclaredHead, entry.Hash{})
	ahead := store.Lane{Chain: chainA, Declared: 20, DeclaredHead: headOf("r20"), DeclaredAt: noon}
	ok(t, "note contact", w.NoteContact(t.Context(), "D-101", store.Contact{}, []store.Lane{ahead}))
	add(t, w, entryAt(chainA, 10))
	got = laneOf(t, w, chainA)
	same(t, "declared", got.Declared, dot.Seq(20))
	same(t, "declared head", got.DeclaredHead, headOf("r20"))
}
