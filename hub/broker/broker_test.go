package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"otor/hub/broker"
	"otor/internal/dot"
	"otor/internal/trust"
	"otor/internal/wire"
)

const patience = 30 * time.Second

func open(t *testing.T, dir, listen string) *broker.Broker {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{Dir: dir, Listen: listen, MaxStore: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// device is a bare NATS client with a device's credentials.
type device struct {
	*nats.Conn
	pub    string
	denied chan error // what the server says without being asked
	closed chan struct{}
}

func dial(t *testing.T, b *broker.Broker, d dot.Device, key nkeys.KeyPair, token string) (*device, error) {
	t.Helper()
	ca, _ := b.CA()
	root, err := trust.Root(ca)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &device{pub: pub, denied: make(chan error, 64), closed: make(chan struct{})}
	c.Conn, err = nats.Connect(b.URLs()[0], nats.Secure(trust.ByRoot(root)), nats.NoReconnect(), nats.Timeout(patience),
		nats.UserJWT(func() (string, error) { return token, nil }, key.Sign),
		nats.CustomInboxPrefix(wire.InboxPrefix(d)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.denied <- err }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }))
	if err != nil {
		return nil, err
	}
	t.Cleanup(c.Close)
	return c, nil
}

func newKey(t *testing.T) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, pub
}

func join(t *testing.T, b *broker.Broker, d dot.Device, scopes ...string) *device {
	t.Helper()
	key, pub := newKey(t)
	token, err := b.IssueUser(d, pub, scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(t, b, d, key, token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// custody publishes and returns the stream's error, if any.
func (d *device) custody(t *testing.T, subject string, data []byte) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := d.RequestWithContext(ctx, subject, data)
	if err != nil {
		return err
	}
	var ack struct {
		Stream string `json:"stream"`
		Error  *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return err
	}
	if ack.Error != nil {
		return errors.New(ack.Error.Description)
	}
	if ack.Stream == "" {
		return fmt.Errorf("no stream in %s", m.Data)
	}
	return nil
}

// consume runs Consume in the background and collects what it gets.
type sink struct {
	mu  sync.Mutex
	got []broker.Delivery
	ch  chan struct{}
}

func newSink() *sink { return &sink{ch: make(chan struct{}, 1)} }

func (s *sink) add(ds ...broker.Delivery) {
	s.mu.Lock()
	s.got = append(s.got, ds...)
	s.mu.Unlock()
	select {
	case s.ch <- struct{}{}:
	default:
	}
}

func (s *sink) await(t *testing.T, n int) []broker.Delivery {
	t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		got := append([]broker.Delivery(nil), s.got...)
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-s.ch:
		case <-deadline:
			t.Fatalf("got %d deliveries, want %d", len(got), n)
		}
	}
}

func consume(t *testing.T, b *broker.Broker, stream string, size broker.Slice, h broker.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, stream, size, h) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("consume %s: %v", stream, err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func (s *sink) acker(_ context.Context, ds []broker.Delivery) []broker.Disposition {
	out := make([]broker.Disposition, len(ds))
	for i := range ds {
		out[i] = broker.Ack()
	}
	s.add(ds...)
	return out
}

func TestKeysAndCertificatesLast(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, "127.0.0.1:0")
	_, pin := b.CA()
	hub, cert := b.HubKey().Public(), b.TLSCertificate()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir, "127.0.0.1:0")
	_, pin2 := b.CA()
	if pin2 != pin || b.HubKey().Public() != hub || !cert.Leaf.Equal(b.TLSCertificate().Leaf) {
		t.Fatal("keys or certificate changed over a restart")
	}
	if len(b.TLSCertificate().Certificate) != 2 {
		t.Fatal("an enrolling device needs the CA behind the leaf")
	}
	for _, name := range []string{".", "operator.nk", "field.nk", "store.nk", "system.nk", "hub.seed", "ca.key", "server.pem"} {
		info, err := os.Stat(filepath.Join(dir, "keys", name))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is readable by others: %s", name, info.Mode())
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	// Another host name, or an end that is near, makes a new certificate of the same CA.
	b, err := broker.Open(t.Context(), broker.Config{Dir: dir, Listen: "127.0.0.1:0", MaxStore: 16 << 20, Hosts: []string{"sumu.example", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	renamed := b.TLSCertificate().Leaf
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if renamed.Equal(cert.Leaf) || renamed.VerifyHostname("sumu.example") != nil {
		t.Error("the certificate does not follow the host names")
	}
	b, err = broker.Open(t.Context(), broker.Config{
		Dir: dir, Listen: "127.0.0.1:0", MaxStore: 16 << 20,
		Now: func() time.Time { return time.Now().AddDate(0, 11, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	late := b.TLSCertificate().Leaf
	if late.Equal(renamed) || !late.NotAfter.After(renamed.NotAfter) {
		t.Error("the certificate was not renewed before its end")
	}
	if _, p := b.CA(); p != pin {
		t.Error("the CA changed")
	}
}

func TestIncompleteKeysAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir, "127.0.0.1:0").Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "keys", "field.nk")); err != nil {
		t.Fatal(err)
	}
	_, err := broker.Open(t.Context(), broker.Config{Dir: dir, Listen: "127.0.0.1:0", MaxStore: 16 << 20})
	if err == nil || !strings.Contains(err.Error(), "field.nk") || !strings.Contains(err.Error(), "backup") {
		t.Fatalf("got %v", err)
	}
}

func TestTakenPortSaysSo(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	_, err := broker.Open(t.Context(), broker.Config{Dir: t.TempDir(), Listen: b.Addr(), MaxStore: 16 << 20})
	if err == nil || !strings.Contains(err.Error(), b.Addr()) {
		t.Fatalf("got %v", err)
	}
}

func TestIssueUserRefuses(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	_, pub := newKey(t)
	for name, issue := range map[string]func() (string, error){
		"wildcard device": func() (string, error) { return b.IssueUser("*", pub, nil, time.Hour) },
		"dotted device":   func() (string, error) { return b.IssueUser("D.1", pub, nil, time.Hour) },
		"wildcard scope":  func() (string, error) { return b.IssueUser("D-1", pub, []string{">"}, time.Hour) },
		"dotted scope":    func() (string, error) { return b.IssueUser("D-1", pub, []string{"a.b"}, time.Hour) },
		"too long a life": func() (string, error) { return b.IssueUser("D-1", pub, nil, broker.MaxTTL+time.Second) },
		"no life":         func() (string, error) { return b.IssueUser("D-1", pub, nil, 0) },
		"not a user key":  func() (string, error) { return b.IssueUser("D-1", "A"+pub[1:], nil, time.Hour) },
	} {
		if token, err := issue(); err == nil || token != "" {
			t.Errorf("%s: issued", name)
		}
	}
}

func TestManyScopesStillConnect(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	var scopes []string
	for i := range 64 {
		scopes = append(scopes, fmt.Sprintf("%s%d", strings.Repeat("s", 60), i))
	}
	join(t, b, "D-1", scopes...)
}

func TestExpiredCredentials(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	key, pub := newKey(t)
	token, err := b.IssueUser("D-1", pub, nil, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for { // until the second is over, on the server's clock
		c, err := dial(t, b, "D-1", key, token)
		if err != nil {
			// The library gives words alone when the server says so during login.
			if !strings.Contains(err.Error(), "Authentication Expired") && !errors.Is(err, nats.ErrAuthorization) {
				t.Fatal(err)
			}
			return
		}
		select {
		case <-c.closed: // cut on time
		case <-time.After(time.Until(deadline)):
			t.Fatal("expired credentials still hold")
		}
	}
}

func TestRevoke(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, "127.0.0.1:0")
	other := join(t, b, "D-2")
	key, pub := newKey(t)
	token, err := b.IssueUser("D-1", pub, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(t, b, "D-1", key, token)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := b.Revoke(pub); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.closed:
		t.Logf("cut after %s", time.Since(began))
	case <-time.After(patience):
		t.Fatal("the live connection was not cut")
	}
	if _, err := dial(t, b, "D-1", key, token); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connect after revoking: %v", err)
	}
	if _, err := b.IssueUser("D-1", pub, nil, time.Hour); !errors.Is(err, broker.ErrRevoked) {
		t.Errorf("issue after revoking: %v", err)
	}
	if err := other.custody(t, wire.Up(dot.Record, "D-2"), []byte("x")); err != nil {
		t.Errorf("the other device: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir, "127.0.0.1:0")
	if _, err := dial(t, b, "D-1", key, token); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connect after revoking and a restart: %v", err)
	}
	if _, err := b.IssueUser("D-1", pub, nil, time.Hour); !errors.Is(err, broker.ErrRevoked) {
		t.Errorf("issue after a restart: %v", err)
	}
}

func TestForeignCredentialsAndPlainConnections(t *testing.T) {
	b, stranger := open(t, t.TempDir(), "127.0.0.1:0"), open(t, t.TempDir(), "127.0.0.1:0")
	key, pub := newKey(t)
	token, err := stranger.IssueUser("D-1", pub, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, b, "D-1", key, token); err == nil {
		t.Error("another hub's credentials are accepted")
	}
	if _, err := nats.Connect("nats://"+b.Addr(), nats.NoReconnect(), nats.Secure(&tls.Config{InsecureSkipVerify: true})); err == nil {
		t.Error("no credentials are accepted")
	}
	// Another hub's server is not this device's hub.
	ca, _ := stranger.CA()
	root, err := trust.Root(ca)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tls.Dial("tcp", b.Addr(), trust.ByRoot(root))
	if err == nil {
		t.Error("another hub passes for this one")
	}
	if err := trust.Verify(root, []*x509.Certificate{b.TLSCertificate().Leaf}); !errors.Is(err, trust.ErrNotTheHub) {
		t.Errorf("got %v", err)
	}
}
