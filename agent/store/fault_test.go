package store_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// Each step of the model may open a database: fewer cases than usual, unless
// the flag asks for more.
func init() {
	if err := flag.Set("rapid.checks", "8"); err != nil {
		panic(err)
	}
}

// needs skips a test that this machine cannot run, and fails it instead where
// OTOR_REQUIRE names what is missing.
func needs(t *testing.T, what string, there bool) {
	t.Helper()
	switch {
	case there:
	case slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), what):
		t.Fatalf("this test needs %s, which OTOR_REQUIRE names and this machine lacks", what)
	default:
		t.Skipf("this test needs %s", what)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	put(t, s, dot.Record, 2)
	_, err := store.Open(dir, options())
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second open: %v", err)
	}
	o := options()
	o.ReadOnly = true
	if _, err := store.Open(dir, o); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second open for reading: %v", err)
	}
	put(t, s, dot.Record, 1)
	wholeChain(t, s, chain)
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	o := options()
	o.ReadOnly = true
	if _, err := store.Open(dir, o); err == nil {
		t.Fatal("opened a store that does not exist for reading")
	}
	s := open(t, dir, options())
	put(t, s, dot.Record, 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, o)
	wholeChain(t, s, chain)
	if _, err := s.Append(t.Context(), visit(t, 1)); !errors.Is(err, store.ErrReadOnly) {
		t.Fatalf("append: %v", err)
	}
	if err := s.SetContact(t.Context(), store.Contact{}); !errors.Is(err, store.ErrReadOnly) {
		t.Fatalf("set contact: %v", err)
	}
}

// TestEveryCommitSurvives copies the folder after each acknowledgement, without
// closing it, and opens the copy: as after kill -9 at that moment.
func TestEveryCommitSurvives(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	var saved []store.Saved
	for i := range 12 {
		saved = append(saved, put(t, s, dot.Record, 1+i)...)
		if i%3 == 2 {
			v := saved[len(saved)/2]
			settle(t, s, receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: v.Dot.Seq, Head: v.Head})
		}
		want := state(t, s, chain)
		crashed := copyDir(t, dir)
		c := open(t, crashed, options())
		if f := c.Findings(); len(f) != 0 {
			t.Fatalf("after %d entries: %v", len(saved), f)
		}
		got := state(t, c, chain)
		if got.Last != want.Last || got.Head != want.Head || got.Received.String() != want.Received.String() || got.LastHLC != want.LastHLC {
			t.Fatalf("after %d entries: %+v, want %+v", len(saved), got, want)
		}
		for i, r := range wholeChain(t, c, chain) {
			if r.Hash() != saved[i].Hash {
				t.Fatalf("%s came back with other content", saved[i].Dot)
			}
		}
		if left, err := os.ReadDir(filepath.Join(crashed, "apart")); err == nil && len(left) != 0 {
			t.Fatalf("a crash that damaged nothing left %d folders of copies", len(left))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoreModel drives a store with any interleaving of appends, receipts and
// reopenings, orderly or not, against a model.
func TestStoreModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "s")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := store.Open(dir, options())
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		heads := map[dot.Lane][]entry.Hash{dot.Alert: {entry.Genesis(alerts)}, dot.Record: {entry.Genesis(chain)}}
		covered := map[dot.Lane]lane.Set{}
		laneGen := rapid.SampledFrom(dot.Lanes())
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				d := visit(t, rapid.IntRange(0, 1000).Draw(rt, "i"))
				d.Lane = laneGen.Draw(rt, "lane")
				d.Public.Wall += rapid.Int64Range(-1e12, 1e11).Draw(rt, "clock")
				v, err := s.Append(t.Context(), d)
				if err != nil {
					rt.Fatal(err)
				}
				if int(v.Dot.Seq) != len(heads[d.Lane]) {
					rt.Fatalf("got %s, want seq %d", v.Dot, len(heads[d.Lane]))
				}
				heads[d.Lane] = append(heads[d.Lane], v.Head)
			},
			"settle": func(rt *rapid.T) {
				l := laneGen.Draw(rt, "lane")
				last := len(heads[l]) - 1
				through := rapid.IntRange(0, last).Draw(rt, "through")
				r := receipt.Receipt{
					Epoch: receipt.Epoch{1}, Chain: dot.Chain{Device: "D-101", Incarnation: 1, Lane: l},
					Through: dot.Seq(through), Head: heads[l][through],
				}
				if through+2 <= last && rapid.Bool().Draw(rt, "range") {
					a := rapid.IntRange(through+2, last).Draw(rt, "a")
					r.Extra = []lane.Range{lane.Run(dot.Seq(a), dot.Seq(rapid.IntRange(a, last).Draw(rt, "b")))}
				}
				out, err := s.Settle(t.Context(), []receipt.Receipt{r})
				if err != nil || out[0].Refused != nil {
					rt.Fatal(out, err)
				}
				for _, x := range r.Set() {
					covered[l] = covered[l].Add(x)
				}
			},
			"reopen": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "orderly") {
					if err := s.Close(); err != nil {
						rt.Fatal(err)
					}
				} else {
					crashed := copyDir(t, dir)
					if err := s.Close(); err != nil {
						rt.Fatal(err)
					}
					dir = crashed
				}
				if s, err = store.Open(dir, options()); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				if f := s.Findings(); len(f) != 0 {
					rt.Fatal(f)
				}
				for l, h := range heads {
					st, _ := s.Chain(dot.Chain{Device: "D-101", Incarnation: 1, Lane: l})
					if int(st.Last) != len(h)-1 || st.Head != h[st.Last] {
						rt.Fatalf("%s: last %d, want %d; heads equal: %t", st.Chain, st.Last, len(h)-1, st.Head == h[len(h)-1])
					}
					if st.Received.String() != covered[l].String() || st.ReceivedHead != h[covered[l].Through()] {
						rt.Fatalf("%s: received %s, want %s", st.Chain, st.Received, covered[l])
					}
				}
			},
		})
		if f, err := s.Verify(t.Context(), store.All, nil); err != nil || len(f) != 0 {
			rt.Fatal(f, err)
		}
	})
}

// TestCutAtTheFirstStart: the power went after the database's files were made
// and before anything was in them.
func TestCutAtTheFirstStart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files(t, dir, "*.sst"), files(t, dir, "*.mem")...) {
		remove(t, name)
	}
	remove(t, filepath.Join(dir, "tails-1"))
	if err := os.WriteFile(filepath.Join(dir, "db", "MANIFEST"), append([]byte("Bdgr"), 0, 0, 0, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	if f := s.Findings(); len(f) != 0 {
		t.Fatal(f)
	}
	put(t, s, dot.Record, 1)
}

// TestKilledWhileAValueLogIsMade: it holds nothing by construction, so an empty
// one is what a crash leaves, and no damage.
func TestKilledWhileAValueLogIsMade(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	put(t, s, dot.Record, 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db", "000099.vlog"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = open(t, dir, options())
		if f := s.Findings(); len(f) != 0 {
			t.Fatal(f)
		}
		wholeChain(t, s, chain)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
