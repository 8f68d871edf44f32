package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"otor/internal/durable"
	"otor/internal/e2e/chaos"
)

// failure is a trial that did not hold, or did too little.
type failure struct {
	Seed uint64 `json:"seed"`
	Why  string `json:"why"`
}

// progress is the content of a state file.
type progress struct {
	Row      string         `json:"row"`
	From     uint64         `json:"from"`
	Next     uint64         `json:"next"` // the first seed that nobody took yet
	Running  []uint64       `json:"running"`
	Done     int            `json:"done"` // trials
	Faults   int            `json:"faults"`
	Checked  int            `json:"checked"`
	Met      map[string]int `json:"met,omitempty"` // what trials came to
	Spent    time.Duration  `json:"spent"`
	Controls []string       `json:"controls"` // how each was found out
	Failures []failure      `json:"failures"`
}

// book is the progress and its file. It is safe for concurrent use.
type book struct {
	path string
	most int

	mu      sync.Mutex // guards what follows
	p       progress
	flight  int // trials that run
	average int // faults of a trial, as seen so far
	since   time.Time
	err     error // of writing the file: nothing more is handed out
}

// openBook goes on where an earlier run of the same plan stopped. A trial during
// which the campaign itself ended is made again: it may have been stopped.
func openBook(pl plan) (*book, error) {
	b := &book{path: statePath(pl), most: pl.faults, since: time.Now(), p: progress{Row: pl.row, From: pl.from, Next: pl.from}}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of the campaign: %w", err)
	}
	var p progress
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read the state of the campaign %s: %w: delete it to begin anew", b.path, err)
	}
	if p.From != pl.from || p.Row != pl.row {
		return nil, fmt.Errorf("%s is the state of another campaign (%s -from %d): finish that one, or delete the file", b.path, p.Row, p.From)
	}
	b.p = p
	return b, nil
}

// take hands out a seed: one that was stopped, or the next.
func (b *book) take() (seed uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || b.p.Faults+b.flight*b.average >= b.most {
		return 0, false
	}
	if len(b.p.Running) > b.flight {
		seed = b.p.Running[0]
		b.p.Running = append(b.p.Running[1:], seed)
	} else {
		seed = b.p.Next
		b.p.Next++
		b.p.Running = append(b.p.Running, seed)
	}
	b.flight++
	b.save()
	return seed, b.err == nil
}

// back returns a seed that was stopped.
func (b *book) back(uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.save()
}

// proved notes how the controls were found out.
func (b *book) proved(how []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Controls = how
	b.save()
}

// done notes what came of a trial.
func (b *book) done(o chaos.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Running = slices.DeleteFunc(b.p.Running, func(s uint64) bool { return s == o.Seed })
	b.flight--
	b.p.Done++
	b.p.Faults += o.Faults
	b.p.Checked += o.Checked
	for what, n := range o.Met {
		if b.p.Met == nil {
			b.p.Met = make(map[string]int)
		}
		b.p.Met[what] += n
	}
	b.average = b.p.Faults / b.p.Done
	if len(o.Problems) > 0 {
		b.p.Failures = append(b.p.Failures, failure{o.Seed, o.Problems[0]})
	}
	b.save()
}

// save writes the file; b.mu is held.
func (b *book) save() {
	now := time.Now()
	b.p.Spent += now.Sub(b.since)
	b.since = now
	text, err := json.MarshalIndent(b.p, "", "  ")
	if err == nil {
		err = durable.WriteFile(b.path, append(text, '\n'), 0o600)
	}
	b.err = errors.Join(b.err, err)
}

// now is the progress as it stands.
func (b *book) now() (progress, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.p
	p.Met = maps.Clone(p.Met)
	return p, b.err
}

// unmet lists what a row's trials were to come to and never did. A few trials may
// miss something by chance: of them nothing is said.
func (p progress) unmet(row chaos.Row) []string {
	if p.Done < chaos.EnoughTrials {
		return nil
	}
	return row.Unmet(p.Met)
}

// tally is what trials came to, in words.
func (p progress) tally() string {
	if len(p.Met) == 0 {
		return ""
	}
	var words []string
	for _, what := range slices.Sorted(maps.Keys(p.Met)) {
		words = append(words, fmt.Sprintf("%s %d", what, p.Met[what]))
	}
	return "met: " + strings.Join(words, ", ") + "\n"
}

// insertLine puts a line at the end of the table that stands below a heading.
func insertLine(path, heading, line string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("log the campaign: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	at := slices.Index(lines, heading)
	if at < 0 {
		return fmt.Errorf("log the campaign: %s has no heading %q", path, heading)
	}
	end := -1
	for i := at + 1; i < len(lines) && !strings.HasPrefix(lines[i], "## "); i++ {
		if strings.HasPrefix(lines[i], "|") {
			end = i
		}
	}
	if end < 0 {
		return fmt.Errorf("log the campaign: %s has no table below %q", path, heading)
	}
	lines = slices.Insert(lines, end+1, line)
	return durable.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}
