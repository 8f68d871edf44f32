package device_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"otor/agent/device"
	"otor/agent/life"
	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/receipt"
	"otor/internal/wire"
)

func bookOf(t *testing.T, dir string) *life.Book {
	t.Helper()
	book, err := life.Open(dir, life.Enrolment{Device: "D-101", Incarnation: 1}, nil, time.Now, func(string) (life.Binding, error) {
		return life.Binding{Machine: "one", Mark: "one", Path: dir}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func livesOf(s *store.Store, book *life.Book, out *device.Outbox) *device.Lives {
	return &device.Lives{
		Store: s, Book: book, Device: "D-101", Enrolled: 1, Outbox: out, Again: func() {}, Changed: func() {}, Log: slog.New(slog.DiscardHandler),
	}
}

// pruneAll prunes until nothing is left to look at.
func pruneAll(t *testing.T, s *store.Store, at time.Time, but ...dot.Chain) {
	t.Helper()
	for more := true; more; {
		p, err := s.Prune(t.Context(), at, time.Minute, but...)
		if err != nil {
			t.Fatal(err)
		}
		more = p.More
	}
}

// TestMendOfAPrunedChain: a device that removed its first entries, which the hub has in
// its archive, is told by receipts that another folder wrote under its name. What they
// say beyond its own end says nothing of what lies below: it ends its chain where that is, and
// nothing is re-homed or missing. Only where the hub's head before is another one do
// the two part, within what is not here to be compared.
func TestMendOfAPrunedChain(t *testing.T) {
	other := entry.Hash{9}
	for _, c := range []struct {
		name  string
		say   func(r *receipt.Receipt)
		ends  dot.Seq
		alike bool // what the hub compares is as it is here
	}{
		{"the hub has more", func(r *receipt.Receipt) { r.Through, r.Head = 7, other }, 5, true},
		{"the hub holds more above a hole", func(r *receipt.Receipt) { r.Extra = []lane.Range{lane.Run(7, 8)} }, 5, true},
		{"the hub's head is another one", func(r *receipt.Receipt) { r.Head = other }, 0, true},
		{"the hub has another fourth entry", func(r *receipt.Receipt) { r.Through, r.Head = 4, other }, 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			book := bookOf(t, dir)
			s := reopened(t, dir)
			if err := s.GrantScopes(t.Context(), []string{"gacha-1"}); err != nil {
				t.Fatal(err)
			}
			edit := editor(t, s)
			for _, phone := range []string{"1", "2", "3", "4", "5"} {
				edit(phone, 0)
			}
			chain := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
			head, _ := s.HeadAt(chain, 3)
			r := receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: 3, Head: head, Archived: 2}
			out := device.NewOutbox(s, func() {})
			seen := merge.New(herdsman)
			for seq := dot.Seq(1); seq <= 5; seq++ {
				seen.Dispose(chain.At(seq))
			}
			page(t, s, "gacha-1", 1, false, hubRow(1, seen))
			if _, err := out.Answer(t.Context(), r.Epoch, []receipt.Receipt{r}); err != nil {
				t.Fatal(err)
			}
			noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
			for _, at := range []time.Time{noon, noon.Add(time.Hour)} {
				pruneAll(t, s, at)
			}
			if st, _ := s.Chain(chain); st.Pruned.String() != "{1-2}" {
				t.Fatalf("pruned %s", st.Pruned)
			}
			c.say(&r)
			if _, err := out.Settle(t.Context(), []receipt.Receipt{r}); err != nil {
				t.Fatal(err)
			}
			lives := livesOf(s, book, out)
			compare := func(_ context.Context, runs []lane.Range) (sums []entry.Hash, err error) {
				for _, run := range runs {
					d := wire.NewDigest()
					err = s.Hashes(chain, run, func(seq dot.Seq, h entry.Hash) {
						if !c.alike && seq == 4 {
							h = other
						}
						d.Add(seq, h)
					})
					sums = append(sums, d.Sum())
				}
				return sums, err
			}
			if err := lives.Mend(t.Context(), chain, compare); err != nil {
				t.Fatal(err)
			}
			st, _ := s.Chain(chain)
			if st.End == nil || st.End.Seq != c.ends {
				t.Fatalf("the chain ends at %+v, want %d", st.End, c.ends)
			}
			if broken := st.Broken(); len(broken) > 0 != (c.ends == 0) {
				t.Errorf("missing at the hub: %s", broken)
			}
		})
	}
}

// TestMendBesideAPrune: entries are pruned while a chain is compared of which the hub
// has the same history, and more. They are no difference: the chain ends where it does
// here, and keeps its names. A chain that is in dispute is not pruned at all.
func TestMendBesideAPrune(t *testing.T) {
	dir := t.TempDir()
	book := bookOf(t, dir)
	s := reopened(t, dir)
	if err := s.GrantScopes(t.Context(), []string{"gacha-1"}); err != nil {
		t.Fatal(err)
	}
	edit := editor(t, s)
	for _, phone := range []string{"1", "2", "3", "4", "5"} {
		edit(phone, 0)
	}
	chain := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	hub, seen := make(map[dot.Seq]entry.Hash), merge.New(herdsman)
	if err := s.Hashes(chain, lane.Run(1, 5), func(seq dot.Seq, h entry.Hash) { hub[seq] = h }); err != nil {
		t.Fatal(err)
	}
	for seq := range hub {
		seen.Dispose(chain.At(seq))
	}
	page(t, s, "gacha-1", 1, false, hubRow(1, seen))
	head, _ := s.HeadAt(chain, 3)
	r := receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: 3, Head: head, Archived: 3}
	var out *device.Outbox
	var disputed []dot.Chain
	out = device.NewOutbox(s, func() { disputed = out.Disputed() })
	if _, err := out.Answer(t.Context(), r.Epoch, []receipt.Receipt{r}); err != nil || len(disputed) != 0 {
		t.Fatal(disputed, err)
	}
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	pruneAll(t, s, noon)
	r.Through, r.Head = 7, entry.Hash{9}
	if _, err := out.Answer(t.Context(), r.Epoch, []receipt.Receipt{r}); err != nil || len(disputed) != 1 || disputed[0] != chain {
		t.Fatalf("the prune after the hello is told that %v are disputed; %v", disputed, err)
	}
	pruneAll(t, s, noon.Add(time.Hour), disputed...)
	if st, _ := s.Chain(chain); len(st.Pruned) != 0 {
		t.Fatalf("of a chain in dispute %s were pruned", st.Pruned)
	}
	asked := 0
	compare := func(_ context.Context, runs []lane.Range) (sums []entry.Hash, err error) {
		if asked++; asked == 1 {
			pruneAll(t, s, noon.Add(time.Hour)) // one that had begun before the dispute
		}
		for _, run := range runs {
			d := wire.NewDigest()
			for seq := run.First; seq <= run.Last; seq++ {
				d.Add(seq, hub[seq])
			}
			sums = append(sums, d.Sum())
		}
		return sums, nil
	}
	if err := livesOf(s, book, out).Mend(t.Context(), chain, compare); err != nil {
		t.Fatal(err)
	}
	st, _ := s.Chain(chain)
	if st.Pruned.String() != "{1-3}" {
		t.Fatalf("in between %s were pruned", st.Pruned)
	}
	if st.End == nil || st.End.Seq != 5 || len(st.Broken()) != 0 || len(s.Findings()) != 0 {
		t.Errorf("the chain ends at %+v, want 5; missing at the hub %s; findings %v", st.End, st.Broken(), s.Findings())
	}
}
