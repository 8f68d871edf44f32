package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// Limits and patience of the embedded server. The library's defaults of two
// seconds for TLS and login never succeed at 600 ms and 64 kbit/s.
const (
	handshakeSeconds = 20
	writeDeadline    = time.Minute
	// The server pings only who has been silent longer than a device's own
	// four-minute ping, so that an idle link carries one ping, not two.
	serverPing = 6 * time.Minute
	// maxControlLine must hold CONNECT with a user JWT of maxScopes scopes.
	maxControlLine = 32 << 10
	startTimeout   = 2 * time.Minute
)

// embedded is the NATS server inside this process.
type embedded struct {
	srv      *server.Server
	resolver *server.MemAccResolver
	log      *serverLog
}

type embeddedConfig struct {
	host     string
	port     int
	dir      string // JetStream's folder
	maxStore int64
	cert     tls.Certificate
	operator *jwt.OperatorClaims
	accounts map[string]string // signed account claims by public key
	log      *slog.Logger
}

func startEmbedded(ctx context.Context, cfg embeddedConfig) (*embedded, error) {
	e := &embedded{resolver: &server.MemAccResolver{}, log: newServerLog(cfg.log)}
	for key, token := range cfg.accounts {
		if err := e.resolver.Store(key, token); err != nil {
			return nil, fmt.Errorf("load account claims: %w", err)
		}
	}
	port := cfg.port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	leafOnly := cfg.cert // devices hold the CA already: 0.4 kB less a connection
	leafOnly.Certificate = cfg.cert.Certificate[:1]
	srv, err := server.NewServer(&server.Options{
		ServerName: "otor-hub", Host: cfg.host, Port: port,
		NoSigs: true, NoAuthUser: "", DisableShortFirstPing: true,
		TrustedOperators: []*jwt.OperatorClaims{cfg.operator}, SystemAccount: cfg.operator.SystemAccount, AccountResolver: e.resolver,
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{leafOnly}, MinVersion: tls.VersionTLS13},
		TLSTimeout:  handshakeSeconds,
		AuthTimeout: handshakeSeconds, WriteDeadline: writeDeadline, PingInterval: serverPing,
		MaxPayload: MaxPayload, MaxControlLine: maxControlLine,
		JetStream: true, StoreDir: cfg.dir, SyncAlways: true,
		JetStreamMaxStore: cfg.maxStore, JetStreamMaxMemory: 16 << 20,
		JetStreamLimits: server.JSLimitOpts{DefaultMaxConsumers: -1},
	})
	if err != nil {
		return nil, fmt.Errorf("start the NATS server: %w", err)
	}
	e.srv = srv
	srv.SetLoggerV2(e.log, false, false, false)
	go srv.Start()
	if err := e.awaitReady(ctx); err != nil {
		e.close()
		return nil, fmt.Errorf("start the NATS server on %s: %w", net.JoinHostPort(cfg.host, strconv.Itoa(cfg.port)), err)
	}
	return e, nil
}

// awaitReady waits until the server takes connections. Streams are recovered
// before that, which may take a while after a crash.
func (e *embedded) awaitReady(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for !e.srv.ReadyForConnections(50 * time.Millisecond) {
		select {
		case words := <-e.log.fatal:
			return errors.New(words)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %s", startTimeout)
		}
	}
	return nil
}

func (e *embedded) addr() string { return e.srv.Addr().String() }

// update makes changed account claims hold at once; users revoked by them are cut off.
func (e *embedded) update(c *jwt.AccountClaims, token string) error {
	if err := e.resolver.Store(c.Subject, token); err != nil {
		return err
	}
	acc, err := e.srv.LookupAccount(c.Subject)
	if err != nil {
		return err
	}
	e.srv.UpdateAccountClaims(acc, c)
	return nil
}

func (e *embedded) close() {
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
}

func storeDir(dir string) string { return filepath.Join(dir, "stream") }

// serverLog passes the server's remarks on, and keeps the first fatal one:
// the server itself would end the process there.
type serverLog struct {
	log   *slog.Logger
	fatal chan string // holds one
	once  sync.Once
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: log, fatal: make(chan string, 1)}
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats: " + fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }

func (l *serverLog) Errorf(format string, v ...any) { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(string, ...any)          {}
func (l *serverLog) Tracef(string, ...any)          {}

func (l *serverLog) Fatalf(format string, v ...any) {
	words := fmt.Sprintf(format, v...)
	l.log.Error("nats: " + words)
	l.once.Do(func() { l.fatal <- words })
}
