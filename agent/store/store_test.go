package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
	"otor/internal/receipt"
)

var (
	chain  = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	alerts = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Alert}
)

func options() store.Options {
	return store.Options{
		Key: [32]byte{1, 2, 3}, Device: "D-101", Incarnation: 1, Origin: entry.Origin{Reason: entry.Installed},
	}
}

func open(tb testing.TB, dir string, o store.Options) *store.Store {
	tb.Helper()
	s, err := store.Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// put appends n entries and returns what was acknowledged.
func put(tb testing.TB, s *store.Store, l dot.Lane, n int) []store.Saved {
	tb.Helper()
	out := make([]store.Saved, n)
	for i := range n {
		d := visit(tb, i)
		d.Lane = l
		saved, err := s.Append(tb.Context(), d)
		if err != nil {
			tb.Fatal(err)
		}
		out[i] = saved
	}
	return out
}

func state(tb testing.TB, s *store.Store, c dot.Chain) store.ChainState {
	tb.Helper()
	st, ok := s.Chain(c)
	if !ok {
		tb.Fatalf("chain %s is not there", c)
	}
	return st
}

// wholeChain reads a chain run by run and checks that it joins up.
func wholeChain(tb testing.TB, s *store.Store, c dot.Chain) []entry.Raw {
	tb.Helper()
	var out []entry.Raw
	head := entry.Genesis(c)
	for {
		run, err := s.Read(c, dot.Seq(len(out)+1), 7, 4000)
		if err != nil {
			tb.Fatal(err)
		}
		if len(run.Entries) == 0 {
			break
		}
		if run.First != dot.Seq(len(out)+1) || run.Before != head {
			tb.Fatalf("run starts at %d with another head than the one before it left", run.First)
		}
		for _, r := range run.Entries {
			head = entry.Next(head, r)
			pub, err := entry.DecodePublic(r.Public)
			if err != nil {
				tb.Fatal(err)
			}
			if pub.Dot != c.At(dot.Seq(len(out)+1)) {
				tb.Fatalf("entry %d says it is %s", len(out)+1, pub.Dot)
			}
			out = append(out, r)
		}
		if run.After != head {
			tb.Fatalf("run %d-%d: wrong head after it", run.First, run.Last())
		}
	}
	if st := state(tb, s, c); st.Last != dot.Seq(len(out)) || st.Head != head {
		tb.Fatalf("%s: %d entries read and the state says %d, heads equal: %t", c, len(out), st.Last, st.Head == head)
	}
	return out
}

func TestAppendChainsAndSurvivesReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store [1] 敖特尔")
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 30)
	put(t, s, dot.Alert, 2)
	for i, v := range saved {
		if v.Dot != chain.At(dot.Seq(i+1)) {
			t.Fatalf("entry %d got %s", i, v.Dot)
		}
		if i > 0 && v.HLC.Compare(saved[i-1].HLC) <= 0 {
			t.Fatalf("%s: logical time did not rise", v.Dot)
		}
	}
	first := wholeChain(t, s, chain)
	wholeChain(t, s, alerts)
	pub, err := entry.DecodePublic(first[0].Public)
	if err != nil || pub.Origin == nil || pub.Origin.Reason != entry.Installed {
		t.Fatalf("seq 1 has origin %v, %v", pub.Origin, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), visit(t, 1)); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}

	s = open(t, dir, options())
	if f := s.Findings(); len(f) != 0 {
		t.Fatal(f)
	}
	again := wholeChain(t, s, chain)
	for i := range first {
		if !again[i].Equal(first[i]) || again[i].Hash() != saved[i].Hash {
			t.Fatalf("entry %d came back with other bytes", i+1)
		}
	}
	more := put(t, s, dot.Record, 1)
	if more[0].Dot.Seq != 31 || more[0].HLC.Compare(saved[29].HLC) <= 0 {
		t.Fatalf("went on with %s at %s", more[0].Dot, more[0].HLC)
	}
}

func TestNewIncarnationNamesThePrevious(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Incarnation, o.Origin = 2, entry.Origin{Reason: entry.Moved, Previous: 1}
	s = open(t, dir, o)
	put(t, s, dot.Record, 1)
	put(t, s, dot.Alert, 1)
	c2 := chain
	c2.Incarnation = 2
	raws := wholeChain(t, s, c2)
	pub, err := entry.DecodePublic(raws[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	if o := pub.Origin; o.Reason != entry.Moved || o.Previous != 1 || o.LastSeq != 3 || o.LastHead != saved[2].Head {
		t.Fatalf("origin %+v", o)
	}
	wholeChain(t, s, chain)
	var dots []string
	for it, err := range s.List(t.Context(), store.ListQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		dots = append(dots, it.Dot.String())
	}
	want := "D-101/2/alert/1 D-101/2/record/1 D-101/1/record/3 D-101/1/record/2 D-101/1/record/1"
	if got := strings.Join(dots, " "); got != want {
		t.Fatalf("listed %s, want %s", got, want)
	}
}

func TestAppendRefusesWhatIsTooLarge(t *testing.T) {
	s := open(t, t.TempDir(), options())
	for _, c := range []struct {
		lane dot.Lane
		size int
		ok   bool
	}{
		{dot.Record, entry.MaxSize - 500, true},
		{dot.Record, entry.MaxSize - 10, false},
		{dot.Record, entry.MaxSize + 1, false},
		{dot.Alert, entry.MaxAlertSize - 400, true},
		{dot.Alert, entry.MaxAlertSize - 10, false},
		{dot.Record, 10 << 20, false},
	} {
		before := state(t, s, dot.Chain{Device: "D-101", Incarnation: 1, Lane: c.lane})
		d := visit(t, 1)
		d.Lane, d.Private = c.lane, make([]byte, c.size)
		_, err := s.Append(t.Context(), d)
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s, %d bytes: %v", c.lane, c.size, err)
		}
		if after := state(t, s, before.Chain); !c.ok && (after.Last != before.Last || after.Head != before.Head) {
			t.Errorf("%s: a refused draft moved the chain", c.lane)
		}
	}
	wholeChain(t, s, chain)
	wholeChain(t, s, alerts)
}

func TestManyLargeEntriesAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), options())
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			d := visit(t, 1)
			d.Private = make([]byte, 60<<10)
			if _, err := s.Append(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(wholeChain(t, s, chain)); n != 64 {
		t.Fatalf("%d entries, want 64", n)
	}
}

func TestGroupCommit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	const writers, each = 64, 20
	var (
		mu   sync.Mutex
		seen = make(map[dot.Dot]entry.Hash)
		wg   sync.WaitGroup
	)
	for w := range writers {
		wg.Go(func() {
			var last hlc.Time
			for i := range each {
				d := visit(t, w*each+i)
				if i%10 == 0 {
					d.Lane = dot.Alert
				}
				v, err := s.Append(t.Context(), d)
				if err != nil {
					t.Error(err)
					return
				}
				if v.HLC.Compare(last) <= 0 {
					t.Errorf("%s: logical time did not rise for its writer", v.Dot)
				}
				last = v.HLC
				mu.Lock()
				if _, twice := seen[v.Dot]; twice {
					t.Errorf("%s was given twice", v.Dot)
				}
				seen[v.Dot] = v.Hash
				mu.Unlock()
			}
		})
	}
	wg.Go(func() { // readers and receipts meanwhile
		for range 50 {
			st := state(t, s, chain)
			if st.Last == 0 {
				continue
			}
			r := receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: st.Last, Head: st.Head}
			if out, err := s.Settle(t.Context(), []receipt.Receipt{r}); err != nil || out[0].Refused != nil {
				t.Error(err, out)
			}
			if _, err := s.Read(chain, 1, 100, 1<<20); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if len(seen) != writers*each {
		t.Fatalf("%d dots, want %d", len(seen), writers*each)
	}
	check := func() {
		for _, c := range []dot.Chain{chain, alerts} {
			for i, r := range wholeChain(t, s, c) {
				if seen[c.At(dot.Seq(i+1))] != r.Hash() {
					t.Fatalf("%s has other content than was acknowledged", c.At(dot.Seq(i+1)))
				}
			}
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	check()
}

func TestWatch(t *testing.T) {
	s := open(t, t.TempDir(), options())
	changed, stop := s.Watch()
	put(t, s, dot.Record, 3)
	<-changed
	stop()
	put(t, s, dot.Record, 1)
	select {
	case <-changed: // one coalesced value may be left from the three
	default:
	}
}

func TestListNarrows(t *testing.T) {
	s := open(t, t.TempDir(), options())
	put(t, s, dot.Record, 5)
	put(t, s, dot.Alert, 2)
	last := put(t, s, dot.Record, 5)
	st := state(t, s, chain)
	run, err := s.Read(chain, 1, 4, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Settle(t.Context(), []receipt.Receipt{{
		Epoch: receipt.Epoch{1}, Chain: chain, Through: 4, Head: run.After, Extra: []lane.Range{lane.Run(6, 7)}, Archived: 2,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		q    store.ListQuery
		want string
	}{
		"all":      {store.ListQuery{}, "r10 r9 r8 r7 r6 a2 a1 r5 r4 r3 r2 r1"},
		"limit":    {store.ListQuery{Limit: 2}, "r10 r9"},
		"lane":     {store.ListQuery{Lane: dot.Alert}, "a2 a1"},
		"waiting":  {store.ListQuery{State: store.Waiting}, "r10 r9 r8 a2 a1 r5"},
		"received": {store.ListQuery{State: store.Received}, "r7 r6 r4 r3"},
		"archived": {store.ListQuery{State: store.Archived}, "r2 r1"},
		"before":   {store.ListQuery{Before: last[0].HLC, Limit: 3}, "a2 a1 r5"},
	} {
		var got []string
		for it, err := range s.List(t.Context(), c.q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%c%d", it.Dot.Lane.String()[0], it.Dot.Seq))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
	it, err := s.Get(st.Chain.At(6))
	if err != nil || it.State != store.Received || it.Public.Dot.Seq != 6 {
		t.Fatalf("get: %+v, %v", it, err)
	}
	if _, err := s.Get(st.Chain.At(11)); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("get what is not there: %v", err)
	}
}
