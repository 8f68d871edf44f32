package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
)

var feedChecks = []check{
	{name: "a feed holds the latest of each name", run: checkFeedCompacts},
	{name: "what is gone takes the place of what it was", run: checkFeedGone},
	{name: "pages of a feed join without a hole", run: checkFeedPages},
	{name: "each commit leaves its mark", run: checkFeedMarks},
	{name: "a publish that fails leaves nothing", run: checkFeedFails},
	{name: "no number is seen before a smaller one", run: checkFeedOrder},
	{name: "feeds forget what went away", run: checkFeedCollect},
	{name: "who listens hears which scopes moved", run: checkOnPublish},
	{name: "scopes of a device are replaced", run: checkSetScopes},
}

func publish(t T, s store.Store, at int64, cs ...store.FeedChange) {
	t.Helper()
	ok(t, "publish", s.Ingest(t.Context(), func(tx store.Tx) error { return tx.Publish(at, cs...) }))
}

func entityOf(scope, key, body string) store.FeedChange {
	return store.FeedChange{Scope: scope, Kind: feed.Entity, Key: "household/" + key, Rev: uint64(len(body)), Body: []byte(body)}
}

// feedOf writes a feed as words: n kind key rev body.
func feedOf(t T, s store.Store, scope string, after uint64) string {
	t.Helper()
	p, err := s.Feed(t.Context(), scope, after, 1<<20)
	ok(t, "feed", err)
	same(t, "more", p.More, false)
	return wordsOf(p.Rows)
}

func wordsOf(rows []feed.Row) string {
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s %s %d %s", r.N, r.Kind, r.Key, r.Rev, r.Body)))
	}
	return strings.Join(out, "; ")
}

func checkFeedCompacts(t T, w *world) {
	same(t, "an unknown scope", feedOf(t, w, "gacha:a", 0), "")
	publish(t, w, noon, entityOf("gacha:a", "H-1", "one"), entityOf("gacha:a", "H-2", "x"), entityOf("gacha:b", "H-1", "one"))
	publish(t, w, noon, entityOf("gacha:a", "H-1", "three"))
	publish(t, w, noon, store.FeedChange{Scope: "gacha:a", Kind: feed.Verdict, Key: "household/H-1", Body: []byte("v")})
	w.again(t)
	same(t, "feed", feedOf(t, w, "gacha:a", 0), "2 entity household/H-2 1 x; 3 entity household/H-1 5 three; 4 verdict household/H-1 0 v")
	same(t, "what is new", feedOf(t, w, "gacha:a", 2), "3 entity household/H-1 5 three; 4 verdict household/H-1 0 v")
	same(t, "nothing new", feedOf(t, w, "gacha:a", 4), "")
	same(t, "from beyond the end", feedOf(t, w, "gacha:a", 99), "")
	same(t, "another scope", feedOf(t, w, "gacha:b", 0), "1 entity household/H-1 3 one")
	rows, head, err := w.FeedRows(t.Context(), "gacha:a", []feed.Name{
		{Slot: feed.Verdict, Key: "household/H-1"}, {Slot: feed.Entity, Key: "household/H-2"}, {Slot: feed.Entity, Key: "household/H-9"},
	})
	ok(t, "rows", err)
	same(t, "rows by name", wordsOf(rows), "2 entity household/H-2 1 x; 4 verdict household/H-1 0 v")
	same(t, "their moment", head.N, uint64(4))
}

func checkFeedGone(t T, w *world) {
	publish(t, w, noon, entityOf("s", "H-1", "one"), entityOf("s", "H-2", "two"))
	publish(t, w, noon, store.FeedChange{Scope: "s", Kind: feed.Gone, Key: "household/H-1", Rev: 9})
	same(t, "gone", feedOf(t, w, "s", 0), "2 entity household/H-2 3 two; 3 gone household/H-1 9")
	publish(t, w, noon, entityOf("s", "H-1", "back again"))
	same(t, "back", feedOf(t, w, "s", 0), "2 entity household/H-2 3 two; 4 entity household/H-1 10 back again")
}

func checkFeedPages(t T, w *world) {
	var cs []store.FeedChange
	for i := range 500 {
		cs = append(cs, entityOf("s", fmt.Sprintf("H-%03d", i), strings.Repeat("x", i)))
	}
	publish(t, w, noon, cs[:250]...)
	publish(t, w, noon, cs[250:]...)
	var got []feed.Row
	after := uint64(0)
	for pages := 0; ; pages++ {
		p, err := w.Feed(t.Context(), "s", after, 4000)
		ok(t, "feed", err)
		size := 0
		for _, r := range p.Rows {
			size += r.Size()
		}
		if len(p.Rows) == 0 || size > 4000 && len(p.Rows) > 1 || pages > 600 {
			t.Fatalf("page %d after %d: %d rows, %d bytes", pages, after, len(p.Rows), size)
		}
		got, after = append(got, p.Rows...), p.Rows[len(p.Rows)-1].N
		mark, found, err := w.MarkAt(t.Context(), "s", after)
		ok(t, "mark", err)
		if !found || mark != p.Mark {
			t.Errorf("page to %d has the mark %s, which is %s", after, p.Mark, mark)
		}
		if !p.More {
			break
		}
	}
	same(t, "rows", len(got), len(cs))
	for i, r := range got {
		if r.N != uint64(i)+1 || r.Key != cs[i].Key {
			t.Fatalf("row %d is %d %s", i, r.N, r.Key)
		}
	}
	big, err := w.Feed(t.Context(), "s", 499, 1)
	ok(t, "feed", err)
	same(t, "a row above the limit comes alone", len(big.Rows), 1)
}

func checkFeedMarks(t T, w *world) {
	publish(t, w, noon, entityOf("s", "1", ""), entityOf("s", "2", ""), entityOf("s", "3", ""))
	publish(t, w, noon, entityOf("s", "1", ""))
	publish(t, w, noon, entityOf("other", "1", ""))
	heads, err := w.FeedHeads(t.Context(), []string{"s", "none", "other"})
	ok(t, "heads", err)
	same(t, "heads", []uint64{heads[0].N, heads[1].N, heads[2].N}, []uint64{4, 0, 1})
	same(t, "an unknown scope", heads[1], store.FeedHead{Scope: "none"})
	marks := make(map[feed.Mark]bool)
	at := make([]feed.Mark, 6)
	for n := range uint64(6) {
		m, found, err := w.MarkAt(t.Context(), "s", n)
		ok(t, "mark", err)
		same(t, fmt.Sprintf("a mark at %d", n), found, n >= 1 && n <= 4)
		at[n] = m
		if found {
			marks[m] = true
		}
	}
	marks[heads[2].Mark] = true
	if len(marks) != 3 || at[1] != at[3] || at[3] == at[4] || at[4] != heads[0].Mark {
		t.Errorf("marks %v, heads %v", at, heads)
	}
}

func checkFeedFails(t T, w *world) {
	publish(t, w, noon, entityOf("s", "1", "a"))
	before, err := w.FeedHeads(t.Context(), []string{"s"})
	ok(t, "heads", err)
	broken := errors.New("broken")
	err = w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.Publish(noon, entityOf("s", "1", "b")), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("ingest: %v", err)
	}
	for what, c := range map[string]store.FeedChange{
		"no kind": {Scope: "s", Key: "k"}, "no key": {Scope: "s", Kind: feed.Entity}, "no scope": {Kind: feed.Entity, Key: "k"},
		"a body too large": {Scope: "s", Kind: feed.Entity, Key: "k", Body: make([]byte, feed.MaxBody+1)},
	} {
		if err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.Publish(noon, c) }); err == nil {
			t.Errorf("%s was published", what)
		}
	}
	after, err := w.FeedHeads(t.Context(), []string{"s"})
	ok(t, "heads", err)
	same(t, "the head", after, before)
	same(t, "feed", feedOf(t, w, "s", 0), "1 entity household/1 1 a")
}

// checkFeedOrder reads while others publish: whoever has seen n has seen all below it.
func checkFeedOrder(t T, w *world) {
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				publish(t, w, noon, entityOf("s", fmt.Sprintf("%d-%d", i, j), "x"))
			}
		})
	}
	seen := uint64(0)
	for seen < writers*each {
		p, err := w.Feed(t.Context(), "s", seen, 1<<20)
		if err != nil {
			t.Errorf("feed: %v", err)
			break
		}
		for _, r := range p.Rows {
			if r.N != seen+1 {
				t.Errorf("%d was seen after %d", r.N, seen)
			}
			seen = r.N
		}
	}
	wg.Wait()
}

func checkFeedCollect(t T, w *world) {
	gone := func(key string) store.FeedChange {
		return store.FeedChange{Scope: "s", Kind: feed.Gone, Key: "household/" + key}
	}
	publish(t, w, noon, entityOf("s", "1", ""), entityOf("s", "2", ""), entityOf("s", "3", ""))
	publish(t, w, noon+10, gone("1"))
	publish(t, w, noon+20, gone("2"))
	publish(t, w, noon+30, gone("3"), entityOf("s", "4", ""))
	publish(t, w, noon, entityOf("quiet", "1", ""))
	n, err := w.CollectFeeds(t.Context(), noon)
	ok(t, "collect", err)
	same(t, "dropped too early", n, int64(0))
	n, err = w.CollectFeeds(t.Context(), noon+21)
	ok(t, "collect", err)
	same(t, "dropped", n, int64(2))
	same(t, "feed", feedOf(t, w, "s", 0), "6 gone household/3 0; 7 entity household/4 0")
	heads, err := w.FeedHeads(t.Context(), []string{"s", "quiet"})
	ok(t, "heads", err)
	same(t, "floors", []uint64{heads[0].Floor, heads[1].Floor}, []uint64{5, 1})
	for n, want := range map[uint64]bool{3: false, 4: false, 5: true, 6: true, 7: true} {
		_, found, err := w.MarkAt(t.Context(), "s", n)
		ok(t, "mark", err)
		same(t, fmt.Sprintf("a mark at %d", n), found, want)
	}
	_, found, err := w.MarkAt(t.Context(), "quiet", 1)
	ok(t, "mark", err)
	same(t, "the head of a quiet scope keeps its mark", found, true)
	n, err = w.CollectFeeds(t.Context(), noon+21)
	ok(t, "collect", err)
	same(t, "dropped twice", n, int64(0))
}

func checkOnPublish(t T, w *world) {
	var mu sync.Mutex
	var heard []string
	w.OnPublish(func(scopes []string) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, strings.Join(scopes, ","))
	})
	publish(t, w, noon, entityOf("b", "1", ""), entityOf("a", "1", ""), entityOf("b", "2", ""))
	_ = w.Ingest(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.Publish(noon, entityOf("a", "1", "")), errors.New("broken"))
	})
	ok(t, "ingest", w.Ingest(t.Context(), func(store.Tx) error { return nil }))
	w.OnPublish(nil)
	publish(t, w, noon, entityOf("c", "1", ""))
	mu.Lock()
	defer mu.Unlock()
	same(t, "heard", heard, []string{"a,b"})
}

func checkSetScopes(t T, w *world) {
	enrolled(t, w, "D-101")
	set := func(d dot.Device, scopes ...string) error {
		return w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetScopes(d, scopes) })
	}
	ok(t, "set", set("D-101", "a", "b"))
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	if !slices.Equal(d.Scopes, []string{"a", "b"}) {
		t.Errorf("scopes %v", d.Scopes)
	}
	ok(t, "set", set("D-101"))
	d, err = w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "scopes", len(d.Scopes), 0)
	if err := set("D-999", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown device: %v", err)
	}
	ok(t, "within a transaction", w.Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.SetScopes("D-101", []string{"c"}); err != nil {
			return err
		}
		d, err := tx.Device("D-101")
		same(t, "what it has set itself", d.Scopes, []string{"c"})
		same(t, "whose it is", d.ID, dot.Device("D-101"))
		return err
	}))
	err = w.Ingest(t.Context(), func(tx store.Tx) error { _, err := tx.Device("D-999"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown device within a transaction: %v", err)
	}
	ok(t, "a transaction goes on where a device is not known", w.Ingest(t.Context(), func(tx store.Tx) error { return store.Regrant(tx, 1, "D-999") }))
}
