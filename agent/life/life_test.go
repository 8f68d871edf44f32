package life_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/agent/life"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/wire"
)

var (
	enrolment = life.Enrolment{Device: "D-101", Incarnation: 2, Previous: 1}
	noon      = time.Date(2025, 9, 18, 12, 0, 0, 0, time.UTC)
)

func at(b life.Binding) func(string) (life.Binding, error) {
	return func(string) (life.Binding, error) { return b, nil }
}

func open(t *testing.T, dir string, sense func(string) (life.Binding, error), lived ...dot.Incarnation) *life.Book {
	t.Helper()
	b, err := life.Open(dir, enrolment, lived, func() time.Time { return noon }, sense)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhenALifeBegins(t *testing.T) {
	home := life.Binding{Machine: "m", Mark: "b1", Path: "/data"}
	for name, c := range map[string]struct {
		was, is life.Binding
		reason  entry.Reason // 0: none begins
	}{
		"nothing changed":       {home, home, 0},
		"renamed":               {home, life.Binding{Machine: "m", Mark: "b1", Path: "/other"}, 0},
		"another machine":       {home, life.Binding{Machine: "n", Mark: "b1", Path: "/data"}, entry.Moved},
		"copied":                {home, life.Binding{Machine: "m", Mark: "b2", Path: "/copy"}, entry.Moved},
		"put back in its place": {home, life.Binding{Machine: "m", Mark: "b2", Path: "/data"}, entry.Restored},
		"no machine id":         {life.Binding{Mark: "b1", Path: "/data"}, life.Binding{Mark: "b1", Path: "/data"}, 0},
		"no machine id, copied": {life.Binding{Mark: "b1", Path: "/data"}, life.Binding{Mark: "b2", Path: "/copy"}, entry.Moved},
		"the id came later":     {life.Binding{Mark: "b1", Path: "/data"}, home, 0},
		"the id went away":      {home, life.Binding{Mark: "b1", Path: "/data"}, 0},
		"nothing is known":      {life.Binding{Path: "/data"}, life.Binding{Path: "/data"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := open(t, dir, at(c.was)).Current()
			if first.Incarnation != 2 || first.Reason != entry.Reenrolled || first.Previous != 1 {
				t.Fatalf("the first life: %+v", first)
			}
			for range 2 { // it begins once
				now := open(t, dir, at(c.is)).Current()
				if c.reason == 0 && now != first {
					t.Fatalf("a life began: %+v", now)
				}
				if c.reason != 0 && (now.Incarnation != 3 || now.Reason != c.reason || now.Previous != 2 || now.ID == first.ID) {
					t.Fatalf("got %+v", now)
				}
			}
		})
	}
}

// TestCopyIsNoticed copies a folder in fact, and renames one.
func TestCopyIsNoticed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, dir, life.Sense)
	copied := filepath.Join(t.TempDir(), "b")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	renamed := dir + "2"
	if err := os.Rename(dir, renamed); err != nil {
		t.Fatal(err)
	}
	if now := open(t, renamed, life.Sense).Current(); now.Incarnation != 2 {
		t.Errorf("renamed: %+v", now)
	}
	if now := open(t, copied, life.Sense).Current(); now.Incarnation != 3 || now.Reason != entry.Moved {
		t.Errorf("copied: %+v", now)
	}
}

// A book that got lost is begun above every life that has left a trace. What the
// enrolment's life is called at the hub is not known any more, and not claimed.
func TestLostBook(t *testing.T) {
	for name, c := range map[string]struct {
		file  string
		lived []dot.Incarnation
		now   dot.Incarnation
	}{
		"a life of its own":             {"tails-7", nil, 8},
		"the enrolment's alone":         {"tails-2", nil, 3},
		"entries in the database":       {"", []dot.Incarnation{2, 5}, 6},
		"what an enrolment before left": {"tails-1", []dot.Incarnation{1}, 2},
		"nothing: there never was one":  {"", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, c.file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b := open(t, dir, at(life.Binding{}), c.lived...)
			if now := b.Current(); now.Incarnation != c.now || now.Incarnation > 2 && (now.Reason != entry.Damaged || now.Previous != 2) {
				t.Fatalf("got %+v", now)
			}
			if got := claimed(t, b); len(got) != 1 || got[0].Incarnation != c.now {
				t.Errorf("claims: %+v", got)
			}
			if again := open(t, dir, at(life.Binding{}), c.lived...); again.Current() != b.Current() {
				t.Errorf("and once more: %+v", again.Current())
			}
		})
	}
}

// A life in which nothing was captured is forgotten by the one that follows: a machine
// whose id changes with each start does not pile them up.
func TestBlankLivesAreForgotten(t *testing.T) {
	dir := t.TempDir()
	machine := 0
	start := func(lived ...dot.Incarnation) []life.Life {
		machine++
		return open(t, dir, at(life.Binding{Machine: strings.Repeat("m", machine)}), lived...).Lives()
	}
	start()
	ids := make(map[life.ID]bool)
	for range 100 {
		all := start()
		if len(all) != 2 || all[1].Incarnation != 3 || ids[all[1].ID] {
			t.Fatalf("got %+v", all)
		}
		ids[all[1].ID] = true
	}
	if all := start(3); len(all) != 3 || all[2].Incarnation != 4 || all[2].Previous != 3 {
		t.Errorf("after a capture: %+v", all)
	}
	// The hub gave life 4's number to another one, and 9 is free.
	b := open(t, dir, at(life.Binding{}), 3)
	if l, err := b.Begin(entry.Diverged, []dot.Incarnation{3}, 9); err != nil || l.Incarnation != 9 || l.Previous != 3 || len(b.Lives()) != 3 {
		t.Errorf("got %+v of %+v, %v", l, b.Lives(), err)
	}
}

func TestDisown(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, at(life.Binding{}))
	if err := b.Disown(2); err == nil {
		t.Error("the current life lost its id")
	}
	if _, err := b.Begin(entry.Diverged, nil, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Disown(2); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []*life.Book{b, open(t, dir, at(life.Binding{}))} {
		if got := claimed(t, b); len(got) != 1 || got[0].Incarnation != 3 {
			t.Errorf("claims: %+v", got)
		}
	}
}

func claimed(t *testing.T, b *life.Book) []wire.LifeClaim {
	t.Helper()
	key, err := identity.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return b.Claims(key)
}

func TestBookRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no json":        "{",
		"a newer form":   `{"version":2}`,
		"another device": `{"version":1,"device":"D-102","lives":[{"incarnation":1}]}`,
		"no lives":       `{"version":1,"device":"D-101"}`,
		"out of order":   `{"version":1,"device":"D-101","lives":[{"incarnation":3,"id":"` + strings.Repeat("0", 32) + `"},{"incarnation":2,"id":"` + strings.Repeat("0", 32) + `"}]}`,
		"a short id":     `{"version":1,"device":"D-101","lives":[{"incarnation":3,"id":"00"}]}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, life.FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := life.Open(dir, enrolment, nil, time.Now, at(life.Binding{})); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	broken := errors.New("no such disk")
	if _, err := life.Open(t.TempDir(), enrolment, nil, time.Now, func(string) (life.Binding, error) { return life.Binding{}, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestClaims(t *testing.T) {
	b := open(t, t.TempDir(), at(life.Binding{}))
	if _, err := b.Begin(entry.Diverged, nil, 9); err != nil {
		t.Fatal(err)
	}
	key, err := identity.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	cs := b.Claims(key)
	if len(cs) != 2 || cs[1].Incarnation != 9 || cs[1].Previous != 2 {
		t.Fatalf("got %+v", cs)
	}
	for _, c := range cs {
		if !key.Public().Verify(identity.ForLife, c.Message("D-101"), c.Proof) || key.Public().Verify(identity.ForLife, c.Message("D-102"), c.Proof) {
			t.Errorf("the proof of %d", c.Incarnation)
		}
	}
}
