// Package broker is how the hub speaks NATS.
//
// By default it runs a NATS server with JetStream inside the hub's process,
// with TLS from the hub's own certificate authority and credentials that any
// other NATS server would honour too (decentralised JWT). Devices publish their
// batches into two streams, alert and record; the hub's workers fetch from them
// and acknowledge each message only when the database has committed it. A
// stream is transport and a buffer, never the truth: losing one costs devices a
// resend and nothing else.
//
// Devices and streams live in different accounts, see issuer. Device names are
// taken from subjects, which a device's permissions tie to it, and replies go
// only below that device's own inbox prefix.
//
// The folder DIR/keys holds the hub's secrets (see keys.go), DIR/stream what
// JetStream stores.
//
//   - [Broker] is the running thing; [Open] starts it, [Broker.Close] ends it.
//   - [Broker.Issue] and [Broker.Revoke] give and take a device's credentials,
//     [Broker.RenewalDue] says when it should have new ones.
//   - [Broker.Consume] hands [Delivery] slices of a stream to a handler, which
//     answers each with a [Disposition].
//   - [Broker.Serve] answers devices' requests, [Broker.Publish] speaks unasked.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/identity"
	"otor/internal/wire"
)

// MaxPayload bounds one NATS message in bytes, either way.
const MaxPayload = 256 << 10

// Config says how to open a Broker.
type Config struct {
	Dir    string   // keys and streams live below it
	Listen string   // host:port for devices, "127.0.0.1:4222" when empty; port 0 picks one
	Hosts  []string // names and addresses by which devices reach the hub; empty: from Listen
	// MaxStore bounds both streams together, in bytes; 1 GiB when 0, at least
	// 16 MiB. An eighth of it is the alert stream's own.
	MaxStore int64
	// Servers are NATS servers elsewhere, nats://host:port, that hub nats-config has
	// configured; empty: the broker runs its own.
	Servers []string
	// AckWait is how long a message that a worker took and then went silent
	// about stays with it; 30 s when 0, and 15 s on servers elsewhere.
	AckWait time.Duration
	// CredentialTTL is how long devices' ordinary credentials last; [MaxTTL]
	// when 0, and at most.
	CredentialTTL time.Duration
	// Revoked are keys of users that the hub's database calls revoked. Those that
	// DIR/keys does not know of yet are revoked BEFORE the server listens.
	Revoked []string
	Log     *slog.Logger
	Now     func() time.Time // time.Now when nil
}

// Store sizes in bytes.
const (
	defaultStore = 1 << 30
	minStore     = 16 << 20
)

// Broker is the hub's end of NATS. All methods are safe for concurrent use.
type Broker struct {
	cfg    Config
	keys   *keyring
	cert   tls.Certificate
	issuer *issuer
	// One of these is nil.
	server    *embedded
	elsewhere *cluster
	hosts     []string
	field     *nats.Conn // in the devices' account: requests, receipts, news
	store     *nats.Conn // in the streams' account
	js        jetstream.JetStream
	gate      gate

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // running request handlers

	mu      sync.Mutex
	closing bool // no request handler begins any more
}

// Open makes or reads the keys and starts the server and its streams.
func Open(ctx context.Context, cfg Config) (_ *Broker, err error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:4222"
	}
	if cfg.MaxStore == 0 {
		cfg.MaxStore = defaultStore
	}
	if cfg.MaxStore < minStore {
		return nil, fmt.Errorf("stream store of %d bytes: at least %d are needed", cfg.MaxStore, minStore)
	}
	if cfg.AckWait <= 0 && len(cfg.Servers) > 0 {
		cfg.AckWait = clusterAckWait
	}
	if cfg.AckWait <= 0 {
		cfg.AckWait = defaultAckWait
	}
	servers, err := ServerURLs(cfg.Servers)
	if err != nil {
		return nil, err
	}
	if cfg.CredentialTTL == 0 {
		cfg.CredentialTTL = MaxTTL
	}
	if cfg.CredentialTTL < time.Second || cfg.CredentialTTL > MaxTTL {
		return nil, fmt.Errorf("life of devices' credentials: %s, want 1 s to %s", cfg.CredentialTTL, MaxTTL)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	host, portText, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: want host:port: %w", cfg.Listen, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: the port must be a number from 0 to 65535", cfg.Listen)
	}
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the hub's folder: %w", err)
	}
	b := &Broker{cfg: cfg, hosts: reachable(host, cfg.Hosts)}
	if len(servers) > 0 {
		b.elsewhere = &cluster{urls: servers}
	}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.keys, err = openKeys(filepath.Join(cfg.Dir, "keys"), cfg.Now()); err != nil {
		return nil, err
	}
	if b.cert, err = b.keys.serverCertificate(named(b.hosts), cfg.Now()); err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	if err := b.start(ctx, host, int(port)); err != nil {
		return nil, err
	}
	return b, nil
}

// start brings up the server, the workers' connections and the streams.
func (b *Broker) start(ctx context.Context, host string, port int) error {
	revoked, err := b.keys.revokeAlso(b.cfg.Revoked, b.cfg.Now())
	if err != nil {
		return err
	}
	b.issuer = &issuer{keys: b.keys, maxStore: b.cfg.MaxStore, revoked: revoked}
	if b.elsewhere != nil {
		b.issuer.maxStore = jwt.NoLimit // the servers' own configuration bounds it
	}
	accounts, err := b.issuer.accounts()
	if err != nil {
		return err
	}
	if b.elsewhere != nil {
		err = b.join(ctx, accounts)
	} else {
		err = b.embed(ctx, host, port, accounts)
	}
	if err != nil {
		return err
	}
	if b.field, err = b.connect(b.keys.field, "hub"); err != nil {
		return err
	}
	if b.store, err = b.connect(b.keys.store, "hub-streams"); err != nil {
		return err
	}
	if b.js, err = jetstream.New(b.store); err != nil {
		return err
	}
	if b.elsewhere != nil {
		return b.patiently(ctx, b.openStreams)
	}
	return b.openStreams(ctx)
}

// embed starts the server within this process.
func (b *Broker) embed(ctx context.Context, host string, port int, accounts map[string]string) error {
	operator, err := b.issuer.operatorClaims()
	if err != nil {
		return err
	}
	b.server, err = startEmbedded(ctx, embeddedConfig{
		host: host, port: port, dir: storeDir(b.cfg.Dir), maxStore: b.cfg.MaxStore,
		cert: b.cert, operator: operator, accounts: accounts, log: b.cfg.Log,
	})
	if err != nil {
		return err
	}
	b.issuer.target = b.server
	return nil
}

// connect opens the hub's own connection to an account, within the process when
// the server is.
func (b *Broker) connect(account nkeys.KeyPair, name string) (*nats.Conn, error) {
	typ := jwt.ConnectionTypeInProcess
	if b.elsewhere != nil {
		typ = jwt.ConnectionTypeStandard
	}
	token, key, err := worker(account, name, typ)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", name, err)
	}
	opts := []nats.Option{
		nats.Name(name),
		nats.UserJWT(func() (string, error) { return token, nil }, key.Sign),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), nats.ReconnectWait(100 * time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			b.cfg.Log.Warn("hub's NATS connection", "connection", name, "subject", subject, "error", err)
		}),
	}
	if b.elsewhere != nil {
		return b.elsewhere.dial(b, name, opts)
	}
	nc, err := nats.Connect("", append(opts, nats.InProcessServer(b.server.srv))...)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", name, err)
	}
	return nc, nil
}

// reachable lists how devices may reach the hub.
func reachable(listen string, hosts []string) []string {
	if len(hosts) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(hosts)))
	}
	if ip := net.ParseIP(listen); listen != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{listen}
	}
	var out []string
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return []string{"127.0.0.1"}
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	if len(out) == 0 {
		out = []string{"127.0.0.1"}
	}
	slices.Sort(out)
	return out
}

// named adds what people on the hub's own machine type.
func named(hosts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(append([]string{"localhost", "127.0.0.1", "::1"}, hosts...))))
}

// Addr is the address the server listens on, host:port; of several the first.
func (b *Broker) Addr() string {
	if b.elsewhere != nil {
		return strings.TrimPrefix(b.elsewhere.urls[0], "tls://")
	}
	return b.server.addr()
}

// Hosts lists the names and addresses by which devices reach the hub.
func (b *Broker) Hosts() []string { return slices.Clone(b.hosts) }

// URLs lists where devices connect: tls://host:port.
func (b *Broker) URLs() []string {
	if b.elsewhere != nil {
		return slices.Clone(b.elsewhere.urls)
	}
	_, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		return nil
	}
	var out []string
	for _, h := range b.hosts {
		out = append(out, "tls://"+net.JoinHostPort(h, port))
	}
	return out
}

// CA returns the hub's CA certificate in PEM and the pin of its key.
func (b *Broker) CA() ([]byte, identity.Pin) {
	return slices.Clone(b.keys.ca.pem), identity.PinOf(b.keys.ca.cert.RawSubjectPublicKeyInfo)
}

// TLSCertificate is the hub's server certificate with its CA's behind it.
func (b *Broker) TLSCertificate() tls.Certificate { return b.cert }

// Ends are when the server's certificate and that of the hub's authority end.
func (b *Broker) Ends() (server, authority time.Time) {
	return b.cert.Leaf.NotAfter, b.keys.ca.cert.NotAfter
}

// HubKey signs receipts and epochs.
func (b *Broker) HubKey() identity.SigningKey { return b.keys.hub }

// IssueUser makes credentials for the holder of a NATS key, for at most
// [MaxTTL]. It wraps [ErrRevoked] when the key is revoked.
func (b *Broker) IssueUser(d dot.Device, natsPub string, scopes []string, ttl time.Duration) (string, error) {
	return b.issuer.user(d, natsPub, scopes, ttl, b.cfg.Now())
}

// Issue makes credentials for the holder of a NATS key: ordinary ones for the
// configured life, and a door for [DoorTTL]. It wraps [ErrRevoked] when the key
// is revoked.
func (b *Broker) Issue(d dot.Device, natsPub string, scopes []string) (wire.Credentials, error) {
	now := b.cfg.Now()
	token, err := b.issuer.user(d, natsPub, scopes, b.cfg.CredentialTTL, now)
	if err != nil {
		return wire.Credentials{}, err
	}
	door, err := b.issuer.door(d, natsPub, DoorTTL, now)
	return wire.Credentials{JWT: token, Door: door}, err
}

// RenewalDue reports whether less than half of the life is left to ordinary
// credentials that end then, in Unix seconds. The clock is the one that the
// server checks them by.
func (b *Broker) RenewalDue(expires int64) bool {
	return expires < b.cfg.Now().Add(b.cfg.CredentialTTL/2).Unix()
}

// Revoke ends a NATS key for good and cuts its live connections.
func (b *Broker) Revoke(natsPub string) error { return b.issuer.revoke(natsPub, b.cfg.Now()) }

// Close lets running handlers finish, then ends connections and server. Consume
// calls must have returned before.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	b.cancel()
	b.wg.Wait()
	var errs []error
	conns := []*nats.Conn{b.field, b.store}
	if b.elsewhere != nil {
		conns = append(conns, b.elsewhere.system)
	}
	for _, nc := range conns {
		if nc == nil {
			continue
		}
		// What handlers said last (receipts, acknowledgements) is still in buffers.
		if err := nc.FlushTimeout(5 * time.Second); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			errs = append(errs, fmt.Errorf("close the hub's NATS connection: %w", err))
		}
		nc.Close()
	}
	if b.server != nil {
		b.server.close()
	}
	return errors.Join(errs...)
}
