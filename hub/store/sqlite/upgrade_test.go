package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/lane"
)

// steps are the program's own with more behind them, as a later version has them.
func steps(t *testing.T, more map[string]string) fs.FS {
	t.Helper()
	all := make(fstest.MapFS)
	names, err := fs.Glob(sqlite.Embedded(), "migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, n := range names {
		b, err := fs.ReadFile(sqlite.Embedded(), n)
		if err != nil {
			t.Fatal(err)
		}
		all[n] = &fstest.MapFile{Data: b}
	}
	for n, sql := range more {
		all["migrations/"+n] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql + "\n")}
	}
	return all
}

const (
	good   = "ALTER TABLE devices ADD COLUMN colour TEXT;"
	broken = "CREATE TABLE half (a INTEGER) STRICT; INSERT INTO no_such_table VALUES (1);"
)

// tryOpen opens a database with some version's steps, says whether its entry is
// there, and closes it.
func tryOpen(t *testing.T, path string, more map[string]string) error {
	t.Helper()
	defer sqlite.Migrate(steps(t, more))()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	es, err := s.EntriesOf(t.Context(), chain, lane.Run(1, 1), 1<<20)
	if err == nil && len(es) != 1 {
		err = errors.New("the entry is not there")
	}
	return errors.Join(err, s.Close())
}

func copies(t *testing.T, path string) []string {
	t.Helper()
	names, err := filepath.Glob(path + ".before-*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// opensElsewhere opens a copy of the database with the old program, as going back does.
func opensElsewhere(t *testing.T, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "hub.db")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, to, nil); err != nil {
		t.Errorf("the old program with the copy: %v", err)
	}
}

// TestUpgradeCopiesFirst: a change of the tables leaves a copy that the older program
// takes; the older program refuses the changed database and leaves it as it is.
func TestUpgradeCopiesFirst(t *testing.T) {
	path := filled(t)
	if got := copies(t, path); len(got) != 0 {
		t.Fatalf("copies without a change: %v", got)
	}
	later := map[string]string{"09001_colour.sql": good}
	if err := tryOpen(t, path, later); err != nil {
		t.Fatal(err)
	}
	first := copies(t, path)
	if len(first) != 1 {
		t.Fatalf("copies: %v", first)
	}
	opensElsewhere(t, first[0])
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, path, nil); !errors.Is(err, store.ErrNewer) {
		t.Errorf("the older program: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !slices.Equal(before, after) {
		t.Errorf("the older program changed the database (%v)", err)
	}
	if err := tryOpen(t, path, later); err != nil {
		t.Error(err)
	}
	// The next change puts its copy in the place of this one.
	later["09002_more.sql"] = "ALTER TABLE devices ADD COLUMN shape TEXT;"
	if err := tryOpen(t, path, later); err != nil {
		t.Fatal(err)
	}
	if got := copies(t, path); len(got) != 1 || got[0] == first[0] {
		t.Errorf("copies after the next change: %v", got)
	}
}

// TestFailedUpgrade: a step that fails changes nothing, the steps before it stay, the
// copy is the one from before all of them however often it is tried, and a mended
// program goes on from there.
func TestFailedUpgrade(t *testing.T) {
	path := filled(t)
	for range 2 {
		if err := tryOpen(t, path, map[string]string{"09001_bad.sql": broken}); err == nil {
			t.Fatal("a broken step went through")
		}
	}
	if err := tryOpen(t, path, nil); err != nil {
		t.Errorf("the old program after a step that failed: %v", err)
	}
	half := map[string]string{"09001_colour.sql": good, "09002_bad.sql": broken}
	for range 3 {
		if err := tryOpen(t, path, half); err == nil {
			t.Fatal("a broken step went through")
		}
	}
	if err := tryOpen(t, path, nil); !errors.Is(err, store.ErrNewer) {
		t.Errorf("the old program with tables that are half changed: %v", err)
	}
	got := copies(t, path)
	if len(got) != 1 {
		t.Fatalf("copies: %v", got)
	}
	opensElsewhere(t, got[0])
	half["09002_bad.sql"] = "ALTER TABLE devices ADD COLUMN shape TEXT;"
	if err := tryOpen(t, path, half); err != nil {
		t.Fatalf("the mended program: %v", err)
	}
	if again := copies(t, path); !slices.Equal(again, got) {
		t.Errorf("copies: %v, were %v", again, got)
	}
	opensElsewhere(t, got[0])
}

// TestFailedUpgradeOutOfOrder: a step with a lower number than those that are there
// leaves the highest number as it was, and the copy is the one from before it still.
func TestFailedUpgradeOutOfOrder(t *testing.T) {
	path := filled(t)
	if err := tryOpen(t, path, map[string]string{"09001_colour.sql": good}); err != nil {
		t.Fatal(err)
	}
	half := map[string]string{
		"09001_colour.sql": good, "08001_shape.sql": "ALTER TABLE devices ADD COLUMN shape TEXT;", "08002_bad.sql": broken,
	}
	for range 2 {
		if err := tryOpen(t, path, half); err == nil {
			t.Fatal("a broken step went through")
		}
	}
	got := copies(t, path)
	if len(got) != 1 {
		t.Fatalf("copies: %v", got)
	}
	old := filepath.Join(t.TempDir(), "hub.db")
	b, err := os.ReadFile(got[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, old, map[string]string{"09001_colour.sql": good}); err != nil {
		t.Errorf("the program before with the copy: %v", err)
	}
}

// TestUpgradeAfterACrashAtTheEnd: what a crash after the last step leaves is no reason to
// make no copy at the next upgrade.
func TestUpgradeAfterACrashAtTheEnd(t *testing.T) {
	path := filled(t)
	half := map[string]string{"09001_colour.sql": good, "09002_bad.sql": broken}
	if err := tryOpen(t, path, half); err == nil {
		t.Fatal("a broken step went through")
	}
	mark, err := os.ReadFile(path + ".upgrade")
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]string{"09001_colour.sql": good, "09002_bad.sql": "ALTER TABLE devices ADD COLUMN shape TEXT;"}
	if err := tryOpen(t, path, whole); err != nil {
		t.Fatal(err)
	}
	first := copies(t, path)
	if err := os.WriteFile(path+".upgrade", mark, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, path, whole); err != nil {
		t.Fatal(err)
	}
	whole["09003_more.sql"] = "ALTER TABLE devices ADD COLUMN weight TEXT;"
	if err := tryOpen(t, path, whole); err != nil {
		t.Fatal(err)
	}
	if got := copies(t, path); len(got) != 1 || slices.Equal(got, first) {
		t.Errorf("copies: %v, were %v", got, first)
	}
}

// TestMarkOfAnOlderProgram: what it noted of a change that it began is understood.
func TestMarkOfAnOlderProgram(t *testing.T) {
	path := filled(t)
	half := map[string]string{"09001_colour.sql": good, "09002_bad.sql": broken}
	if err := tryOpen(t, path, half); err == nil {
		t.Fatal("a broken step went through")
	}
	got := copies(t, path)
	if len(got) != 1 {
		t.Fatalf("copies: %v", got)
	}
	version := strings.TrimPrefix(got[0], path+".before-")
	if err := os.WriteFile(path+".upgrade", []byte(version+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, path, half); err == nil {
		t.Fatal("a broken step went through")
	}
	if again := copies(t, path); !slices.Equal(again, got) {
		t.Errorf("copies: %v, were %v", again, got)
	}
	opensElsewhere(t, got[0])
}
