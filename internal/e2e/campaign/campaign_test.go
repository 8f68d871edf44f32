package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/internal/e2e/chaos"
)

func TestACampaignGoesOnWhereItStopped(t *testing.T) {
	pl := plan{row: "kill-agent", faults: 25, from: 10, state: t.TempDir()}
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
	b.done(chaos.Outcome{Seed: 10, Faults: 10, Checked: 100})
	take(b, 11) // and the campaign is stopped here

	b = open()
	take(b, 11) // it is made again
	b.done(chaos.Outcome{Seed: 11, Faults: 10, Checked: 50, Problems: []string{"lost"}})
	take(b, 12)
	if _, ok := b.take(); ok {
		t.Error("a trial too many: the one that runs is enough")
	}
	b.done(chaos.Outcome{Seed: 12, Faults: 10, Checked: 50})
	if _, ok := b.take(); ok {
		t.Error("a trial too many")
	}
	p, err := b.now()
	if err != nil || p.Done != 3 || p.Faults != 30 || p.Checked != 200 || len(p.Failures) != 1 || p.Failures[0].Seed != 11 {
		t.Errorf("%+v, %v", p, err)
	}
	pl.from = 11
	if _, err := openBook(pl); err == nil {
		t.Error("the state of another campaign was taken")
	}
}

func TestTheLogGetsALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "campaigns.md")
	text := "# Campaigns\n\n## Faults\nWords.\n\n| a |\n|---|\n| old |\n\n## Fuzzing\n\n| b |\n|---|\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	row := chaos.Row{Name: "kill-agent", Controls: []chaos.Control{{Name: "taken", Words: []string{"gone"}}}}
	p := progress{From: 1, Next: 4, Done: 3, Faults: 30, Checked: 9, Spent: time.Minute, Controls: []string{"taken: x"}, Failures: []failure{{2, "lost"}}}
	if err := insertLine(path, "## Faults", faultLine(row, p, time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC))); err != nil {
		t.Fatal(err)
	}
	if err := insertLine(path, "## Fuzzing", "| new |"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "| old |\n| 2026-11-26 | kill-agent | 30 | 1 to 3 | 3 | 9 | 1 of 1 | 1 (first: seed 2) | 1m0s |\n\n## Fuzzing\n\n| b |\n|---|\n| new |\n"
	if !strings.HasSuffix(string(b), want) {
		t.Errorf("%s\nwant it to end in\n%s", b, want)
	}
	if insertLine(path, "## Nothing", "| x |") == nil || insertLine(filepath.Join(t.TempDir(), "no.md"), "## Faults", "| x |") == nil {
		t.Error("a log that is not there was written")
	}
}

func TestParse(t *testing.T) {
	p, _, err := parse([]string{"kill-agent", "-n", "7"})
	if err != nil || p.row != "kill-agent" || p.faults != 7 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, args := range [][]string{{}, {"kill-agent", "more"}, {"kill-agent", "-n", "0"}} {
		if _, _, err := parse(args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func TestFuzzingOfTheLogCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "campaigns.md")
	text := "# Campaigns\n\n| 2026-11-27 | a/b | FuzzX | 9m | 1 | 0 |\n\n## Fuzzing\n\n| date | package | decoder | time | executions | failures |\n|---|---|---|---|---|---|\n" +
		"| 2026-11-20 | a/b | FuzzX | 5m0s | 1 | 0 |\n| 2026-11-27 | a/b | FuzzX | 1m30s | 1 | 0 |\n| 2026-11-28 | a/b | FuzzX | 30s | 1 | 0 |\n| 2026-11-28 | a/b | FuzzY | 1m | 1 | 0 |\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := logged(plan{log: path, since: "2026-11-27"})
	if err != nil || len(got) != 2 || got["otor/a/b FuzzX"] != 2*time.Minute || got["otor/a/b FuzzY"] != time.Minute {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := logged(plan{log: path}); err != nil || len(got) != 0 {
		t.Errorf("without a day: %v, %v", got, err)
	}
}

// TestWhatNobodyMetIsNoSuccess: a campaign whose trials never came to a place that
// its row is to meet fails, once they are enough to say so.
func TestWhatNobodyMetIsNoSuccess(t *testing.T) {
	row := chaos.Row{Name: "kill-hub", Meets: []string{"ingested", "recorded"}}
	b, err := openBook(plan{row: row.Name, faults: 1000, state: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(chaos.EnoughTrials) {
		p, _ := b.now()
		if got := p.unmet(row); len(got) > 0 {
			t.Fatalf("after %d trials: %v", i, got)
		}
		seed, _ := b.take()
		b.done(chaos.Outcome{Seed: seed, Faults: 1, Met: map[string]int{"ingested": 1}})
	}
	p, err := b.now()
	if got := p.unmet(row); err != nil || len(got) != 1 || got[0] != "recorded" {
		t.Errorf("never met are %v, %v", got, err)
	}
	if line := faultLine(row, p, time.Now()); !strings.Contains(line, "never met: recorded") {
		t.Error(line)
	}
	if p.tally() != "met: ingested 25\n" {
		t.Error(p.tally())
	}
	seed, _ := b.take()
	b.done(chaos.Outcome{Seed: seed, Met: map[string]int{"recorded": 1}})
	if p, _ := b.now(); len(p.unmet(row)) > 0 {
		t.Errorf("%v", p.unmet(row))
	}
}
