package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
)

// A finding stands for months and the phone ends the program several times a day: only
// a start that finds something new keeps copies of what it found.
func TestCopiesAreKeptOncePerFinding(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	put(t, s, dot.Record, 50)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	put(t, s, dot.Record, 20)
	killed := func(d string) (string, *store.Store) { // the copy is as after kill -9
		t.Helper()
		c := copyDir(t, d)
		return c, open(t, c, options())
	}
	apart := func(d string) int {
		t.Helper()
		kept, err := os.ReadDir(filepath.Join(d, "apart"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(kept)
	}
	dir, _ = killed(dir)
	if n := apart(dir); n != 0 {
		t.Fatalf("%d folders after a kill that damaged nothing", n)
	}
	dir = copyDir(t, dir)
	table := files(t, dir, "*.sst")[0]
	flip(t, table, size(t, table)/2)
	s = open(t, dir, options())
	found := len(s.Findings())
	if n := apart(dir); n != 1 || found == 0 {
		t.Fatalf("%d folders after damage, %d findings", n, found)
	}
	for range 4 {
		put(t, s, dot.Record, 1)
		dir, s = killed(dir)
	}
	if n := apart(dir); n != 1 {
		t.Errorf("%d folders after four kills, with nothing new", n)
	}
	for _, f := range s.Findings() {
		if strings.Count(f.Do, "the files as they were") > 1 {
			t.Errorf("what to do, over and over: %s", f.Do)
		}
	}
	// Another damage is another matter.
	put(t, s, dot.Record, 5)
	dir = copyDir(t, dir)
	logs := files(t, dir, "*.mem")
	truncate(t, logs[len(logs)-1], 20)
	s = open(t, dir, options())
	if n := apart(dir); n != 2 || len(s.Findings()) <= found {
		t.Errorf("%d folders after damage to something else, %d findings", n, len(s.Findings()))
	}
}
