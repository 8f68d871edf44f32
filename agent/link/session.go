package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"otor/internal/trust"
	"otor/internal/wire"
)

// Bounds of what the hub may have waiting for us in memory.
const (
	maxReceipts     = 1024
	maxReceiptBytes = 4 << 20
	maxNews         = 256 // of one scope
	maxNewsBytes    = 64 << 10
)

// session is one connection; its context ends, with the reason as cause, when
// the connection does.
type session struct {
	nc         *nats.Conn
	mail       *mailbox
	ctx        context.Context
	end        context.CancelCauseFunc
	generation uint64
	probing    atomic.Bool
}

// newTLS keeps session tickets: a resumed handshake carries no certificate.
func newTLS(root *x509.Certificate) *tls.Config {
	cfg := trust.ByRoot(root)
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	return cfg
}

// contact makes one attempt and, if it succeeds, stays until the connection is
// over. It returns whether there was a connection, and the reason of its end.
func (l *Link) contact(ctx context.Context) (online bool, err error) {
	l.setPhase(Connecting, nil)
	l.budget.begin()
	defer func() {
		if err := l.budget.Keep(); err != nil {
			l.cfg.Log.Warn("link to the hub", "error", err)
		}
	}()
	s, err := l.open(ctx, l.credentials().JWT)
	if authError(err) && l.hasDoor() {
		l.expired()
		if err := l.knock(ctx); err != nil {
			return false, fmt.Errorf("%w: %w", ErrExpired, err)
		}
		s, err = l.open(ctx, l.credentials().JWT)
	}
	if err != nil {
		return false, err
	}
	defer s.close()
	if err := l.listen(s); err != nil {
		return false, err
	}
	l.enter(s)
	l.cfg.Log.Info("link to the hub is up", "generation", s.generation, "url", s.nc.ConnectedUrl())
	<-s.ctx.Done()
	l.leave()
	return true, context.Cause(s.ctx)
}

// open connects with credentials, to the first of the hub's addresses that lets
// this device in. They are tried one by one, in any order, since a no of one
// says more than the silence of the others.
func (l *Link) open(ctx context.Context, token string) (*session, error) {
	s := &session{mail: newMailbox(l.cfg.Device)}
	s.ctx, s.end = context.WithCancelCause(ctx)
	var why error
	for _, i := range rand.Perm(len(l.cfg.URLs)) {
		var err error
		if s.nc, err = l.connect(s, l.cfg.URLs[i], token); err == nil {
			return s, nil
		}
		if why == nil || !refused(why) && (refused(err) || errors.Is(why, nats.ErrNoServers)) {
			why = err
		}
	}
	s.end(nil)
	return nil, why
}

func (s *session) close() {
	s.nc.Close()
	s.end(nil)
}

func (l *Link) connect(s *session, url, token string) (*nats.Conn, error) {
	opts := nats.GetDefaultOptions()
	opts.Servers = []string{url}
	for _, set := range []nats.Option{
		nats.Name(string(l.cfg.Device)),
		nats.UserJWT(func() (string, error) { return token, nil }, l.key.Sign),
		nats.Secure(l.tls), nats.SetCustomDialer(l.dial.within(s.ctx)), nats.SkipHostLookup(),
		nats.NoReconnect(), nats.IgnoreAuthErrorAbort(), nats.IgnoreDiscoveredServers(), nats.NoEcho(),
		nats.CustomInboxPrefix(wire.InboxPrefix(l.cfg.Device)),
		nats.Timeout(l.cfg.ConnectTimeout), nats.FlusherTimeout(writeDeadline),
		nats.PingInterval(l.cfg.PingInterval), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.trouble(s, err) }),
		nats.ClosedHandler(func(nc *nats.Conn) {
			if err := nc.LastError(); err != nil {
				s.end(fmt.Errorf("%w: %w", ErrLost, err))
				return
			}
			s.end(ErrLost)
		}),
	} {
		if err := set(&opts); err != nil {
			return nil, err
		}
	}
	return opts.Connect()
}

// trouble hears what the server says without being asked. A denied publish is
// told in no other way, and means that these credentials are not enough.
func (l *Link) trouble(s *session, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) || authError(err) {
		s.end(fmt.Errorf("%w: %w", ErrRefused, err))
		return
	}
	l.cfg.Log.Warn("link to the hub", "error", err)
}

// listen subscribes to the receipts and to the answers to what is posted. The
// server handles a connection's words in their order, so the subscriptions
// stand before any hello that is said later.
func (l *Link) listen(s *session) error {
	if _, err := s.nc.Subscribe(s.mail.prefix+"*", s.mail.take); err != nil {
		return err
	}
	l.mu.Lock()
	f := l.onReceipt
	l.mu.Unlock()
	if f == nil {
		return nil
	}
	sub, err := s.nc.Subscribe(wire.ReceiptFor(l.cfg.Device), func(m *nats.Msg) { f(m.Data) })
	if err != nil {
		return err
	}
	if err := sub.SetPendingLimits(maxReceipts, maxReceiptBytes); err != nil {
		return err
	}
	return l.listenToNews(s)
}

// listenToNews subscribes to the news that the credentials permit, and to no
// other: asking for more would cost the connection.
func (l *Link) listenToNews(s *session) error {
	l.mu.Lock()
	f := l.onNews
	l.mu.Unlock()
	if f == nil {
		return nil
	}
	for _, scope := range wire.NewsOf(l.credentials().JWT) {
		sub, err := s.nc.Subscribe(wire.News(scope), func(m *nats.Msg) { f(m.Subject, m.Data) })
		if err != nil {
			return err
		}
		if err := sub.SetPendingLimits(maxNews, maxNewsBytes); err != nil {
			return err
		}
	}
	return nil
}

// probe checks in the background that the other end answers, and ends the
// session if not: a half-open connection otherwise lasts until the second ping.
func (s *session) probe(patience time.Duration) {
	if !s.probing.CompareAndSwap(false, true) {
		return
	}
	go func() { // ends with the session at the latest
		defer s.probing.Store(false)
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		defer cancel()
		if err := s.nc.FlushWithContext(ctx); err != nil && s.ctx.Err() == nil {
			s.end(fmt.Errorf("%w: it did not answer within %s", ErrLost, patience))
		}
	}()
}

// Request asks the hub and returns its answer. It fails at once when the
// connection ends. When ctx's deadline passes first, the line is checked too.
func (l *Link) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	s := l.current()
	if s == nil {
		return nil, fmt.Errorf("ask %s: %w", subject, ErrOffline)
	}
	return l.ask(ctx, s, subject, data)
}

// ask is Request over one connection.
func (l *Link) ask(ctx context.Context, s *session, subject string, data []byte) ([]byte, error) {
	if int64(len(data)) > s.nc.MaxPayload() {
		return nil, fmt.Errorf("ask %s: %w: %d bytes, the limit is %d", subject, ErrTooLarge, len(data), s.nc.MaxPayload())
	}
	both, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	m, err := s.nc.RequestWithContext(both, subject, data)
	switch {
	case err == nil:
		return m.Data, nil
	case s.ctx.Err() != nil:
		return nil, fmt.Errorf("ask %s: %w", subject, context.Cause(s.ctx))
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected):
		// The library may tell us here before it tells the closed handler.
		return nil, fmt.Errorf("ask %s: %w: %w", subject, ErrLost, err)
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("ask %s: %w: nobody there takes it now", subject, ErrNotTaken)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		s.probe(l.cfg.ProbeTimeout)
	}
	return nil, fmt.Errorf("ask %s: %w", subject, err)
}

// authError knows a no to the credentials. During login the library gives the
// server's words alone, without one of its own errors.
func authError(err error) bool {
	if err == nil {
		return false
	}
	for _, e := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, e) || strings.Contains(strings.ToLower(err.Error()), strings.TrimPrefix(e.Error(), "nats: ")) {
			return true
		}
	}
	return false
}

func refused(err error) bool { return errors.Is(err, ErrRefused) || authError(err) }

// reason sorts why there is no connection.
func reason(err error) Reason {
	switch {
	case err == nil:
		return ""
	case refused(err):
		return HubRefuses
	case errors.Is(err, trust.ErrNotTheHub):
		return NotTheHub
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, syscall.ECONNREFUSED):
		return HubAway // its machine answers: nobody listens there
	case errors.Is(err, ErrLost):
		return Lost
	default:
		return NoSignal
	}
}

// code is that of the hub's own refusal, if it is one.
func code(err error) string {
	if no, ok := errors.AsType[*wire.Refusal](err); ok {
		return no.Code
	}
	return ""
}

// words says for a person why there is no connection.
func words(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	var no *wire.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &no):
		return "the hub does not accept this device: " + no.Error() + "; every record stays safe here"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "the hub does not let this device send: " + err.Error() + "; ask the hub's operator"
	case errors.Is(err, ErrExpired) && refused(err):
		return "the hub does not accept this device any more, most likely because it was revoked; every record stays safe here; ask the hub's operator"
	case refused(err):
		return "the hub does not accept this device: its credentials were revoked or have expired; every record stays safe here; ask the hub's operator"
	case errors.Is(err, trust.ErrNotTheHub):
		return "what answers at the hub's address is not this device's hub; check the network (a login page?)"
	case errors.As(err, &dns):
		return "the hub's name " + dns.Name + " was not found; no network, or no name server"
	case errors.Is(err, nats.ErrTimeout), errors.As(err, &timeout) && timeout.Timeout():
		return "the hub did not answer in time"
	case errors.Is(err, nats.ErrNoServers):
		return "the hub does not answer"
	case errors.Is(err, ErrLost):
		return err.Error()
	default:
		return "the hub does not answer: " + err.Error()
	}
}
