package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"otor/hub/store"
)

var rosterChecks = []check{
	{name: "a roster is imported again and nothing of it is erased", run: checkRoster},
	{name: "matches of a roster follow its latest import", run: checkRosterMatches},
	{name: "rulings on a roster go with their transaction", run: checkRosterRulings},
	{name: "a long roster is listed whole and in order", run: checkLongRoster},
}

func listed(key string, line int, name string) store.RosterRow {
	return store.RosterRow{Key: key, Line: line, Name: name, Number: "99992219500307103X", Birth: "1950-03-07", Phone: "154", Place: "NB", Problems: json.RawMessage(`[]`)}
}

func roster(imported uint64, rows int) store.RosterList {
	return store.RosterList{
		Kind: "pension", Import: imported, At: noon, By: "rita", File: "名单.xlsx", Digest: fmt.Sprintf("digest %d", imported),
		Columns: json.RawMessage(`{"name":"姓名"}`), Rows: rows,
	}
}

// all gives what a list yields; its error fails t.
func all[V any](t T, what string, list iter.Seq2[V, error]) (out []V) {
	t.Helper()
	for v, err := range list {
		ok(t, what, err)
		out = append(out, v)
	}
	return out
}

func checkRoster(t T, w *world) {
	ctx := t.Context()
	a, b, c := listed("ra", 3, "巴图"), listed("rb", 4, "萨日娜"), listed("rc", 5, "那仁")
	ok(t, "import", w.Ingest(ctx, func(tx store.Tx) error {
		if _, ok, err := tx.RosterOf("pension"); ok || err != nil {
			t.Errorf("a list before there is one: %v, %v", ok, err)
		}
		return errors.Join(tx.PutRoster(roster(1, 3)), tx.PutRosterRows("pension", 1, []store.RosterRow{a, b, c}))
	}))
	changed := b
	changed.Phone = "155"
	d := listed("rd", 3, "乌云")
	ok(t, "import again", w.Ingest(ctx, func(tx store.Tx) error {
		l, ok, err := tx.RosterOf("pension")
		same(t, "the list in a transaction", l, roster(1, 3))
		if !ok {
			t.Errorf("no list in a transaction")
		}
		return errors.Join(err, tx.PutRoster(roster(2, 3)), tx.PutRosterRows("pension", 2, []store.RosterRow{changed, d}),
			tx.EndRosterRows("pension", 2, []string{"ra"}), tx.MoveRosterRows("pension", map[string]int{"rc": 9}))
	}))
	gone := errors.New("something else")
	failsWith(t, "a third import", w.Ingest(ctx, func(tx store.Tx) error {
		return errors.Join(tx.PutRoster(roster(3, 0)), tx.EndRosterRows("pension", 3, []string{"rb", "rc", "rd"}), gone)
	}), gone)
	w.again(t)
	lists, err := w.Rosters(ctx)
	ok(t, "list", err)
	same(t, "lists", lists, []store.RosterList{roster(2, 3)})
	changed.Since, d.Since, c.Since, c.Line = 2, 2, 1, 9
	same(t, "what stands", all(t, "rows", w.RosterRows(ctx, "pension")), []store.RosterRow{changed, c, d})
	same(t, "another kind", len(all(t, "rows", w.RosterRows(ctx, "other"))), 0)
	was := b
	was.Since, was.Until = 1, 2
	history, err := w.RosterHistory(ctx, "pension", "rb")
	ok(t, "history", err)
	same(t, "what a row said", history, []store.RosterRow{was, changed})
	a.Since, a.Until = 1, 2
	history, err = w.RosterHistory(ctx, "pension", "ra")
	ok(t, "history", err)
	same(t, "what a row said that is gone", history, []store.RosterRow{a})
}

func matched(key string, line int, standing, person string, open bool) store.RosterMatch {
	return store.RosterMatch{Key: key, Line: line, Standing: standing, Person: person, Open: open, Seen: "seen " + standing, Evidence: json.RawMessage(`{"agree":["name"]}`)}
}

func checkRosterMatches(t T, w *world) {
	ctx := t.Context()
	a, b := listed("ra", 3, "巴图"), listed("rb", 4, "萨日娜")
	ruling := store.RosterRuling{Kind: "pension", Key: "rb", Choice: "note", Seen: "x", Reason: "moved", By: "rita", At: noon}
	ok(t, "import", w.Ingest(ctx, func(tx store.Tx) error {
		return errors.Join(tx.PutRoster(roster(1, 2)), tx.PutRosterRows("pension", 1, []store.RosterRow{a, b}), tx.PutRosterRuling(ruling))
	}))
	a.Since, b.Since = 1, 1
	ma, mb, mp := matched("ra", 3, "confirmed", "P1", false), matched("rb", 4, "missing", "", true), matched("p9", 0, "not_listed", "P9", true)
	done, err := w.PutRosterMatches(ctx, "pension", 1, noon+5, []store.RosterMatch{ma, mb, mp}, nil)
	ok(t, "match", err)
	same(t, "matched", done, true)
	done, err = w.PutRosterMatches(ctx, "pension", 7, noon+6, nil, []string{"ra", "rb"})
	ok(t, "match another import", err)
	same(t, "matched of another import", done, false)
	lists, err := w.Rosters(ctx)
	ok(t, "list", err)
	if len(lists) != 1 || lists[0].Matched != 1 || lists[0].MatchedAt != noon+5 {
		t.Errorf("matched: %+v", lists)
	}
	lines := []store.RosterLine{{RosterMatch: mp}, {RosterMatch: ma, Row: &a}, {RosterMatch: mb, Row: &b, Ruling: &ruling}}
	query := func(what string, q store.RosterQuery, want ...store.RosterLine) {
		t.Helper()
		q.Kind = "pension"
		got := all(t, what, w.RosterLines(ctx, q))
		same(t, what, asText(got), asText(want))
	}
	query("all lines", store.RosterQuery{}, lines...)
	query("open ones", store.RosterQuery{Open: true}, lines[0], lines[2])
	query("missing ones", store.RosterQuery{Standing: "missing"}, lines[2])
	query("one", store.RosterQuery{Key: "ra"}, lines[1])
	query("behind the first", store.RosterQuery{AfterLine: 0, AfterKey: "p9"}, lines[1], lines[2])
	query("two", store.RosterQuery{Limit: 2}, lines[0], lines[1])
	same(t, "matches", all(t, "matches", w.RosterMatches(ctx, "pension")), []store.RosterMatch{mp, ma, mb})
	counts, err := w.RosterCounts(ctx)
	ok(t, "count", err)
	same(t, "counts", counts, []store.RosterCount{
		{Kind: "pension", Standing: "confirmed", Lines: 1}, {Kind: "pension", Standing: "missing", Lines: 1, Open: 1}, {Kind: "pension", Standing: "not_listed", Lines: 1, Open: 1},
	})
	ok(t, "import again", w.Ingest(ctx, func(tx store.Tx) error {
		return errors.Join(tx.PutRoster(roster(2, 1)), tx.EndRosterRows("pension", 2, []string{"rb"}))
	}))
	if lists, err = w.Rosters(ctx); err != nil || lists[0].Import != 2 || lists[0].Matched != 1 {
		t.Errorf("imported and not matched yet: %+v, %v", lists, err)
	}
	mb.Standing, mb.Open = "unsure", false
	_, err = w.PutRosterMatches(ctx, "pension", 2, noon+7, []store.RosterMatch{mb}, []string{"p9"})
	ok(t, "match again", err)
	w.again(t)
	same(t, "matches after that", all(t, "matches", w.RosterMatches(ctx, "pension")), []store.RosterMatch{ma, mb})
	query("a row that is gone", store.RosterQuery{Key: "rb"}, store.RosterLine{RosterMatch: mb, Ruling: &ruling})
}

func asText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func checkRosterRulings(t T, w *world) {
	ctx := t.Context()
	one := store.RosterRuling{Kind: "pension", Key: "ra", Choice: "confirm", Same: "P1", Row: "r", Facts: "f", Seen: "s", Reason: "it is him", By: "rita", At: noon}
	two := one
	two.Choice, two.Same, two.Not, two.Former = "refuse", "", []string{"P1", "P2"}, &one
	h := store.PieceHash{7}
	ok(t, "rule", w.Ingest(ctx, func(tx store.Tx) error {
		_, err := tx.StagedRoster(h)
		failsWith(t, "a piece that is not there", err, store.ErrNotFound)
		_, found, err := tx.RosterRulingOf("pension", "ra")
		same(t, "a ruling before there is one", found, false)
		return errors.Join(err, tx.PutRosterRuling(one), tx.PutRosterRuling(two), tx.StageRoster(h, []byte("piece")), tx.StageRoster(h, []byte("piece")))
	}))
	w.again(t)
	same(t, "rulings", asText(all(t, "rulings", w.RosterRulings(ctx, "pension"))), asText([]store.RosterRuling{two}))
	gone := errors.New("something else")
	failsWith(t, "forget and fail", w.Ingest(ctx, func(tx store.Tx) error {
		return errors.Join(tx.DropRosterRuling("pension", "ra"), tx.DropStagedRoster(), gone)
	}), gone)
	ok(t, "forget", w.Ingest(ctx, func(tx store.Tx) error {
		r, found, err := tx.RosterRulingOf("pension", "ra")
		same(t, "it is still there", found, true)
		same(t, "and says the same", asText(r), asText(two))
		piece, perr := tx.StagedRoster(h)
		same(t, "as is the piece", string(piece), "piece")
		err = errors.Join(err, perr, tx.DropRosterRuling("pension", "ra"), tx.DropStagedRoster())
		_, perr = tx.StagedRoster(h)
		failsWith(t, "the piece after it was dropped", perr, store.ErrNotFound)
		return err
	}))
	same(t, "rulings after that", len(all(t, "rulings", w.RosterRulings(ctx, "pension"))), 0)
}

// checkLongRoster: more rows than any page of an implementation holds, and a list that
// is ended while it is ranged over.
func checkLongRoster(t T, w *world) {
	const n = 4500
	ctx := t.Context()
	rows := make([]store.RosterRow, n)
	matches := make([]store.RosterMatch, n)
	for i := range rows {
		rows[i] = listed(fmt.Sprintf("r%05d", i), n-i, "巴图")
		matches[i] = matched(rows[i].Key, rows[i].Line, "missing", "", i%2 == 0)
	}
	ok(t, "import", w.Ingest(ctx, func(tx store.Tx) error {
		return errors.Join(tx.PutRoster(roster(1, n)), tx.PutRosterRows("pension", 1, rows))
	}))
	_, err := w.PutRosterMatches(ctx, "pension", 1, noon, matches, nil)
	ok(t, "match", err)
	got := all(t, "rows", w.RosterRows(ctx, "pension"))
	if len(got) != n || got[0].Key != "r00000" || got[n-1].Key != rows[n-1].Key {
		t.Errorf("%d rows", len(got))
	}
	last := 0
	lines := all(t, "lines", w.RosterLines(ctx, store.RosterQuery{Kind: "pension", Open: true}))
	for _, l := range lines {
		if l.Line <= last || l.Row == nil || l.Row.Line != l.Line {
			t.Fatalf("line %d behind line %d", l.Line, last)
		}
		last = l.Line
	}
	same(t, "open lines", len(lines), n/2)
	same(t, "matches", len(all(t, "matches", w.RosterMatches(ctx, "pension"))), n)
	short, end := context.WithCancel(ctx)
	seen, failed := 0, false
	for _, err := range w.RosterLines(short, store.RosterQuery{Kind: "pension"}) {
		if err != nil {
			failed = true
			break
		}
		if seen++; seen == 1 {
			end()
		}
	}
	end()
	if seen == n && !failed {
		t.Errorf("the list went on when nobody waited for it any more")
	}
}
