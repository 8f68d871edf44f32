package demo_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/web"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/pack"
)

// patience bounds the wait for things that happen by themselves.
const patience = 60 * time.Second

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// wire is a device's network, which the test cuts.
type wire struct {
	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func (w *wire) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errors.New("no signal")
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		w.conns = append(w.conns, c)
	}
	return c, err
}

// set cuts every connection, and lets new ones through or not.
func (w *wire) set(up bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = !up
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// pair is a hub and a device, each with its folder.
type pair struct {
	*device.Device
	hub    *server.Server
	wire   *wire
	hubCfg server.Config
	stop   func()      // the hub
	page   chan string // holds the address of the device's page
}

func newPair(t *testing.T) *pair { return newPairWith(t, nil) }

// newPairWith is newPair with other settings of the device.
func newPairWith(t *testing.T, adjust func(*device.Config)) *pair {
	t.Helper()
	forms, err := pack.Transhumance()
	check(t, err)
	log := slog.New(slog.DiscardHandler)
	p := &pair{wire: &wire{}, page: make(chan string, 1), hubCfg: server.Config{
		Dir: filepath.Join(t.TempDir(), "hub"), NatsListen: "127.0.0.1:0", HTTP: "127.0.0.1:0", MaxStore: 32 << 20, Forms: forms.Forms, Log: log,
	}}
	p.startHub(t)
	t.Cleanup(func() { p.stop() })
	// Whoever starts again finds its own port.
	p.hubCfg.NatsListen, p.hubCfg.HTTP = p.hub.NatsAddr(), p.hub.HTTPAddr()
	invited, err := p.hub.Office().Invite(t.Context(), "D-101", nil, time.Hour, false)
	check(t, err)
	dir := filepath.Join(t.TempDir(), "agent")
	_, err = enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: "https://" + p.hub.HTTPAddr(), Code: invited.Code, Version: "test", Log: log})
	check(t, err)
	cfg := device.Config{
		Dir: dir, HTTP: "127.0.0.1:0", Forms: forms.Forms, Log: log, Dialer: p.wire, MaxEntries: 5,
		MinPause: 10 * time.Millisecond, MaxPause: 100 * time.Millisecond, Ready: func(page string) { p.page <- page },
	}
	if adjust != nil {
		adjust(&cfg)
	}
	p.Device, err = device.Open(cfg)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, p.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *pair) startHub(t *testing.T) {
	t.Helper()
	var err error
	p.hub, err = server.Open(t.Context(), p.hubCfg)
	check(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	hub := p.hub
	go func() { ended <- hub.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, hub.Close()); err != nil {
			t.Error(err)
		}
	})
}

// put captures n visits.
func (p *pair) put(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		_, err := p.Begin(t.Context(), web.PutRequest{
			Form: "visit", Entity: fmt.Sprintf("H-%02d", i), User: "U01", Fields: []byte(`{"topics":["policy_grass_livestock"],"minutes":15}`),
		})()
		check(t, err)
	}
}

func (p *pair) status(t *testing.T) web.Status {
	t.Helper()
	s, err := p.Status(t.Context())
	check(t, err)
	return s
}

// allThere waits until nothing is waiting and compares both sides.
func (p *pair) allThere(t *testing.T, n int) {
	t.Helper()
	eventually(t, "all is received", func() bool { return p.status(t).Waiting == 0 })
	times := make(map[dot.Dot]int)
	for e, err := range p.hub.Store().Entries(t.Context(), store.EntryQuery{}) {
		check(t, err)
		times[e.Dot]++
		if it, err := p.Store().Get(e.Dot); err != nil || it.Hash != e.Hash || e.Judgement.Verdict != store.Applied {
			t.Errorf("%s: %v, on the device %s, at the hub %s %+v", e.Dot, err, it.Hash, e.Hash, e.Judgement)
		}
	}
	lanes, err := p.hub.Store().LanesOf(t.Context(), "D-101")
	check(t, err)
	for _, l := range lanes {
		if c, ok := p.Store().Chain(l.Chain); !ok || c.Head != l.Head {
			t.Errorf("%s: heads differ", l.Chain)
		}
	}
	for x, k := range times {
		if k != 1 {
			t.Errorf("%s stands %d times in the ledger", x, k)
		}
	}
	if s := p.status(t); len(times) != n || !s.NothingLost {
		t.Errorf("%d entries of %d, status %+v", len(times), n, s)
	}
}

func TestALinkThatComesAndGoesLosesNothing(t *testing.T) {
	p := newPair(t)
	n := 0
	for range 12 {
		p.put(t, 9)
		n += 9
		p.wire.set(false)
		p.put(t, 3)
		n += 3
		p.wire.set(true)
		p.Link().Kick()
	}
	p.allThere(t, n)
}

func TestAHubThatStartsAgainIsFoundAgain(t *testing.T) {
	p := newPair(t)
	n := 0
	for range 3 {
		p.put(t, 20)
		p.stop()
		p.put(t, 20)
		n += 40
		p.startHub(t)
	}
	p.allThere(t, n)
}

func TestRevokingCutsTheDeviceOff(t *testing.T) {
	p := newPair(t)
	p.put(t, 3)
	p.allThere(t, 3)
	check(t, p.hub.Office().Revoke(t.Context(), "D-101"))
	eventually(t, "the device knows that it is refused", func() bool { return p.status(t).Link.State == web.Refused })
	p.put(t, 2)
	s := p.status(t)
	if s.Waiting != 2 || !s.NothingLost || s.Link.Words == "" {
		t.Errorf("status %+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Sync(ctx)
	if r, ok := errors.AsType[*web.Refusal](err); !ok || r.Code != "refused" && r.Code != "unreachable" || r.Do == "" {
		t.Errorf("sync: %v", err)
	}
}

func TestOfflineIsAStateAndNoError(t *testing.T) {
	p := newPair(t)
	p.put(t, 2)
	p.allThere(t, 2)
	p.wire.set(false)
	eventually(t, "the device has noticed", func() bool { l := p.status(t).Link.State; return l == web.Offline || l == web.Connecting })
	p.put(t, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := p.Sync(ctx)
	no, ok := errors.AsType[*web.Refusal](err)
	if !ok || no.Code != "unreachable" || no.Do != "4 waiting records stay safe on this device; try again where there is signal" || r.Remaining != 4 {
		t.Errorf("sync: %+v, %v", r, err)
	}
	if s := p.status(t); s.Waiting != 4 || !s.NothingLost || s.LastContact == nil {
		t.Errorf("status %+v", s)
	}
	p.wire.set(true)
	r, err = p.Sync(t.Context())
	if err != nil || r.Received != 4 || r.Remaining != 0 {
		t.Errorf("sync: %+v, %v", r, err)
	}
	p.allThere(t, 6)
}

// What somebody carries is shown as such until the hub has it.
func TestCustodyIsShownUntilAReceiptOvertakesIt(t *testing.T) {
	p := newPair(t)
	p.wire.set(false)
	eventually(t, "the device has noticed", func() bool { return p.status(t).Link.State != web.Online })
	p.put(t, 2)
	c := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	states := func() (out []web.State) {
		rows, err := p.Log(t.Context(), web.LogQuery{Limit: 10})
		check(t, err)
		for _, r := range rows {
			out = append(out, r.State)
		}
		return out
	}
	p.MarkCustody(c, lane.Run(1, 1))
	if got := fmt.Sprint(states()); got != fmt.Sprint([]web.State{web.Saved, web.Custody}) {
		t.Errorf("states %s", got)
	}
	p.wire.set(true)
	p.Link().Kick()
	p.allThere(t, 2)
	if got := fmt.Sprint(states()); got != fmt.Sprint([]web.State{web.Received, web.Received}) {
		t.Errorf("states %s", got)
	}
}
