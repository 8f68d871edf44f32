// Package device puts the agent together.
//
// It reads the device's identity, opens its store, and wires the rooms by hand:
// capture writes into the store, uplink drains the store over the link, the
// page and the local API show all of it. A device works without any link; a
// link is only ever an opportunity.
//
//   - [Device] is the agent; [Open], [Device.Run], [Device.Close] are its life.
//   - [Device.Contact] makes one contact and returns, for a program that does
//     not stay.
//   - [Config] has seams for a demonstration and for tests: the clock, the
//     dialer, a gate, a tap on what is sent.
package device

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"otor/agent/blob"
	"otor/agent/capture"
	"otor/agent/downlink"
	"otor/agent/enrol"
	"otor/agent/life"
	"otor/agent/link"
	"otor/agent/packs"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/runfile"
	"otor/internal/webui"
)

// Device is an opened agent. Its methods are safe for concurrent use.
type Device struct {
	cfg      Config
	id       *enrol.Identity
	store    *store.Store
	capture  *capture.Capture
	link     *link.Link
	uplink   *uplink.Uplink
	down     *downlink.Downlink
	outbox   *Outbox
	lives    *Lives
	port     uplink.Port
	wallet   *wallet
	book     *life.Book
	key      identity.SigningKey
	bell     webui.Bell
	blobs    *blob.Room
	prunable chan time.Time // the hub's time at the latest contact that was settled
	sender   *blob.Sender
	// photosAsked are photos that the hub was asked about, and when. Owner: the one that prunes.
	photosAsked map[entry.Hash]time.Time
	unnamed     unnamed
	xforms      xforms

	renewing sync.Mutex             // held by Renew
	mu       sync.Mutex             // guards the following
	custody  map[dot.Chain]lane.Set // held by somebody else, not received yet
	contacts uint64                 // hellos answered since Open
	due      uint64                 // the most entries that waited since all was at the hub: of them the page counts
	check    web.Check              // of the whole store
	lastSync error
	offered  map[entry.Hash]offer // of photos that went from here, see offerGone
	hubSaid  time.Time            // its clock in the latest hello's answer

	finder finder
	shelf  shelf
	// recheck holds at most one wish for another check of the whole store.
	recheck chan struct{}
	packs   *packs.Room // nil without a shelf
	// newPack: a form pack came that the hub has not been told of.
	newPack atomic.Bool
}

// Open reads the identity in cfg.Dir and opens the store. Errors wrap
// [enrol.ErrNotEnrolled] and the store's.
func Open(cfg Config) (_ *Device, err error) {
	cfg.fill()
	id, err := enrol.Load(cfg.Dir)
	if err != nil {
		return nil, err
	}
	key, err := id.SigningKey()
	if err != nil {
		return nil, fmt.Errorf("open device %s: %w", id, err)
	}
	d := &Device{cfg: cfg, id: id, custody: make(map[dot.Chain]lane.Set), prunable: make(chan time.Time, 1), recheck: make(chan struct{}, 1)}
	d.key = key
	d.store, err = store.Open(cfg.Dir, store.Options{
		Key: id.StoreKey(), Device: id.Device, Incarnation: id.Incarnation, Life: d.openBook,
		Log: cfg.Log, Now: cfg.Now, NoSync: control().NoSync, Repair: cfg.Repair,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.store.Close())
		}
	}()
	if err := d.openPacks(); err != nil {
		return nil, err
	}
	d.capture = capture.New(capture.Config{
		Store: d.store, Forms: cfg.Forms, Now: cfg.Now, Zone: cfg.Zone, Random: rand.Reader, Offset: d.offset, Demo: cfg.Demo,
		Types: cfg.Types, Displayed: d.displayed, File: d.findFile,
	})
	if d.blobs, err = blob.New(cfg.Dir, id.StoreKey()); err != nil {
		return nil, err
	}
	kept := d.store.Preferences() // what was given at the start counts before it
	cfg.Limits.Contact, cfg.Limits.Day = cmp.Or(cfg.Limits.Contact, kept.Contact), cmp.Or(cfg.Limits.Day, kept.Day)
	d.wallet = &wallet{dir: cfg.Dir, id: id}
	d.link, err = link.New(link.Config{
		URLs: id.NatsURLs, JWT: id.JWT, Door: id.Door, Knock: d.wallet.knock, NkeySeed: []byte(id.Secrets.NatsSeed), CA: []byte(id.CA), Device: id.Device,
		Dialer: cfg.Dialer, DNS: cfg.DNS, Log: cfg.Log, Now: cfg.Now, MinPause: cfg.MinPause, MaxPause: cfg.MaxPause,
		PingInterval: cfg.KeepAlive, Limits: cfg.Limits, Traffic: link.Traffic(d.store.Traffic()), Keep: d.keepTraffic,
	})
	if err != nil {
		return nil, err
	}
	d.port = &port{link: d.link, device: id.Device, tap: cfg.Tap, held: d.MarkCustody}
	d.outbox = NewOutbox(d.store, d.settledAt)
	d.lives = &Lives{
		Store: d.store, Book: d.book, Device: id.Device, Enrolled: id.Incarnation, Outbox: d.outbox,
		Again: func() { d.uplink.Again() }, Changed: d.bell.Ring, Log: cfg.Log,
	}
	d.uplink = uplink.New(uplink.Config{
		Outbox: d.outbox, Port: d.port, Key: key, Hub: id.HubKey,
		Greet: d.greet, Epoch: d.epoch, Welcomed: d.welcomed, Mend: d.lives.Mend, Gate: cfg.Gate, Now: cfg.Now, Log: cfg.Log,
		MaxInFlight: cfg.MaxInFlight, MaxEntries: cfg.MaxEntries, Rate: cfg.Rate, Left: d.left, Noticed: d.bell.Ring,
	})
	d.down = downlink.New(downlink.Config{
		Device: id.Device, Incarnation: d.store.Current, Store: d.store, Port: &puller{d.link, id.Device},
		Hub: id.HubKey, Stale: store.ErrStale, Again: d.uplink.Again, Left: d.left, Applied: d.pageCame, Log: cfg.Log,
	})
	d.sender = d.newSender()
	d.link.OnReceipt(d.uplink.TakeReceipts)
	d.link.OnNews(d.down.TakeNews)
	return d, nil
}

// Close releases what Open acquired.
func (d *Device) Close() error { return d.store.Close() }

// displayed is an entity as the device shows it.
func (d *Device) displayed(ref entry.Ref) (*merge.State, error) {
	shown, err := d.store.Shown(ref)
	return shown.State, err
}

// ID is the device's name.
func (d *Device) ID() dot.Device { return d.id.Device }

// Store is the device's store.
func (d *Device) Store() *store.Store { return d.store }

// Link is the device's link.
func (d *Device) Link() *link.Link { return d.link }

// Run keeps the link, drains whenever it is up, and serves the page, until ctx
// ends or the store fails. It may be called once.
func (d *Device) Run(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("listen for the page on %s: %w; choose another address with --http", d.cfg.HTTP, err)
	}
	token, err := runfile.Token(d.cfg.Dir)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	secret := webui.NewSecret()
	return d.run(ctx, ln, token, secret)
}

// run is Run behind what can fail at the start.
func (d *Device) run(ctx context.Context, ln net.Listener, token, secret string) error {
	server := webui.NewServer(ctx, web.New(web.Config{
		Device: d, Visits: d, Drafts: d, Photos: d, Entities: d, Agenda: d, Books: d, Prefs: d, Alarms: d, Pack: d.inForce, Token: token, Secret: secret, Log: d.cfg.Log, DefaultLang: d.cfg.Lang,
		Clock: func() time.Time { return d.cfg.Now().In(d.cfg.Zone) }, FormTitle: d.formTitle, Counted: d.bell.Ring, Metrics: d.meter(),
	}), d.cfg.Log)
	if err := runfile.Write(d.cfg.Dir, runfile.Info{PID: os.Getpid(), HTTP: ln.Addr().String()}); err != nil {
		return errors.Join(err, ln.Close())
	}
	defer runfile.Remove(d.cfg.Dir)
	if d.cfg.Ready != nil {
		d.cfg.Ready(webui.EnterURL("http://"+ln.Addr().String(), secret))
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{d.link.Run, d.sessions, d.renewals, d.watchStore, d.verifies, d.refills, d.prunes} {
		group.Go(func() error { return loop(ctx) })
	}
	group.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the page: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if server.Shutdown(stop) != nil {
			return server.Close()
		}
		return nil
	})
	return group.Wait()
}

// sessions runs one uplink session for each connection.
func (d *Device) sessions(ctx context.Context) error {
	var last uint64
	for {
		c, err := d.link.Online(ctx, last)
		if err != nil {
			return nil //nolint:nilerr // only when ctx ended
		}
		last = c.Generation
		_, _ = d.session(ctx, c, false) // it noted its error
	}
}

// session drains over one connection and remembers why it ended.
func (d *Device) session(ctx context.Context, c link.Contact, once bool) (uplink.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-c.Lost:
			cancel()
		case <-stop:
		}
	}()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		r, err := d.bothWays(ctx, once)
		d.note(err)
		d.clearCustody()
		if err == nil || once || ctx.Err() != nil {
			return r, err
		}
		d.cfg.Log.Warn("contact broke off, trying again on the same link", "err", err)
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// How long a session waits before it says hello again on a link that stands:
// whoever refused, or contradicts, does not change its mind at once.
const (
	firstPause   = 2 * time.Second
	longestPause = 2 * time.Minute
)

// Contact makes one contact: connect, drain, return. ctx bounds it.
func (d *Device) Contact(ctx context.Context) (uplink.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- d.link.Run(ctx) }()
	defer func() { cancel(nil); <-done }()
	var last uint64
	var sum uplink.Result
	stopRefused := d.whenRefused(cancel)
	defer stopRefused()
	for {
		c, err := d.link.Online(ctx, last)
		if err != nil {
			sum.Remaining = uplink.Remaining(d.outbox.Chains())
			return sum, d.whyNot(context.Cause(ctx))
		}
		last = c.Generation
		r, err := d.session(ctx, c, true)
		sum = uplink.Result{Sent: sum.Sent + r.Sent, Received: sum.Received + r.Received, Pulled: sum.Pulled + r.Pulled, Remaining: r.Remaining}
		if err == nil && len(d.store.Holes()) > 0 {
			d.tellRefill(d.Refill(ctx))
		}
		d.pruneNow(ctx)
		if err == nil || errors.Is(err, uplink.ErrRefused) || errors.Is(err, uplink.ErrDisputed) || errors.Is(err, uplink.ErrSpent) {
			return sum, err
		}
		select {
		case <-c.Lost:
		case <-ctx.Done():
		case <-time.After(firstPause):
			last-- // the link stands: the hub itself had trouble, ask again over it
		}
	}
}

// whenRefused calls stop once the hub has refused this device: trying on until
// the time is over would change nothing.
func (d *Device) whenRefused(stop context.CancelCauseFunc) (end func()) {
	changes, endChanges := d.link.Changes()
	done := make(chan struct{})
	go func() {
		for {
			if st := d.link.State(); st.Phase == link.Refused {
				stop(fmt.Errorf("%w: %s", link.ErrRefused, st.LastError))
				return
			}
			select {
			case <-changes:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); endChanges() }
}

// whyNot words why no contact came about.
func (d *Device) whyNot(err error) error {
	st := d.link.State()
	if errors.Is(err, link.ErrRefused) {
		return err
	}
	d.mu.Lock()
	unsaid := d.lastSync
	d.mu.Unlock()
	switch {
	case st.LastError != "":
		return fmt.Errorf("%w: %s", link.ErrOffline, st.LastError)
	case unsaid != nil: // connected, and yet nothing came of it
		return fmt.Errorf("%w: %w", link.ErrOffline, unsaid)
	}
	return fmt.Errorf("%w: %w", link.ErrOffline, err)
}

// formTitle is a form's name in a language.
func (d *Device) formTitle(lang, id string) string {
	f, ok := d.cfg.Forms.Latest(id)
	if !ok {
		return ""
	}
	if d.inForce() != nil {
		return d.inForce().FormTitle(f, lang)
	}
	return f.Title.In(lang)
}

func (d *Device) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && errors.Is(err, context.Canceled) {
		return // the link's own loss, or the end of the program
	}
	d.lastSync = err
}
