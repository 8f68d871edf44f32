package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
)

// TestUpgrade brings a store to a format to come: the files are copied first, and the
// program before can go on with that copy.
func TestUpgrade(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	saved := put(t, s, dot.Record, 50)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	back := store.WithUpgrades(store.Mark)
	defer back()
	looking := options()
	looking.ReadOnly = true
	if _, err := store.Open(dir, looking); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("opened for looking only: %v", err)
	}
	s = open(t, dir, options())
	if !store.Marked(s) || state(t, s, chain).Last != 50 {
		t.Errorf("marked %t, %d entries", store.Marked(s), state(t, s, chain).Last)
	}
	well(t, s)
	put(t, s, dot.Record, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	back() // the program before
	if _, err := store.Open(dir, options()); !errors.Is(err, store.ErrNewer) {
		t.Errorf("the program before: %v", err)
	}
	db := filepath.Join(dir, "db")
	if err := errors.Join(os.RemoveAll(db), os.Rename(db+".before-1", db)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, options())
	if got, err := s.Get(saved[49].Dot); err != nil || store.Marked(s) || got.Dot != saved[49].Dot {
		t.Errorf("the copy: %v, marked %t", err, store.Marked(s))
	}
	if st := state(t, s, chain); len(s.Findings()) == 0 || st.Last != 51 {
		t.Errorf("what was saved since is not missed: %v", s.Findings())
	}
}

// TestUpgradeThatFails is tried again, and keeps the copy from before all of it.
func TestUpgradeThatFails(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, dot.Record, 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("half way")
	fails := true
	back := store.WithUpgrades(store.Mark, func(*store.Store) error {
		if fails {
			return broken
		}
		return nil
	})
	defer back()
	for range 2 {
		_, err := store.Open(dir, options())
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "db.before-1") {
			t.Fatalf("an upgrade that fails: %v", err)
		}
	}
	before := store.WithUpgrades()
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "db"), os.DirFS(filepath.Join(dir, "db.before-1"))); err != nil {
		t.Fatal(err)
	}
	s = open(t, copied, options())
	if store.Marked(s) || state(t, s, chain).Last != 5 {
		t.Errorf("the copy is not from before: marked %t, %d entries", store.Marked(s), state(t, s, chain).Last)
	}
	before()
	fails = false
	s = open(t, dir, options())
	if _, err := os.Stat(filepath.Join(dir, "upgrade")); err == nil || !store.Marked(s) || state(t, s, chain).Last != 5 {
		t.Errorf("after all: %v, marked %t, %d entries", err, store.Marked(s), state(t, s, chain).Last)
	}
	well(t, s)
}

// TestUpgradeAfterACrashAtTheEnd: what a crash after the last step leaves is no reason to
// make no copy at the next upgrade.
func TestUpgradeAfterACrashAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	reopen := func(n int) {
		t.Helper()
		s, err := store.Open(dir, options())
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, dot.Record, n)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reopen(5)
	back := store.WithUpgrades(store.Mark)
	reopen(1)
	if err := os.WriteFile(filepath.Join(dir, "upgrade"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reopen(1)
	back()
	back = store.WithUpgrades(store.Mark, func(*store.Store) error { return nil })
	defer back()
	reopen(1)
	old, err := filepath.Glob(filepath.Join(dir, "db.before-*"))
	if err != nil || len(old) != 1 || filepath.Base(old[0]) != "db.before-2" {
		t.Errorf("copies: %v, %v", old, err)
	}
}
