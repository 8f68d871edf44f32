package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/uplink"
	"otor/agent/web"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/pack"
)

// said collects what a hub or a device logs.
type said struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.Write(b)
}

func (s *said) count(words string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.lines.String(), words)
}

// place is a hub, and what devices of it need.
type place struct {
	*server.Server
	cfg  server.Config
	log  *said
	stop func()
}

func newPlace(t *testing.T, life time.Duration) *place {
	t.Helper()
	forms, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	p := &place{log: &said{}}
	p.cfg = server.Config{
		Dir: filepath.Join(t.TempDir(), "hub"), NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", MaxStore: 32 << 20,
		Forms: forms.Forms, CredentialTTL: life, Log: slog.New(slog.NewTextHandler(io.MultiWriter(p.log, testLog{t}), nil)),
	}
	p.start(t)
	t.Cleanup(func() { p.stop() })
	p.cfg.NatsListen, p.cfg.HTTP = p.NatsAddr(), p.HTTPAddr() // where its devices look for it
	return p
}

func (p *place) start(t *testing.T) {
	t.Helper()
	s, err := server.Open(t.Context(), p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Server = s
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

// testLog shows what is logged when a test fails.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("hub: %s", strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// enrol makes a device's folder.
func (p *place) enrol(t *testing.T, d dot.Device, again bool) string {
	t.Helper()
	invited, err := p.Office().Invite(t.Context(), d, []string{"team:t1"}, time.Hour, again)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "agent")
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: "https://" + p.HTTPAddr(), Code: invited.Code, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// open opens the device in a folder; change may be nil.
func (p *place) open(t *testing.T, dir string, change func(*device.Config)) *device.Device {
	t.Helper()
	cfg := device.Config{
		Dir: dir, HTTP: "127.0.0.1:0", Forms: p.cfg.Forms, Log: slog.New(slog.DiscardHandler),
		MinPause: 10 * time.Millisecond, MaxPause: 100 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	d, err := device.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// contact opens the device, makes one contact and closes it: all that it knows
// afterwards is what it stored.
func (p *place) contact(t *testing.T, dir string, change func(*device.Config)) (uplink.Result, error) {
	t.Helper()
	d := p.open(t, dir, change)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := d.Contact(ctx)
	return r, errors.Join(err, d.Close())
}

func (p *place) mustContact(t *testing.T, dir string, change func(*device.Config)) uplink.Result {
	t.Helper()
	r, err := p.contact(t, dir, change)
	if err != nil || r.Remaining != 0 {
		t.Fatalf("contact: %+v, %v", r, err)
	}
	return r
}

// put saves records in an opened device.
func put(t *testing.T, d *device.Device, n int) {
	t.Helper()
	for range n {
		wait := d.Begin(t.Context(), web.PutRequest{Form: "water_check", Fields: json.RawMessage(`{"flow":"good"}`)})
		if _, err := wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// putIn saves records in a folder.
func (p *place) putIn(t *testing.T, dir string, n int) {
	t.Helper()
	d := p.open(t, dir, nil)
	put(t, d, n)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// holds checks that the hub has exactly seqs 1 to n of a device, each once.
func (p *place) holds(t *testing.T, d dot.Device, n int) {
	t.Helper()
	seen := map[dot.Dot]int{}
	for e, err := range p.Store().Entries(t.Context(), store.EntryQuery{Device: d}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Dot]++
	}
	for seq := range n {
		if x := (dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}).At(dot.Seq(seq + 1)); seen[x] != 1 {
			t.Errorf("%s is there %d times", x, seen[x])
		}
	}
	if len(seen) != n {
		t.Errorf("%d entries are there, want %d", len(seen), n)
	}
}

func identityIn(t *testing.T, dir string) *enrol.Identity {
	t.Helper()
	id, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
