package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/internal/sim"
)

func TestACampaignGoesOnWhereItStopped(t *testing.T) {
	pl := plan{from: 10, seeds: 3, state: filepath.Join(t.TempDir(), "state.json")}
	open := func() *book {
		t.Helper()
		b, err := openBook(pl)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	take := func(b *book, want uint64) {
		t.Helper()
		if s, ok := b.take(); !ok || s != want {
			t.Fatalf("took seed %d (%t), want %d", s, ok, want)
		}
	}
	b := open()
	take(b, 10)
	b.done(sim.Report{Seed: 10, Work: sim.Work{Captures: 5}}, "", false)
	take(b, 11) // and the program ends here

	b = open()
	take(b, 12)
	b.done(sim.Report{Seed: 12, Work: sim.Work{Captures: 1}}, "", true) // does not count
	take(b, 13)
	b.done(sim.Report{Seed: 13, Work: sim.Work{Captures: 7}}, "", false)
	if _, ok := b.take(); ok {
		t.Error("a seed too many")
	}
	p, err := b.now()
	if err != nil || p.Done != 3 || p.Work.Captures != 12 || len(p.Failures) != 1 || p.Failures[0].Seed != 11 {
		t.Errorf("%+v, %v", p, err)
	}
	pl.seeds = 4
	if _, err := openBook(pl); err == nil {
		t.Error("the state of another campaign was taken")
	}
}

func TestTheLogGetsALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reliability.md")
	if err := os.WriteFile(path, []byte("| date |\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := progress{From: 5, Next: 9, Done: 4, Failures: []failure{{7, "I1"}}, Spent: 90 * time.Second, Work: sim.Work{Captures: 123, Whole: 2, Writes: 77, Conflicts: 9}}
	if err := appendLine(path, p, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| date |\n| 2026-11-23 | 5 to 8 | 4 |", "| 123 |", "1 (first: seed 7)", "| 1m30s | 2 | 77 | 9 |\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in %s", want, b)
		}
	}
	if err := appendLine(filepath.Join(t.TempDir(), "nothing.md"), p, time.Now()); err == nil {
		t.Error("a log that is not there was written")
	}
}
