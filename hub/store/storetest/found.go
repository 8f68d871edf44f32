package storetest

import (
	"cmp"
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

var foundChecks = []check{
	{name: "entries are found by words", run: checkFound},
	{name: "a search goes on where it ended", run: checkFoundPages},
	{name: "a verdict is found as it is now", run: checkFoundVerdict},
	{name: "entities are found by words", run: checkFoundEntities},
	{name: "what is indexed is remembered", run: checkUnindexed},
	{name: "a search is bounded", run: checkFoundBounds},
}

// worded are entries of two chains, whose words say what their seqs divide by; times
// fall and rise, and stand twice.
func worded(t T, w *world) []store.Entry {
	t.Helper()
	var all []store.Entry
	for seq := dot.Seq(1); seq <= 60; seq++ {
		for _, c := range []dot.Chain{chainB, chainA} {
			e := entryAt(c, seq)
			e.CorrectedTime = noon + int64(seq*37%50)*1000
			for _, n := range []dot.Seq{2, 3, 5, 7} {
				if seq%n == 0 {
					e.Words = append(e.Words, fmt.Sprintf("by %d", n))
				}
			}
			e.Words = append(e.Words, "device "+string(c.Device), "羊圈")
			all = append(all, e)
		}
	}
	add(t, w, all...)
	return all
}

// having chooses what a query is about, the newest first.
func having(all []store.Entry, q store.FoundQuery) []store.Entry {
	var out []store.Entry
	for _, e := range all {
		has := e.CorrectedTime >= q.From && (q.Until == 0 || e.CorrectedTime < q.Until)
		for _, word := range q.Words {
			has = has && (word == store.Everything || slices.Contains(e.Words, word))
		}
		if has {
			out = append(out, e)
		}
	}
	return out
}

func dotsFound(hits []store.Hit) []dot.Dot {
	out := make([]dot.Dot, len(hits))
	for i, h := range hits {
		out[i] = h.Dot
	}
	slices.SortFunc(out, dot.Dot.Compare)
	return out
}

func dotsHad(es []store.Entry) []dot.Dot {
	out := make([]dot.Dot, len(es))
	for i, e := range es {
		out[i] = e.Dot
	}
	slices.SortFunc(out, dot.Dot.Compare)
	return out
}

func checkFound(t T, w *world) {
	all := worded(t, w)
	w.again(t)
	for _, words := range [][]string{{store.Everything}, {"by 2"}, {"by 2", "by 3"}, {"by 7", "by 5"}, {"by 2", "by 3", "by 5", "by 7"}, {"羊圈", "device D-102", "by 5"}, {"nothing"}, {"by 2", "by 2"}} {
		for _, from := range []int64{0, noon + 20_000} {
			for _, until := range []int64{0, noon + 35_000} {
				q := store.FoundQuery{Words: words, From: from, Until: until, Limit: 1000, Look: 1000}
				got, err := w.Find(t.Context(), q)
				ok(t, "find", err)
				same(t, fmt.Sprintf("%+v", q), dotsFound(got.Hits), dotsHad(having(all, q)))
				same(t, "no more", got.Next, store.Place{})
				if !slices.IsSortedFunc(got.Hits, func(a, b store.Hit) int { return cmp.Compare(b.Time, a.Time) }) {
					t.Errorf("%+v: not the newest first", q)
				}
			}
		}
	}
}

func checkFoundPages(t T, w *world) {
	all := worded(t, w)
	for _, words := range [][]string{{store.Everything}, {"by 2", "by 3"}, {"by 7", "device D-101"}} {
		for _, look := range []int{1, 4, 1000} {
			q := store.FoundQuery{Words: words, Limit: 3, Look: look}
			var got []store.Hit
			for range 1000 {
				page, err := w.Find(t.Context(), q)
				ok(t, "find", err)
				if len(page.Hits) > q.Limit {
					t.Fatalf("%d of %d", len(page.Hits), q.Limit)
				}
				got = append(got, page.Hits...)
				if q.Before = page.Next; q.Before == (store.Place{}) {
					break
				}
			}
			same(t, fmt.Sprintf("%v, %d at a time", words, look), dotsFound(got), dotsHad(having(all, q)))
		}
	}
}

func checkFoundVerdict(t T, w *world) {
	worded(t, w)
	of := func(v store.Verdict) []dot.Dot {
		t.Helper()
		got, err := w.Find(t.Context(), store.FoundQuery{Words: []string{store.OfVerdict + string(v)}, Limit: 100, Look: 100})
		ok(t, "find", err)
		return dotsFound(got.Hits)
	}
	judge := func(v store.Verdict, seqs ...dot.Seq) {
		t.Helper()
		ok(t, "judge", w.Ingest(t.Context(), func(tx store.Tx) error {
			by := make(map[dot.Seq]store.Judgement)
			for _, s := range seqs {
				by[s] = store.Judgement{Verdict: v}
			}
			return tx.Judge(chainA, by)
		}))
	}
	held := entryAt(chainA, 61)
	held.Judgement = store.Judgement{Verdict: store.Held}
	add(t, w, held)
	same(t, "held", of(store.Held), []dot.Dot{held.Dot})
	judge(store.Flagged, 4, 5)
	judge(store.Conflict, 5, 61)
	same(t, "not held any more", of(store.Held), []dot.Dot{})
	same(t, "flagged", of(store.Flagged), []dot.Dot{chainA.At(4)})
	same(t, "in conflict", of(store.Conflict), []dot.Dot{chainA.At(5), chainA.At(61)})
	judge(store.Applied, 4, 5, 61)
	same(t, "nothing flagged", append(of(store.Flagged), of(store.Conflict)...), []dot.Dot{})

	// In one transaction with its insertion, and back.
	ok(t, "insert and judge", w.Ingest(t.Context(), func(tx store.Tx) error {
		e := entryAt(chainA, 62)
		e.Judgement = store.Judgement{Verdict: store.Quarantined}
		if err := addIn(tx, e); err != nil {
			return err
		}
		return tx.Judge(chainA, map[dot.Seq]store.Judgement{62: {Verdict: store.Duplicate}})
	}))
	same(t, "not set aside", of(store.Quarantined), []dot.Dot{})
	same(t, "a duplicate", of(store.Duplicate), []dot.Dot{chainA.At(62)})

	// Words come later, and are seen in the transaction that gives them.
	ok(t, "words", w.Ingest(t.Context(), func(tx store.Tx) error {
		for range 2 {
			if err := tx.AddWords(chainA.At(62), []string{"late", "by 2"}); err != nil {
				return err
			}
		}
		got, err := tx.Having("late", 5)
		same(t, "having", got, []dot.Dot{chainA.At(62)})
		return err
	}))
	got, err := w.Find(t.Context(), store.FoundQuery{Words: []string{"late", "by 2"}, Limit: 5, Look: 5})
	ok(t, "find", err)
	same(t, "by a later word", dotsFound(got.Hits), []dot.Dot{chainA.At(62)})
	err = w.Ingest(t.Context(), func(tx store.Tx) error { return tx.AddWords(chainA.At(999), []string{"late"}) })
	if err == nil {
		t.Errorf("an entry that is not there was given words")
	}
	// What is rolled back is not found.
	_ = w.Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.AddWords(chainA.At(1), []string{"gone"}); err != nil {
			return err
		}
		return store.ErrFull
	})
	got, err = w.Find(t.Context(), store.FoundQuery{Words: []string{"gone"}, Limit: 5, Look: 5})
	ok(t, "find", err)
	same(t, "rolled back", len(got.Hits), 0)
}

func checkFoundEntities(t T, w *world) {
	put := func(id string, words ...string) {
		t.Helper()
		ok(t, "save", w.Ingest(t.Context(), func(tx store.Tx) error {
			ref := entry.Ref{Type: "person", ID: id}
			if err := tx.SaveEntities([]store.Entity{{Ref: ref, Rev: 1, State: []byte{1}, Scopes: []string{"gacha:a"}}}); err != nil {
				return err
			}
			return tx.SetEntityWords(ref, words)
		}))
	}
	put("P-1", "巴特", "特尔")
	put("P-2", "特尔", "n:139")
	put("P-3", "巴特")
	of := func(after int64, limit int, words ...string) (ids []string, last int64) {
		t.Helper()
		got, err := w.FindEntities(t.Context(), words, after, limit)
		ok(t, "find", err)
		for _, h := range got {
			ids, last = append(ids, h.Entity.Ref.ID), h.Number
			same(t, "scopes", h.Entity.Scopes, []string{"gacha:a"})
		}
		return ids, last
	}
	both, _ := of(0, 9, "巴特", "特尔")
	same(t, "both words", both, []string{"P-1"})
	first, last := of(0, 1, "巴特")
	then, _ := of(last, 9, "巴特")
	same(t, "page by page", append(first, then...), []string{"P-1", "P-3"})
	put("P-1", "渥巴")
	w.again(t)
	now, _ := of(0, 9, "巴特")
	same(t, "after it was renamed", now, []string{"P-3"})
	now, _ = of(0, 9, "渥巴")
	same(t, "by its new name", now, []string{"P-1"})
	err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetEntityWords(entry.Ref{Type: "person", ID: "P-404"}, nil) })
	if err == nil {
		t.Errorf("an entity that is not there was given words")
	}
}

func checkUnindexed(t T, w *world) {
	u, err := w.Unindexed(t.Context())
	ok(t, "unindexed", err)
	same(t, "of a new database", u, store.Unindexed{})
	want := store.Unindexed{After: 3, Last: 9, Entities: true, AfterRef: entry.Ref{Type: "person", ID: "P-1"}}
	ok(t, "note", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetUnindexed(want) }))
	w.again(t)
	u, err = w.Unindexed(t.Context())
	ok(t, "unindexed", err)
	same(t, "as noted", u, want)
}

func checkFoundBounds(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(1, 3))...)
	many := make([]string, store.MostWords+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, q := range []store.FoundQuery{{Limit: 1, Look: 1}, {Words: many, Limit: 1, Look: 1}, {Words: many[:1], Look: 1}, {Words: many[:1], Limit: 1}} {
		if _, err := w.Find(t.Context(), q); err == nil {
			t.Errorf("%+v was looked for", q)
		}
	}
	if _, err := w.Find(t.Context(), store.FoundQuery{Words: many[:store.MostWords], Limit: 1, Look: 1}); err != nil {
		t.Errorf("as many words as are taken: %v", err)
	}
	if _, err := w.FindEntities(t.Context(), many, 0, 1); err == nil {
		t.Errorf("too many words were looked for among entities")
	}
}
