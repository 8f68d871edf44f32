// Package link keeps a device connected to its hub whenever that is possible.
//
// Being offline is the normal state here, so nothing that happens to the
// connection is an error of the program: it becomes [State], and the link tries
// again by itself, after a pause that grows from one second to half a minute and
// is spread at random so that a team coming into range does not knock all at
// once. Each attempt is a fresh connection; the library's own reconnecting is
// off, since it gives up or buffers in ways that a field link does not want.
//
// What the device sends is in one of three states afterwards. [Link.Send]
// returning nil means custody: the hub's stream has it on its disk, and still
// only a receipt settles it. [ErrNotTaken] means that the hub said no. Any other
// error means unknown: it may have arrived.
//
// A device has two credentials. The ordinary ones last weeks and are renewed in
// contact ([Link.Renew]); the door lasts years and lets the device ask for new
// ordinary ones, no more. Which of them holds is the hub's word alone, never this
// device's clock: the ordinary ones are always tried first, and the door when
// the hub refused them.
//
//   - [Link] is the connection's keeper; [New] makes it, [Link.Run] runs it.
//   - [State] is how things are, in a phase and in words; [Link.Changes] signals.
//   - [Contact] is one connection, with a number and a channel that closes when it is lost.
//   - [Meter] counts the bytes on the wire, TLS included; [Budget] holds them
//     against what may be spent in a contact and in a day.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nkeys"

	"otor/internal/dot"
	"otor/internal/trust"
	"otor/internal/wire"
)

// Defaults and fixed times.
const (
	defaultPing    = 4 * time.Minute
	defaultConnect = 20 * time.Second // TLS and login at 600 ms and 64 kbit/s take 3 to 6 s
	writeDeadline  = time.Minute
	defaultProbe   = time.Minute // a ping behind queued batches on a slow link takes a while
	minPause       = time.Second
	maxPause       = 30 * time.Second
	steady         = 30 * time.Second // a connection that held this long resets the pause
)

// Errors that callers tell apart.
var (
	ErrOffline  = errors.New("not connected to the hub")
	ErrLost     = errors.New("the connection to the hub was lost")
	ErrRefused  = errors.New("the hub does not accept this device")
	ErrExpired  = errors.New("the credentials of this device have run out")
	ErrNotTaken = errors.New("the hub did not take the message")
	ErrTooLarge = errors.New("message is larger than the hub takes")
)

// Dialer opens connections; *net.Dialer is one. A test or a demo puts its own
// here and cuts the line.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Config says how to reach the hub.
type Config struct {
	URLs     []string // tls://host:port
	JWT      string   // NATS user credentials
	Door     string   // the same key's, for asking for new ones; empty: none
	NkeySeed []byte   // of the key that both name
	CA       []byte   // PEM; the hub is who this authority says, see package trust
	Device   dot.Device
	Dialer   Dialer   // NewDialer(DNS) when nil
	DNS      []string // see [NewDialer]
	Log      *slog.Logger
	Now      func() time.Time

	// Knock asks the hub for new credentials over a connection by the door, and
	// stores them BEFORE it returns them; its error wraps [ErrRefused] when the hub
	// said no. nil: the door is not used.
	Knock Knock

	// Limits bound what is moved; Traffic is what was on the latest day that Keep
	// was told of. Keep makes a day's traffic outlive the program; nil: it does not.
	Limits  Limits
	Traffic Traffic
	Keep    func(Traffic) error

	PingInterval   time.Duration // 4 minutes when 0; the only idle traffic
	ConnectTimeout time.Duration // 20 s when 0; for each address
	MinPause       time.Duration // before the first new attempt, 1 s when 0
	MaxPause       time.Duration // 30 s when 0
	ProbeTimeout   time.Duration // how long a checked line may take to answer, 1 minute when 0
}

// Phase is where the link stands.
type Phase string

// The phases. Refused means that the hub answered and said no: credentials
// expired or revoked, or not enough for what was tried.
const (
	Offline    Phase = "offline"
	Connecting Phase = "connecting"
	Online     Phase = "online"
	Refused    Phase = "refused"
)

// State is a snapshot of the link.
type State struct {
	Phase      Phase
	Since      time.Time // when the phase began; offline and connecting count as one
	LastError  string    // why the last attempt or connection ended, in words; empty when online
	Attempts   int       // since the last connection
	Generation uint64    // the number of the current or latest connection, from 1
	Expired    bool      // the hub refused the ordinary credentials, and no new ones came yet
	Reason     Reason    // what LastError is about; empty when online
	Code       string    // of the hub's refusal, while Refused; empty: its server's own
}

// Link keeps the connection. All methods are safe for concurrent use.
type Link struct {
	cfg    Config
	key    nkeys.KeyPair
	dial   *dialer
	budget *Budget
	tls    *tls.Config
	kick   chan struct{} // holds one
	watch  watchers

	mu        sync.Mutex
	held      wire.Credentials
	state     State
	session   *session // nil: not connected
	arrived   chan struct{}
	onReceipt func([]byte)
	onNews    func(subject string, data []byte)
}

// New checks the configuration; nothing is dialled before [Link.Run].
func New(cfg Config) (*Link, error) {
	if _, err := dot.ParseDevice(string(cfg.Device)); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	if len(cfg.URLs) == 0 {
		return nil, fmt.Errorf("link of %s: no address of the hub is known", cfg.Device)
	}
	key, err := nkeys.FromSeed(cfg.NkeySeed)
	if err != nil {
		return nil, fmt.Errorf("link of %s: NATS key: %w", cfg.Device, err)
	}
	root, err := trust.Root(cfg.CA)
	if err != nil {
		return nil, fmt.Errorf("link of %s: %w", cfg.Device, err)
	}
	if cfg.Dialer == nil {
		cfg.Dialer = NewDialer(cfg.DNS)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&cfg.PingInterval, defaultPing},
		{&cfg.ConnectTimeout, defaultConnect},
		{&cfg.MinPause, minPause},
		{&cfg.MaxPause, maxPause},
		{&cfg.ProbeTimeout, defaultProbe},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if err := cfg.Limits.Check(); err != nil {
		return nil, fmt.Errorf("link of %s: %w", cfg.Device, err)
	}
	dial := &dialer{Dialer: cfg.Dialer, timeout: cfg.ConnectTimeout}
	return &Link{
		cfg: cfg, key: key, dial: dial, tls: newTLS(root), budget: newBudget(cfg.Limits, cfg.Traffic, dial.meter, cfg.Now, cfg.Keep),
		kick: make(chan struct{}, 1), arrived: make(chan struct{}),
		state: State{Phase: Offline, Since: cfg.Now()}, held: wire.Credentials{JWT: cfg.JWT, Door: cfg.Door},
	}, nil
}

// Run keeps the link until ctx ends; it then returns nil. Call it once.
func (l *Link) Run(ctx context.Context) error {
	pause := l.cfg.MinPause
	for {
		began := l.cfg.Now()
		wasOnline, err := l.contact(ctx)
		if ctx.Err() != nil {
			l.setPhase(Offline, nil)
			return nil
		}
		if wasOnline && l.cfg.Now().Sub(began) >= steady {
			pause = l.cfg.MinPause
		}
		phase := Offline
		switch {
		case wasOnline && authError(err):
			// They ran out, or were revoked, in the middle: the next attempt shows which.
			pause = l.cfg.MinPause
		case refused(err):
			// Asking again soon changes nothing: somebody at the hub must act.
			phase, pause = Refused, l.cfg.MaxPause
		}
		l.setPhase(phase, err)
		wait := pause/2 + rand.N(pause/2+1)
		l.cfg.Log.Info("no link to the hub", "phase", phase, "reason", words(err), "again_in", wait.Round(time.Millisecond))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			pause = min(2*pause, l.cfg.MaxPause)
		case <-l.kick:
			pause = l.cfg.MinPause
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// Kick tries now: it ends a pause, or, while connected, checks that the other
// end still answers.
func (l *Link) Kick() {
	if s := l.current(); s != nil {
		s.probe(l.cfg.ProbeTimeout)
		return
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// State returns how things are now.
func (l *Link) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Changes returns a channel that gets a signal after the state changed (several
// changes may give one), and a function that ends it.
func (l *Link) Changes() (<-chan struct{}, func()) { return l.watch.add() }

// Contact is one connection to the hub.
type Contact struct {
	Generation uint64          // from 1, counts connections
	Lost       <-chan struct{} // closed when this connection is over
}

// Online waits for a connection with a generation above after (0: any) and
// returns it; the current one counts. It fails only when ctx ends.
func (l *Link) Online(ctx context.Context, after uint64) (Contact, error) {
	for {
		l.mu.Lock()
		s, arrived := l.session, l.arrived
		l.mu.Unlock()
		if s != nil && s.generation > after {
			return Contact{Generation: s.generation, Lost: s.ctx.Done()}, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Contact{}, ctx.Err()
		}
	}
}

// OnReceipt sets who gets the hub's receipt messages, one at a time. Set it
// before Run: the subscription stands before anybody can say hello.
func (l *Link) OnReceipt(f func([]byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onReceipt = f
}

// OnNews sets who gets the hub's news of scopes, one at a time, with their
// subject. Set it before Run.
func (l *Link) OnNews(f func(subject string, data []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onNews = f
}

// May reports whether the credentials let this device publish on a subject: those
// of an older hub may not.
func (l *Link) May(subject string) bool { return wire.MayPublish(l.credentials().JWT, subject) }

// Meter returns the bytes that went over the wire since New, both ways.
func (l *Link) Meter() Meter { return l.dial.meter() }

// Budget is what the link may move.
func (l *Link) Budget() *Budget { return l.budget }

func (l *Link) current() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

func (l *Link) setPhase(p Phase, err error) {
	l.mu.Lock()
	// Attempts come and go: what counts is since when there is no link.
	without := func(p Phase) bool { return p == Offline || p == Connecting }
	if l.state.Phase != p && !(without(l.state.Phase) && without(p)) {
		l.state.Since = l.cfg.Now()
	}
	l.state.Phase = p
	switch p {
	case Connecting:
		l.state.Attempts++
	case Online:
		l.state.Attempts, l.state.LastError, l.state.Expired, l.state.Reason, l.state.Code = 0, "", false, "", ""
	case Offline, Refused:
		if err != nil {
			l.state.LastError, l.state.Reason, l.state.Code = words(err), reason(err), code(err)
		}
	}
	l.mu.Unlock()
	l.watch.signal()
}

// enter makes s the current session, leave ends it.
func (l *Link) enter(s *session) {
	l.mu.Lock()
	l.state.Generation++
	s.generation = l.state.Generation
	l.session = s
	close(l.arrived)
	l.arrived = make(chan struct{})
	l.mu.Unlock()
	l.setPhase(Online, nil)
}

func (l *Link) leave() {
	l.mu.Lock()
	l.session = nil
	l.mu.Unlock()
}

// watchers pass on "something changed" without ever blocking who says so.
type watchers struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{}
}

func (w *watchers) add() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[chan struct{}]struct{}{}
	}
	w.all[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, c)
	}
}

func (w *watchers) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
