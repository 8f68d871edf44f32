package e2e_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otor/agent/enrol"
	"otor/agent/link"
	"otor/hub/broker"
	hubenrol "otor/hub/enrol"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// These tests join both sides: a real hub server with real enrolment over
// HTTPS, and a real link. Only the hub's database is a fake.

const patience = 30 * time.Second

// codes is a hub database that knows one device a code.
type codes struct {
	mu      sync.Mutex
	open    map[[32]byte]store.Invitation
	used    map[[32]byte]bool
	devices map[dot.Device]store.Device
	keys    map[dot.Device]store.Key
}

func (c *codes) Invite(_ context.Context, in store.Invitation, _ bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[in.CodeHash] = in
	return nil
}

func (c *codes) Redeem(_ context.Context, e store.Enrolment) (store.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, ok := c.open[e.CodeHash]
	switch {
	case !ok:
		return store.Key{}, store.ErrNotFound
	case c.used[e.CodeHash]:
		return store.Key{}, store.ErrCodeUsed
	case e.At >= in.ExpiresAt:
		return store.Key{}, store.ErrCodeExpired
	}
	c.used[e.CodeHash] = true
	c.devices[in.Device] = store.Device{ID: in.Device, Scopes: in.Scopes, EnrolledAt: e.At, Incarnation: 1}
	c.keys[in.Device] = store.Key{Device: in.Device, Incarnation: 1, SignKey: e.SignKey, NatsKey: e.NatsKey}
	return c.keys[in.Device], nil
}

func (c *codes) Device(_ context.Context, d dot.Device) (store.Device, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.devices[d], nil
}

func (c *codes) Devices(context.Context) ([]store.Device, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []store.Device
	for _, d := range c.devices {
		out = append(out, d)
	}
	return out, nil
}

func (c *codes) Key(_ context.Context, d dot.Device, _ dot.Incarnation) (store.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys[d], nil
}

type hub struct {
	*broker.Broker
	dir   string
	codes *codes
	url   string
	now   func() time.Time
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{dir: t.TempDir(), now: time.Now, codes: &codes{
		open: map[[32]byte]store.Invitation{}, used: map[[32]byte]bool{},
		devices: map[dot.Device]store.Device{}, keys: map[dot.Device]store.Key{},
	}}
	h.start(t, "127.0.0.1:0")
	epoch, err := receipt.EpochCertificate{Epoch: receipt.Epoch{1}}.Sign(h.HubKey())
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := h.CA()
	srv := httptest.NewUnstartedServer(hubenrol.NewHandler(hubenrol.Config{
		Store: h.codes, Issuer: h, NatsURLs: h.URLs(), CA: ca, HubKey: h.HubKey().Public(), Epoch: epoch,
		Now: func() time.Time { return h.now() },
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{h.TLSCertificate()}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h *hub) start(t *testing.T, listen string) {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{Dir: h.dir, Listen: listen, MaxStore: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	h.Broker = b
	t.Cleanup(func() { _ = b.Close() })
}

func (h *hub) invite(t *testing.T, d dot.Device, scopes ...string) string {
	t.Helper()
	_, pin := h.CA()
	code, _, err := hubenrol.Invite(t.Context(), h.codes, hubenrol.Invitation{Device: d, Scopes: scopes, Pin: pin}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return code.String()
}

func (h *hub) enrol(t *testing.T, d dot.Device) *enrol.Identity {
	t.Helper()
	dir := t.TempDir()
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.url, Code: h.invite(t, d, "route-1"), Dialer: link.NewDialer(nil)}); err != nil {
		t.Fatal(err)
	}
	id, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// line is a dialer that a test can cut.
type line struct {
	down  atomic.Bool
	dials atomic.Int32
	mu    sync.Mutex
	conns []net.Conn
}

func (l *line) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l.dials.Add(1)
	if l.down.Load() {
		return nil, errors.New("no signal")
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
	}
	return c, err
}

func (l *line) cut() {
	l.down.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

func newLink(t *testing.T, id *enrol.Identity, change func(*link.Config)) *link.Link {
	t.Helper()
	cfg := link.Config{
		URLs: id.NatsURLs, JWT: id.JWT, NkeySeed: []byte(id.Secrets.NatsSeed), CA: []byte(id.CA), Device: id.Device,
		MinPause: 10 * time.Millisecond, MaxPause: 50 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	l, err := link.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func run(t *testing.T, l *link.Link) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Error("the link does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func online(t *testing.T, l *link.Link, after uint64) link.Contact {
	t.Helper()
	c, err := l.Online(within(t), after)
	if err != nil {
		t.Fatalf("not online: %+v", l.State())
	}
	return c
}

func await(t *testing.T, l *link.Link, what string, ok func(link.State) bool) {
	t.Helper()
	changes, cancel := l.Changes()
	defer cancel()
	deadline := time.After(patience)
	for !ok(l.State()) {
		select {
		case <-changes:
		case <-deadline:
			t.Fatalf("never %s: %+v", what, l.State())
		}
	}
}

func lost(t *testing.T, c link.Contact) {
	t.Helper()
	select {
	case <-c.Lost:
	case <-time.After(patience):
		t.Fatal("the loss is not noticed")
	}
}

func TestFromCodeToCustody(t *testing.T) {
	h := newHub(t)
	if err := h.Serve(wire.HelloAny, func(_ context.Context, d dot.Device, data []byte) []byte {
		// The receipt is spoken before the answer: the subscription must stand already.
		if err := h.Publish(wire.ReceiptFor(d), []byte("receipt")); err != nil {
			t.Error(err)
		}
		return append([]byte("welcome "), data...)
	}); err != nil {
		t.Fatal(err)
	}
	l := newLink(t, h.enrol(t, "D-101"), nil)
	receipts := make(chan string, 4)
	l.OnReceipt(func(b []byte) { receipts <- string(b) })
	if err := l.Send(t.Context(), wire.Up(dot.Record, "D-101"), nil); !errors.Is(err, link.ErrOffline) {
		t.Errorf("send while offline: %v", err)
	}
	run(t, l)
	c := online(t, l, 0)
	if s := l.State(); s.Phase != link.Online || s.Generation != c.Generation || s.LastError != "" {
		t.Errorf("state %+v", s)
	}
	handshake := l.Meter()
	answer, err := l.Request(within(t), wire.HelloOn("D-101"), []byte("D-101"))
	if err != nil || string(answer) != "welcome D-101" {
		t.Fatalf("hello: %q %v", answer, err)
	}
	select {
	case r := <-receipts:
		if r != "receipt" {
			t.Errorf("receipt %q", r)
		}
	case <-time.After(patience):
		t.Fatal("no receipt")
	}
	for _, lane := range dot.Lanes() {
		if err := l.Send(within(t), wire.Up(lane, "D-101"), []byte("frame "+lane.String())); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Send(t.Context(), wire.Up(dot.Record, "D-101"), make([]byte, 1<<20)); !errors.Is(err, link.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := l.Request(within(t), wire.PullOn("D-101"), nil); !errors.Is(err, link.ErrNotTaken) {
		t.Errorf("nobody serves pulls here: %v", err)
	}
	for _, stream := range []string{wire.AlertStream, wire.UpStream} {
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan string, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = h.Consume(ctx, stream, broker.Slice{}, func(_ context.Context, ds []broker.Delivery) []broker.Disposition {
				got <- string(ds[0].Data)
				return []broker.Disposition{broker.Ack()}
			})
		}()
		select {
		case g := <-got:
			t.Logf("%s: %s", stream, g)
		case <-time.After(patience):
			t.Fatalf("nothing in %s", stream)
		}
		cancel()
		<-done
	}
	m := l.Meter()
	if handshake.In == 0 || handshake.Out == 0 || m.Out <= handshake.Out {
		t.Errorf("meter %+v then %+v", handshake, m)
	}
	t.Logf("connect: %d bytes in, %d out; all: %d in, %d out", handshake.In, handshake.Out, m.In, m.Out)
}

func TestCodes(t *testing.T) {
	h := newHub(t)
	code := h.invite(t, "D-1")
	try := func(code string) error {
		_, err := enrol.Enrol(t.Context(), enrol.Config{Dir: t.TempDir(), Hub: h.url, Code: code})
		return err
	}
	want := func(err error, word string) {
		t.Helper()
		if e, ok := errors.AsType[*enrol.Error](err); !ok || e.Code != word || !errors.Is(err, enrol.ErrCredential) {
			t.Errorf("got %v, want %s", err, word)
		}
	}
	if err := try(code); err != nil {
		t.Fatal(err)
	}
	want(try(code), "code_used")
	late := h.invite(t, "D-2")
	h.now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	want(try(late), "code_expired")
	h.codes.mu.Lock()
	clear(h.codes.open)
	h.codes.mu.Unlock()
	want(try(late), "code_unknown")
	want(try(newHub(t).invite(t, "D-1")), "not_the_hub")
}

func TestRevokedIsCutAndRefused(t *testing.T) {
	h := newHub(t)
	id := h.enrol(t, "D-1")
	l := newLink(t, id, nil)
	run(t, l)
	c := online(t, l, 0)
	if err := h.Revoke(h.codes.keys["D-1"].NatsKey); err != nil {
		t.Fatal(err)
	}
	lost(t, c)
	await(t, l, "refused", func(s link.State) bool { return s.Phase == link.Refused && s.Attempts > 1 })
	t.Log(l.State().LastError)
	if err := l.Send(t.Context(), wire.Up(dot.Record, "D-1"), []byte("x")); !errors.Is(err, link.ErrOffline) {
		t.Errorf("send: %v", err)
	}
}

func TestExpiredCredentialsAreRefused(t *testing.T) {
	h := newHub(t)
	id := h.enrol(t, "D-1")
	token, err := h.IssueUser("D-1", h.codes.keys["D-1"].NatsKey, nil, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	id.JWT = token
	l := newLink(t, id, nil)
	run(t, l)
	await(t, l, "refused", func(s link.State) bool { return s.Phase == link.Refused && s.Attempts > 1 })
}

func TestDeniedPublishIsRefused(t *testing.T) {
	h := newHub(t)
	id := h.enrol(t, "D-1")
	l := newLink(t, id, func(c *link.Config) { c.MaxPause = time.Hour })
	run(t, l)
	c := online(t, l, 0)
	if err := l.Send(within(t), wire.Up(dot.Record, "D-2"), []byte("x")); !errors.Is(err, link.ErrRefused) {
		t.Errorf("send as another device: %v", err)
	}
	lost(t, c)
	await(t, l, "refused", func(s link.State) bool { return s.Phase == link.Refused })
	l.Kick() // does not wait the hour
	online(t, l, c.Generation)
}

func TestLinkOutlivesTheServer(t *testing.T) {
	h := newHub(t)
	l := newLink(t, h.enrol(t, "D-1"), nil)
	receipts := make(chan struct{}, 16)
	l.OnReceipt(func([]byte) { receipts <- struct{}{} })
	run(t, l)
	c := online(t, l, 0)
	if err := l.Send(within(t), wire.Up(dot.Record, "D-1"), []byte("before")); err != nil {
		t.Fatal(err)
	}
	addr := h.Addr()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	lost(t, c)
	await(t, l, "offline after two tries", func(s link.State) bool { return s.Phase == link.Offline && s.Attempts > 1 && s.LastError != "" })
	t.Log(l.State().LastError)
	h.start(t, addr)
	c = online(t, l, c.Generation)
	if err := l.Send(within(t), wire.Up(dot.Record, "D-1"), []byte("after")); err != nil {
		t.Fatal(err)
	}
	if err := h.Publish(wire.ReceiptFor("D-1"), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-receipts:
	case <-time.After(patience):
		t.Error("no receipts on the second connection")
	}
	if c.Generation < 2 {
		t.Errorf("generation %d", c.Generation)
	}
}

func TestCutLine(t *testing.T) {
	h := newHub(t)
	wireline := &line{}
	l := newLink(t, h.enrol(t, "D-1"), func(c *link.Config) { c.Dialer = wireline; c.MinPause, c.MaxPause = time.Hour, time.Hour })
	wireline.down.Store(true)
	run(t, l)
	await(t, l, "offline", func(s link.State) bool { return s.Phase == link.Offline && s.Attempts == 1 })
	wireline.down.Store(false)
	l.Kick()
	c := online(t, l, 0)
	// What is on its way when the line goes is unknown, at once.
	silent := make(chan struct{})
	if err := h.Serve(wire.HelloAny, func(ctx context.Context, _ dot.Device, _ []byte) []byte {
		close(silent)
		<-ctx.Done()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := l.Request(t.Context(), wire.HelloOn("D-1"), nil)
		asked <- err
	}()
	<-silent
	wireline.cut()
	select {
	case err := <-asked:
		if !errors.Is(err, link.ErrLost) {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a request hangs on a dead connection")
	}
	lost(t, c)
	wireline.down.Store(false)
	dials := wireline.dials.Load()
	await(t, l, "offline", func(s link.State) bool { return s.Phase == link.Offline })
	l.Kick()
	online(t, l, c.Generation)
	if n := wireline.dials.Load() - dials; n > 2 {
		t.Errorf("%d dials for one kick", n)
	}
	// Every open descriptor is the link's own; Kick while online only asks.
	l.Kick()
	if l.State().Phase != link.Online {
		t.Errorf("state %+v", l.State())
	}
}

func TestStrangerAtTheAddress(t *testing.T) {
	h, stranger := newHub(t), newHub(t)
	id := h.enrol(t, "D-1")
	id.NatsURLs = stranger.URLs()
	l := newLink(t, id, nil)
	run(t, l)
	await(t, l, "offline", func(s link.State) bool { return s.Phase == link.Offline && s.Attempts > 0 && s.LastError != "" })
	t.Log(l.State().LastError)
	// A second address that is right is found.
	id.NatsURLs = append(stranger.URLs(), h.URLs()...)
	l2 := newLink(t, id, nil)
	run(t, l2)
	online(t, l2, 0)
}

func TestStopsWhileConnecting(t *testing.T) {
	h := newHub(t)
	id := h.enrol(t, "D-1")
	hole, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections, never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	id.NatsURLs = []string{"tls://" + hole.Addr().String()}
	dialled := &line{}
	l := newLink(t, id, func(c *link.Config) { c.Dialer = dialled; c.ConnectTimeout = time.Hour })
	stop := run(t, l)
	conn, err := hole.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stop()
	if s := l.State(); s.Phase != link.Offline {
		t.Errorf("state %+v", s)
	}
}

func TestNewRefuses(t *testing.T) {
	h := newHub(t)
	id := h.enrol(t, "D-1")
	for name, change := range map[string]func(*link.Config){
		"no address": func(c *link.Config) { c.URLs = nil },
		"bad name":   func(c *link.Config) { c.Device = "d" },
		"bad seed":   func(c *link.Config) { c.NkeySeed = []byte("SU") },
		"bad CA":     func(c *link.Config) { c.CA = nil },
	} {
		cfg := link.Config{URLs: id.NatsURLs, JWT: id.JWT, NkeySeed: []byte(id.Secrets.NatsSeed), CA: []byte(id.CA), Device: id.Device}
		change(&cfg)
		if _, err := link.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// tunnel is a connection that, once dark, swallows what is written and hears nothing.
type tunnel struct {
	net.Conn
	dark *atomic.Bool
}

func (c tunnel) Write(b []byte) (int, error) {
	if c.dark.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

type tunnelDialer struct{ dark atomic.Bool }

func (d *tunnelDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	return tunnel{c, &d.dark}, err
}

// A line that is dead without saying so is given up when an answer stays out,
// long before the second ping.
func TestHalfOpenLineIsGivenUp(t *testing.T) {
	h := newHub(t)
	d := &tunnelDialer{}
	l := newLink(t, h.enrol(t, "D-1"), func(c *link.Config) { c.Dialer = d; c.ProbeTimeout = 200 * time.Millisecond })
	run(t, l)
	c := online(t, l, 0)
	d.dark.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Send(ctx, wire.Up(dot.Record, "D-1"), []byte("x")); err == nil || errors.Is(err, link.ErrNotTaken) {
		t.Errorf("send into the dark: %v", err)
	}
	lost(t, c)
	d.dark.Store(false)
	c = online(t, l, c.Generation)
	d.dark.Store(true)
	l.Kick() // checks as well
	lost(t, c)
	d.dark.Store(false)
	online(t, l, c.Generation)
}
