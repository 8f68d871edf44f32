package storetest

import (
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

var queryChecks = []check{
	{name: "queries restrict", run: checkQueries},
	{name: "paging by number", run: checkPaging},
	{name: "paging back from the newest", run: checkPagingBack},
	{name: "a listing may stop and may call the store", run: checkListing},
	{name: "a listing ends under new arrivals", run: checkListingEnds},
	{name: "large entries are listed", run: checkLargeEntries},
	{name: "a run of a chain", run: checkEntriesOf},
	{name: "entries by their dots", run: checkEntriesNamed},
	{name: "totals", run: checkTotals},
}

// mixed fills a database: three chains in turns, every seventh entry set aside,
// every eleventh held.
func mixed(t T, w *world, rounds dot.Seq) []store.Entry {
	t.Helper()
	var all []store.Entry
	for seq := dot.Seq(1); seq <= rounds; seq++ {
		for _, c := range []dot.Chain{chainA, alertA, chainB} {
			e := entryAt(c, seq)
			switch {
			case len(all)%7 == 6:
				e.Judgement = store.Judgement{Verdict: store.Quarantined, Code: "id_date", Words: "born tomorrow"}
			case len(all)%11 == 10:
				e.Judgement = store.Judgement{Verdict: store.Held}
			}
			all = append(all, e)
		}
	}
	for part := range slices.Chunk(all, 500) {
		add(t, w, part...)
	}
	return all
}

func chosen(all []store.Entry, q store.EntryQuery) []dot.Dot {
	out := []dot.Dot{}
	for i, e := range all {
		switch {
		case q.Device != "" && e.Dot.Device != q.Device, q.Lane != 0 && e.Dot.Lane != q.Lane:
		case q.Verdict != "" && e.Judgement.Verdict != q.Verdict, int64(i) < q.After, q.Limit > 0 && len(out) == q.Limit:
		default:
			out = append(out, e.Dot)
		}
	}
	return out
}

func checkQueries(t T, w *world) {
	all := mixed(t, w, 700)
	for _, device := range []dot.Device{"", "D-101", "D-102", "D-999"} {
		for _, l := range []dot.Lane{0, dot.Alert, dot.Record} {
			for _, v := range []store.Verdict{"", store.Applied, store.Quarantined, store.Held, store.Merged} {
				for _, limit := range []int{0, 1, 100} {
					q := store.EntryQuery{Device: device, Lane: l, Verdict: v, Limit: limit}
					if got, want := dotsOf(list(t, w, q)), chosen(all, q); !slices.Equal(got, want) {
						t.Errorf("%+v: %d entries, want %d", q, len(got), len(want))
					}
					if device != "" || l != 0 {
						continue
					}
					q.Limit, q.Newest = 0, true
					want := chosen(all, q)
					slices.Reverse(want)
					if q.Limit = limit; limit > 0 {
						want = want[:min(limit, len(want))]
					}
					if got := dotsOf(list(t, w, q)); !slices.Equal(got, want) {
						t.Errorf("%+v: %d entries, want %d", q, len(got), len(want))
					}
				}
			}
		}
	}
	for _, err := range w.Entries(t.Context(), store.EntryQuery{Verdict: "splendid"}) {
		if err == nil {
			t.Errorf("an unknown verdict was listed")
		}
	}
}

func checkPaging(t T, w *world) {
	all := mixed(t, w, 60)
	for _, q := range []store.EntryQuery{{}, {Device: "D-101"}, {Verdict: store.Quarantined}, {Lane: dot.Alert, Verdict: store.Applied}} {
		want, got, last := chosen(all, q), []dot.Dot{}, int64(0)
		q.Limit = 7
		for range len(all) + 1 {
			page := list(t, w, q)
			if len(page) == 0 || len(page) > q.Limit {
				break
			}
			for _, e := range page {
				if e.Number <= last {
					t.Errorf("number %d follows %d", e.Number, last)
				}
				last = e.Number
			}
			got, q.After = append(got, dotsOf(page)...), last
		}
		if !slices.Equal(got, want) {
			t.Errorf("paging %+v gave %d entries, want %d", q, len(got), len(want))
		}
	}
	before := list(t, w, store.EntryQuery{})
	w.again(t)
	same(t, "the same after reopening", list(t, w, store.EntryQuery{}), before)
	add(t, w, entryAt(chainA, 5000))
	news := list(t, w, store.EntryQuery{After: before[len(before)-1].Number})
	same(t, "what came since", dotsOf(news), []dot.Dot{chainA.At(5000)})
}

func checkPagingBack(t T, w *world) {
	all := mixed(t, w, 60)
	for _, q := range []store.EntryQuery{{Newest: true}, {Newest: true, Verdict: store.Quarantined}, {Newest: true, Verdict: store.Merged}} {
		want, got := chosen(all, q), []dot.Dot{}
		slices.Reverse(want)
		q.Limit = 7
		for range len(all) + 1 {
			page := list(t, w, q)
			if len(page) == 0 || len(page) > q.Limit {
				break
			}
			got, q.Before = append(got, dotsOf(page)...), page[len(page)-1].Number
		}
		if !slices.Equal(got, want) {
			t.Errorf("paging back %+v gave %d entries, want %d", q, len(got), len(want))
		}
	}
	for _, err := range w.Entries(t.Context(), store.EntryQuery{Before: 9}) {
		if err == nil {
			t.Errorf("what is before another was listed oldest first")
		}
	}
}

func checkListing(t T, w *world) {
	mixed(t, w, 300)
	n := 0
	for e, err := range w.Entries(t.Context(), store.EntryQuery{}) {
		ok(t, "list", err)
		if n++; n == 3 {
			break
		}
		// Neither reading nor writing may wait for the listing to end.
		_, err = w.Totals(t.Context())
		ok(t, "totals while listing", err)
		inner := 0
		for _, err := range w.Entries(t.Context(), store.EntryQuery{Device: e.Dot.Device, Limit: 5}) {
			ok(t, "list while listing", err)
			inner++
		}
		same(t, "inner entries", inner, 5)
		add(t, w, entryAt(chainB, dot.Seq(9000+n)))
	}
	same(t, "entries before the stop", n, 3)
}

func checkListingEnds(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(1, 20))...)
	for _, q := range []store.EntryQuery{{}, {Device: "D-101"}} {
		start := len(list(t, w, q))
		n := 0
		for _, err := range w.Entries(t.Context(), q) {
			ok(t, "list", err)
			if n++; n > start {
				t.Fatalf("a listing of %d entries follows new arrivals without end", start)
			}
			add(t, w, entryAt(chainA, laneOf(t, w, chainA).Received.Through()+1))
		}
		same(t, "entries listed", n, start)
	}
}

func checkLargeEntries(t T, w *world) {
	const n = 80
	es := entriesOf(chainA, lane.Run(1, n))
	for i := range es {
		es[i].Raw = entry.NewRaw([]byte{byte(i)}, make([]byte, entry.MaxSize-1))
		es[i].Hash = es[i].Raw.Hash()
	}
	add(t, w, es...)
	for _, q := range []store.EntryQuery{{WithRaw: true}, {WithRaw: true, Device: "D-101"}, {WithRaw: true, Limit: 70}} {
		want := n
		if q.Limit > 0 {
			want = q.Limit
		}
		got := list(t, w, q)
		same(t, "entries", len(got), want)
		for i, e := range got {
			if !e.Raw.Equal(es[i].Raw) {
				t.Fatalf("entry %s came back changed", e.Dot)
			}
		}
	}
}

func checkTotals(t T, w *world) {
	all := mixed(t, w, 30)
	ok(t, "ingest", w.Ingest(t.Context(), func(tx store.Tx) error {
		for _, c := range []dot.Chain{chainA, chainB} {
			l, err := tx.Lane(c)
			if err != nil {
				return err
			}
			l.Duplicates += 4
			if err := tx.SaveLane(l); err != nil {
				return err
			}
		}
		return nil
	}))
	want := store.Totals{Entries: int64(len(all)), ByVerdict: map[store.Verdict]int64{}, Duplicates: 8}
	byDevice := map[dot.Device]map[store.Verdict]int64{"D-101": {}, "D-102": {}}
	held := map[dot.Chain]int64{}
	for _, e := range all {
		want.ByVerdict[e.Judgement.Verdict]++
		byDevice[e.Dot.Device][e.Judgement.Verdict]++
		if e.Judgement.Verdict == store.Held {
			held[e.Dot.Chain]++
		}
	}
	w.again(t)
	got, err := w.Totals(t.Context())
	ok(t, "totals", err)
	same(t, "totals", got, want)
	counts, err := w.VerdictCounts(t.Context())
	ok(t, "verdict counts", err)
	same(t, "verdict counts", counts, byDevice)
	heldCounts, err := w.HeldCounts(t.Context())
	ok(t, "held counts", err)
	same(t, "held counts", heldCounts, held)
}

func checkEntriesOf(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(1, 40))...)
	add(t, w, entriesOf(chainA, lane.Run(42, 60))...)
	add(t, w, entriesOf(chainB, lane.Run(1, 60))...)
	for _, c := range []struct {
		chain       dot.Chain
		run, want   lane.Range
		most        int
		name        string
		wantNothing bool
	}{
		{chain: chainA, run: lane.Run(5, 20), want: lane.Run(5, 20), most: 1 << 20, name: "inside"},
		{chain: chainA, run: lane.Run(30, 60), want: lane.Run(30, 40), most: 1 << 20, name: "up to a hole"},
		{chain: chainA, run: lane.Run(41, 60), most: 1 << 20, name: "from a hole on", wantNothing: true},
		{chain: chainA, run: lane.Run(42, 42), want: lane.Run(42, 42), most: 1, name: "one that is larger than allowed"},
		{chain: chainA, run: lane.Run(55, 900), want: lane.Run(55, 60), most: 1 << 20, name: "beyond the end"},
		{chain: dot.Chain{Device: "D-999", Incarnation: 1, Lane: dot.Record}, run: lane.Run(1, 2), most: 1 << 20, name: "an unknown chain", wantNothing: true},
	} {
		got, err := w.EntriesOf(t.Context(), c.chain, c.run, c.most)
		ok(t, c.name, err)
		want := []store.Entry{}
		if !c.wantNothing {
			want = entriesOf(c.chain, c.want)
		}
		same(t, c.name+": entries", len(got), len(want))
		for i := range min(len(got), len(want)) {
			same(t, c.name+": dot", got[i].Dot, want[i].Dot)
			same(t, c.name+": bytes", got[i].Raw.Equal(want[i].Raw), true)
		}
	}
	size := entryAt(chainA, 1).Raw.Size()
	got, err := w.EntriesOf(t.Context(), chainA, lane.Run(1, 40), 3*size+size/2)
	ok(t, "bounded in bytes", err)
	if len(got) < 2 || len(got) > 4 {
		t.Errorf("%d entries in the room of three and a half", len(got))
	}
}

func checkEntriesNamed(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(1, 40))...)
	add(t, w, entriesOf(chainB, lane.Run(1, 60))...)
	want := make(map[dot.Dot]store.Entry)
	var ask []dot.Dot
	for i := range dot.Seq(50) { // more than one statement reads
		for _, c := range []dot.Chain{chainA, chainB} {
			d := c.At(i + 1)
			ask = append(ask, d, d)
			if c == chainB || d.Seq <= 40 {
				want[d] = entryAt(c, d.Seq)
			}
		}
	}
	ask = append(ask, dot.Chain{Device: "D-999", Incarnation: 1, Lane: dot.Record}.At(1))
	got, err := w.EntriesNamed(t.Context(), ask)
	ok(t, "read", err)
	same(t, "how many", len(got), len(want))
	for d, e := range want {
		same(t, "dot", got[d].Dot, d)
		same(t, "bytes of "+d.String(), got[d].Raw.Equal(e.Raw), true)
		same(t, "form", got[d].Form, e.Form)
	}
	got, err = w.EntriesNamed(t.Context(), nil)
	ok(t, "read none", err)
	same(t, "none", len(got), 0)
}
