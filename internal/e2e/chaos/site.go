package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/agent/device"
	"otor/internal/corpus"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/pack"
)

// Row is one kind of harm.
type Row struct {
	Name     string
	Fault    string // what is counted
	Least    int    // faults that a trial must have had
	Root     bool   // it mounts disks
	Controls []Control
	// Meets lists what the trials of a campaign must have met together, see [T.Met]:
	// a place that none of them came to was not tried.
	Meets []string
	Trial func(t *T)
}

// Control is a promise broken on purpose.
type Control struct {
	Name string
	// Words are parts of the violations by which it must be found out, any of them: a
	// trial that fails for anything else, such as its own trouble, has not noticed it.
	Words []string
}

// by is a control that must be found out by any of these violations.
func by(name string, words ...string) Control { return Control{name, words} }

// found gives the violation among problems by which a control was found out.
func (c Control) found(problems []string) (string, bool) {
	for _, p := range problems {
		if slices.ContainsFunc(c.Words, func(w string) bool { return strings.Contains(p, w) }) {
			return p, true
		}
	}
	return "", false
}

// EnoughTrials is how many trials must have met all that a row is to meet.
const EnoughTrials = 25

// Unmet lists what a row was to meet and did not.
func (r Row) Unmet(met map[string]int) (out []string) {
	for _, what := range r.Meets {
		if met[what] == 0 {
			out = append(out, what)
		}
	}
	return out
}

// Site is where trials take place.
type Site struct {
	Dir   string // of all trials
	Forms *form.Registry

	mu    sync.Mutex
	hub   *e2e.Hub
	host  *T // whose end stops the hub
	names int
}

// NewSite makes a site in a new folder below parent. On memory, when that is
// empty and there is some: the rows that are about disks bring their own.
func NewSite(parent string) (*Site, error) {
	if parent == "" {
		if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
			parent = "/dev/shm"
		}
	}
	dir, err := os.MkdirTemp(parent, "otor-chaos-")
	if err != nil {
		return nil, err
	}
	p, err := pack.Transhumance()
	if err != nil {
		return nil, err
	}
	s := &Site{Dir: dir, Forms: p.Forms}
	s.host = &T{Site: s, Control: "site"}
	s.host.ctx, s.host.end = context.WithCancel(context.Background())
	return s, nil
}

// Close stops the shared hub and removes the folder.
func (s *Site) Close() error {
	s.host.over()
	return os.RemoveAll(s.Dir)
}

// Hub is a running hub that trials share, where the harm is to devices alone.
func (s *Site) Hub() *e2e.Hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hub == nil {
		h := e2e.NewHub(s.host, "", "--demo-numbers", "--max-store", "64MiB")
		h.Start(s.host)
		s.hub = h
	}
	return s.hub
}

// Name gives a device a name that no other trial uses.
func (s *Site) Name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names++
	return fmt.Sprintf("D-%d", 1000+s.names)
}

// Records makes n lines for put.
func (s *Site) Records(t testing.TB, seed uint64, n int) string {
	t.Helper()
	return records(t, s.Forms, seed, n)
}

// Open opens a device's folder in this process.
func (s *Site) Open(dir string, change func(*device.Config)) (*device.Device, error) {
	cfg := device.Config{Dir: dir, HTTP: "127.0.0.1:0", Forms: s.Forms, Demo: true, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		d, err := device.Open(cfg)
		// A program that another trial is just starting has, until it runs, a copy of
		// this process's open files, and with them the database's lock of the look before.
		if err == nil || !strings.Contains(err.Error(), "directory lock") || time.Now().After(deadline) {
			return d, err
		}
	}
}

// source makes captures of records, one after the other.
func (s *Site) source(seed uint64) *corpus.Source {
	return corpus.New(seed, s.Forms, 0, time.Date(2025, 9, 18, 5, 0, 0, 0, time.UTC))
}

// heads are where the hub's chains end.
func heads(t testing.TB, h *e2e.Hub) map[dot.Chain]entry.Hash {
	t.Helper()
	at := make(map[dot.Chain]entry.Hash)
	for _, d := range h.Status(t).Devices {
		for _, l := range d.Lanes {
			at[dot.Chain{Device: d.Device, Incarnation: l.Incarnation, Lane: l.Lane}] = l.Head
		}
	}
	return at
}

// LedgerProblems holds the ledger against what the agents printed: each of these
// dots once, nothing else of these devices, equal heads on both sides.
func LedgerProblems(t testing.TB, hub *e2e.Hub, fleet []*e2e.Agent, printed map[dot.Dot]bool) []string {
	t.Helper()
	var problems []string
	add := func(format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	ours := make(map[dot.Device]bool)
	for d := range printed {
		ours[d.Device] = true
	}
	times := make(map[dot.Dot]int)
	for _, e := range hub.Entries(t) {
		if !ours[e.Dot.Device] {
			continue
		}
		times[e.Dot]++
		if !printed[e.Dot] {
			add("%s is in the ledger and was never printed", e.Dot)
		}
		if e.Verdict == "held" {
			add("%s is still held", e.Dot)
		}
	}
	for d := range printed {
		switch n := times[d]; {
		case n == 0:
			add("%s is not in the ledger", d)
		case n > 1:
			add("%s is in the ledger again: %d times", d, n)
		}
	}
	at := heads(t, hub)
	for _, a := range fleet {
		s := a.Status(t)
		for _, l := range s.Lanes {
			if c := (dot.Chain{Device: s.Device, Incarnation: l.Incarnation, Lane: l.Lane}); l.Last > 0 && at[c] != l.Head {
				add("%s: heads differ, %s on the device and %s at the hub", c, l.Head, at[c])
			}
		}
		if !s.NothingLost {
			add("%s says that something is lost: %v", s.Device, s.Findings)
		}
	}
	return problems
}

// words are what the log of a person's command must have said.
func words(t testing.TB, r e2e.Result, any ...string) {
	t.Helper()
	for _, w := range any {
		if strings.Contains(r.Err, w) {
			return
		}
	}
	t.Errorf("none of %q was said: %s", any, r)
}
