package storetest

import (
	"errors"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

var noticeChecks = []check{
	{name: "marks under one key", run: checkMarks},
	{name: "reasons of an entry", run: checkReasons},
	{name: "entities of a type within a transaction", run: checkOfType},
	{name: "what was noticed goes with its transaction", run: checkNoticesTogether},
}

func markOf(key string, d dot.Device, at int64) store.Mark {
	return store.Mark{Rule: "checked", Key: key, Dot: dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}.At(7), Time: at}
}

func marks(t T, w *world, rule, key string) (out []store.Mark) {
	t.Helper()
	ok(t, "marks", w.Ingest(t.Context(), func(tx store.Tx) (err error) { out, err = tx.Marks(rule, key); return err }))
	return out
}

func checkMarks(t T, w *world) {
	same(t, "marks of nobody", len(marks(t, w, "checked", "P1")), 0)
	late, early := markOf("P1", "D-101", 900), markOf("P1", "D-102", 100)
	ok(t, "put", w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.PutMark(late), tx.PutMark(markOf("P2", "D-101", 50)), tx.PutMark(early))
	}))
	got := marks(t, w, "checked", "P1")
	if len(got) != 2 || got[0].Dot != early.Dot || got[1].Dot != late.Dot || got[0].Arrived <= got[1].Arrived || got[0].Time != 100 {
		t.Errorf("marks %+v: want the early one first, and that it arrived later", got)
	}
	same(t, "marks of another rule", len(marks(t, w, "paid", "P1")), 0)
	late.Of = early.Dot
	ok(t, "put again", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.PutMark(late) }))
	again := marks(t, w, "checked", "P1")
	if len(again) != 2 || again[1].Of != early.Dot || !again[0].Of.IsZero() || again[1].Arrived != got[1].Arrived {
		t.Errorf("marks %+v: want the same two, one of them repeating the other", again)
	}
	late.Of = dot.Dot{}
	ok(t, "put once more", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.PutMark(late) }))
	same(t, "it counts itself again", marks(t, w, "checked", "P1")[1].Of, dot.Dot{})
	err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.PutMark(store.Mark{Rule: "checked", Dot: late.Dot}) })
	if err == nil {
		t.Errorf("a mark without a key was taken")
	}
}

func reasons(t T, w *world, d dot.Dot) (out []store.Judgement) {
	t.Helper()
	ok(t, "reasons", w.Ingest(t.Context(), func(tx store.Tx) (err error) { out, err = tx.Reasons(d); return err }))
	return out
}

func checkReasons(t T, w *world) {
	d, other := markOf("", "D-101", 0).Dot, markOf("", "D-102", 0).Dot
	flag := store.Judgement{Verdict: store.Flagged, Code: "gcj02", Words: "a place"}
	twice := store.Judgement{Verdict: store.Duplicate, Code: "case", Words: "twice"}
	set := func(d dot.Dot, rs ...store.Judgement) {
		ok(t, "set reasons", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetReasons(d, rs) }))
	}
	same(t, "reasons of nobody", len(reasons(t, w, d)), 0)
	set(d, flag, twice)
	set(other, flag)
	same(t, "reasons", reasons(t, w, d), []store.Judgement{twice, flag})
	set(d, flag)
	same(t, "one is left", reasons(t, w, d), []store.Judgement{flag})
	set(d)
	same(t, "none is left", len(reasons(t, w, d)), 0)
	same(t, "another's stay", reasons(t, w, other), []store.Judgement{flag})
}

func checkNoticesTogether(t T, w *world) {
	gone := errors.New("something else")
	m := markOf("P1", "D-101", 1)
	err := w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.PutMark(m), tx.SetReasons(m.Dot, []store.Judgement{{Verdict: store.Review, Code: "x"}}), gone)
	})
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	same(t, "marks", len(marks(t, w, m.Rule, m.Key)), 0)
	same(t, "reasons", len(reasons(t, w, m.Dot)), 0)
}

func checkOfType(t T, w *world) {
	row := func(typ, id string) store.Entity {
		return store.Entity{Ref: entry.Ref{Type: typ, ID: id}, Rev: 1, State: []byte{1}}
	}
	var got []string
	ok(t, "list", w.Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.SaveEntities([]store.Entity{row("waypoint", "W2"), row("station", "S1"), row("waypoint", "W1")}); err != nil {
			return err
		}
		es, err := tx.OfType("waypoint")
		for _, e := range es {
			got = append(got, e.Ref.String())
		}
		return err
	}))
	same(t, "waypoints", got, []string{"waypoint/W1", "waypoint/W2"})
}
