package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"otor/internal/durable"
	"otor/internal/sim"
)

// failure is a seed that did not hold, or did too little.
type failure struct {
	Seed uint64 `json:"seed"`
	Why  string `json:"why"`
}

// progress is the content of the state file.
type progress struct {
	From     uint64        `json:"from"`
	Seeds    uint64        `json:"seeds"`
	Next     uint64        `json:"next"` // the first seed that nobody took yet
	Running  []uint64      `json:"running"`
	Done     uint64        `json:"done"`
	Thin     uint64        `json:"thin"` // runs in which too little happened: they are not in Done
	Spent    time.Duration `json:"spent"`
	Controls int           `json:"controls"` // found out
	Work     sim.Work      `json:"work"`
	Failures []failure     `json:"failures"`
}

// book is the progress and its file. It is safe for concurrent use.
type book struct {
	path string

	mu    sync.Mutex
	p     progress
	since time.Time
	err   error // of writing the file: nothing more is handed out
}

// openBook goes on where an earlier run of the same plan stopped.
func openBook(pl plan) (*book, error) {
	b := &book{path: pl.state, since: time.Now(), p: progress{From: pl.from, Seeds: pl.seeds, Next: pl.from}}
	text, err := os.ReadFile(pl.state)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of the campaign: %w", err)
	}
	var p progress
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read the state of the campaign %s: %w: delete it to begin anew", pl.state, err)
	}
	if p.From != pl.from || p.Seeds != pl.seeds {
		return nil, fmt.Errorf("%s is the state of another campaign (-from %d -seeds %d): finish that one, or delete the file", pl.state, p.From, p.Seeds)
	}
	for _, s := range p.Running {
		p.Failures = append(p.Failures, failure{s, "the program ended while it ran"})
		p.Done++
	}
	p.Running = nil
	b.p = p
	return b, nil
}

// take hands out the next seed.
func (b *book) take() (seed uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || b.p.Next >= b.p.From+b.p.Seeds+b.p.Thin {
		return 0, false
	}
	seed = b.p.Next
	b.p.Next++
	b.p.Running = append(b.p.Running, seed)
	b.save()
	return seed, b.err == nil
}

// done notes what came of a seed; why is empty when it held. A thin run counts for nothing.
func (b *book) done(r sim.Report, why string, thin bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p.Running = slices.DeleteFunc(b.p.Running, func(s uint64) bool { return s == r.Seed })
	if thin {
		b.p.Thin++
		b.save()
		return
	}
	b.p.Done++
	b.p.Work.Add(r.Work)
	if why != "" {
		b.p.Failures = append(b.p.Failures, failure{r.Seed, why})
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
	return b.p, b.err
}
