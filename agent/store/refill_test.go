package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// damagedStore has 200 entries in two tables, of which the hub received 150; the
// first table, with entries 1 to 100, is gone. raws are what the hub has.
func damagedStore(t *testing.T) (dir string, raws []entry.Raw) {
	t.Helper()
	dir = t.TempDir()
	for range 2 {
		s := open(t, dir, options())
		put(t, s, dot.Record, 100)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, options())
	raws = wholeChain(t, s, chain)
	head := entry.Genesis(chain)
	for _, r := range raws[:150] {
		head = entry.Next(head, r)
	}
	settle(t, s, receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: 150, Head: head})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables := files(t, dir, "*.sst")
	if len(tables) < 2 {
		t.Fatalf("tables: %v", tables)
	}
	remove(t, tables[0])
	return dir, raws
}

func TestRefill(t *testing.T) {
	dir, raws := damagedStore(t)
	s := open(t, dir, options())
	if f, err := s.Verify(t.Context(), store.All, nil); err != nil || len(f) != 1 {
		t.Fatal(f, err)
	}
	holes := s.Holes()
	if len(holes) != 1 || holes[0].Run != lane.Run(1, 100) || holes[0].Before != entry.Genesis(chain) {
		t.Fatalf("%+v", holes)
	}
	h := holes[0]
	walked := h.Before
	for _, r := range raws[:100] {
		walked = entry.Next(walked, r)
	}
	if walked != h.After {
		t.Fatal("the hole's heads do not fit what was there")
	}

	// What does not belong there does not get there.
	if err := s.Refill(t.Context(), chain, 1, h.Before, raws[1:3]); err == nil {
		t.Error("entries were taken at another place")
	}
	if err := s.Refill(t.Context(), chain, 120, h.Before, raws[119:121]); err == nil || !strings.Contains(err.Error(), "not lost") {
		t.Errorf("an entry that is whole was written over: %v", err)
	}
	if err := s.Refill(t.Context(), chain, 200, h.Before, raws[199:]); err == nil {
		t.Error("an entry that is whole was written over")
	}

	if err := s.Refill(t.Context(), chain, 1, h.Before, raws[:60]); err != nil {
		t.Fatal(err)
	}
	if got := s.Holes(); len(got) != 1 || got[0].Run != lane.Run(61, 100) || got[0].After != h.After {
		t.Fatalf("after a part: %+v", got)
	}
	before := s.Holes()[0].Before
	if err := s.Refill(t.Context(), chain, 61, before, raws[60:100]); err != nil {
		t.Fatal(err)
	}
	if got := s.Holes(); len(got) != 0 {
		t.Fatalf("after all: %+v", got)
	}
	for i, r := range wholeChain(t, s, chain) {
		if !r.Equal(raws[i]) {
			t.Fatalf("entry %d came back with other bytes", i+1)
		}
	}
	if f, err := s.Verify(t.Context(), store.All, nil); err != nil || len(f) != 0 {
		t.Fatal(f, err)
	}
	if gone, err := s.Dismiss(t.Context()); err != nil || len(gone) == 0 || len(s.Findings()) != 0 {
		t.Fatalf("dismissed %v, left %v, %v", gone, s.Findings(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = open(t, dir, options()); len(s.Findings()) != 0 {
		t.Fatalf("dismissed findings came back: %v", s.Findings())
	}
}

// TestFindingsOutliveTheProgram: what a check of everything found is known to
// the next program, which looks at the unsent entries only.
func TestFindingsOutliveTheProgram(t *testing.T) {
	dir, _ := damagedStore(t)
	s := open(t, dir, options())
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Fatal(err)
	}
	want := lasting(s)
	if len(want) < 2 {
		t.Fatalf("findings: %v", want)
	}
	crashed := copyDir(t, dir) // kill -9 forgets nothing either
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, crashed} {
		s = open(t, d, options())
		if got := lasting(s); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("findings now\n%v\nbefore\n%v", got, want)
		}
		if st := state(t, s, chain); st.Lost.String() != "{1-100}" {
			t.Errorf("lost: %s", st.Lost)
		}
		if _, err := s.Dismiss(t.Context()); err != nil || len(lasting(s)) != len(want) {
			t.Errorf("findings were dismissed while entries are missing: %v", lasting(s))
		}
	}
}

func lasting(s *store.Store) (out []string) {
	for _, f := range s.Findings() {
		if f.Code != store.CodeRowDamaged {
			out = append(out, f.String())
		}
	}
	return out
}

// TestEndUnknownOutlivesTheProgram: a chain whose end nobody knows is not gone
// on with after a restart either, or a seq would be given out twice.
func TestEndUnknownOutlivesTheProgram(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	put(t, s, dot.Record, 50)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	put(t, s, dot.Record, 20)
	crashed := copyDir(t, dir)
	for _, mem := range files(t, crashed, "*.mem") {
		truncate(t, mem, 0)
	}
	remove(t, filepath.Join(crashed, "tails-1"))
	for i := range 3 {
		c := open(t, crashed, options())
		if _, err := c.Append(t.Context(), visit(t, 1)); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("opened %d times: append gave %v", i+1, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Under a new incarnation it goes on.
	o := options()
	o.Incarnation, o.Origin = 2, entry.Origin{Reason: entry.Damaged, Previous: 1}
	c := open(t, crashed, o)
	put(t, c, dot.Record, 1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRebuildManifest: without its list of files the database is refused, and
// made anew on a person's word, with everything that it had.
func TestRebuildManifest(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"0 bytes": func(p string) error { return os.Truncate(p, 0) },
		"garbage": func(p string) error { return os.WriteFile(p, []byte("no manifest at all"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var saved []store.Saved
			for i := range 3 {
				s := open(t, dir, options())
				saved = append(saved, put(t, s, dot.Record, 40)...)
				if i < 2 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			crashed := copyDir(t, dir) // two tables and a log
			if err := damage(filepath.Join(crashed, "db", "MANIFEST")); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Open(crashed, options()); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "doctor --repair") {
				t.Fatalf("opened without its list: %v", err)
			}
			o := options()
			o.Repair = true
			s := open(t, crashed, o)
			whole, lost := accounted(t, s, saved)
			if whole.Len() != uint64(len(saved)) {
				t.Errorf("whole %s, lost %s", whole, lost)
			}
			goesOn(t, s, saved)
			if gone, err := s.Dismiss(t.Context()); err != nil || len(gone) == 0 {
				t.Errorf("dismissed %v, %v", gone, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = open(t, crashed, options()); len(s.Findings()) != 0 {
				t.Error(s.Findings())
			}
		})
	}
}
