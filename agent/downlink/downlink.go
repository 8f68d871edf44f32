// Package downlink takes what the hub has for this device: the feeds of the
// scopes that it is granted, of everybody's, and of its own.
//
// A welcome says how far each feed goes. Where the device is as far, nothing is
// asked. Where it is not, it pulls page by page from its cursor; each page is
// applied in one commit with the cursor behind it, so a contact that breaks off
// goes on where it was. While connected the hub's news say that a scope moved.
//
// When the hub answers that it does not know a cursor, it was put back to an
// older copy of its database: the device goes back to the newest cursor that
// both know, or loads the scope anew, and then asks once more for the rows that
// the lost database had sent (law L12).
//
// Pulling goes on beside the uplink's draining, within the bytes that a budget
// grants, one page at a time.
//
//   - [Downlink] pulls; [Downlink.Session] is one connection's life.
//   - [Store] is what it needs of the device's store, [Port] of the link.
package downlink

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// Base is where pages go.
type Base interface {
	Feed(scope string) feed.State
	// ApplyPage and ApplyFetched are one commit each. A page that does not follow
	// what was applied wraps ErrStale of [Config].
	ApplyPage(ctx context.Context, p feed.Page) error
	ApplyFetched(ctx context.Context, f feed.Fetched) error
	Doubtful(ctx context.Context, scope string, most int) (names []feed.Name, all bool, err error)
}

// Turns is what happens to a scope when a hub was put back, or rows are damaged.
type Turns interface {
	ResumeFeed(ctx context.Context, scope string, at feed.Held) error
	RebaseFeed(ctx context.Context, scope string) error
	// Sick lists scopes that must be loaded anew.
	Sick() []string
}

// Grants is which scopes the device holds.
type Grants interface {
	GrantScopes(ctx context.Context, scopes []string) error
	// ConfirmFeeds notes that the device has all of these scopes at this moment.
	ConfirmFeeds(ctx context.Context, scopes []string) error
	// Sweep removes what is not shown any more.
	Sweep(ctx context.Context) error
}

// Store is what downlink needs of the device's store.
type Store interface {
	Base
	Turns
	Grants
}

// Port is what downlink needs of the link.
type Port interface {
	Pull(ctx context.Context, p wire.Pull) (wire.FeedPage, error)
}

// Config is what a [Downlink] is made of.
type Config struct {
	Device      dot.Device
	Incarnation func() dot.Incarnation
	Store       Store
	Port        Port
	Hub         identity.PublicKey
	// Stale is what the store's errors about late pages wrap.
	Stale error
	// Left says how many bytes of the budget are left; not bounded, or nil: as
	// many as the hub gives. With none left nothing is asked for.
	Left func() (bytes uint64, bounded bool)
	// Again is called when the hub has something to say that only a hello
	// brings: another epoch, other grants.
	Again func()
	// Applied is told of each page that was applied; may be nil.
	Applied func(scope string, rows int)
	Log     *slog.Logger
}

// Downlink pulls. Its methods are safe for concurrent use; sessions run one at
// a time.
type Downlink struct {
	cfg  Config
	wake chan struct{}

	mu     sync.Mutex
	due    map[string]bool          // scopes to pull; owner: mu
	told   map[string]feed.Position // where news said that a scope is, since its pull began; owner: mu
	scopes []string                 // of the last welcome; owner: mu
	grant  []byte                   // what it granted, as a row says it; nil: nothing; owner: mu
	heard  bool                     // a welcome came in this session; owner: mu
	untold bool                     // the last welcome gave this life nothing; owner: mu
	asked  time.Time                // when news last led to a hello; owner: mu
	swept  bool                     // since the last welcome; owner: mu
	epoch  receipt.Epoch            // of the last welcome; owner: mu
	pulled int                      // rows, by this session; owner: mu
}

// New returns a Downlink.
func New(cfg Config) *Downlink {
	return &Downlink{cfg: cfg, wake: make(chan struct{}, 1), due: make(map[string]bool), told: make(map[string]feed.Position)}
}

// Times between pulls that fail, how long one may take, and when a budget is looked at again.
const (
	pullTimeout  = 60 * time.Second
	firstPause   = time.Second
	longestPause = 2 * time.Minute
	lookAgain    = 10 * time.Minute
	askAgain     = 30 * time.Second // between hellos for which news are the reason
)

// Welcomed takes what a welcome says: the scopes granted, and how far they go.
func (d *Downlink) Welcomed(ctx context.Context, w wire.Welcome, e receipt.Epoch) error {
	if len(w.Heads) == 0 { // a hub without feeds, or one that gives this life nothing
		d.toldNothing()
		return nil
	}
	grant, err := feed.EncodeGrant(w.Scopes)
	if err != nil {
		return err
	}
	scopes := feed.Scopes(d.cfg.Device, w.Scopes)
	if err := d.cfg.Store.GrantScopes(ctx, scopes); err != nil {
		return err
	}
	due := make(map[string]bool)
	var whole []string
	sick := d.cfg.Store.Sick()
	for _, at := range w.Heads {
		if !slices.Contains(scopes, at.Scope) {
			continue
		}
		st := d.cfg.Store.Feed(at.Scope)
		same := st.Position() == feed.Position{N: at.N, Mark: at.Mark}
		if same && !st.Loading && !st.Doubt && !slices.Contains(sick, at.Scope) {
			whole = append(whole, at.Scope)
			continue
		}
		due[at.Scope] = true
	}
	d.mu.Lock()
	for scope, at := range d.told { // may be younger than the welcome
		if slices.Contains(scopes, scope) && at != d.cfg.Store.Feed(scope).Position() {
			due[scope] = true
		}
	}
	d.due, d.scopes, d.grant, d.heard, d.untold, d.swept, d.epoch = due, scopes, grant, true, false, false, e
	d.mu.Unlock()
	d.Wake()
	return d.cfg.Store.ConfirmFeeds(ctx, whole)
}

// Session pulls while ctx lasts. Once finish is closed it returns as soon as
// nothing is due; a contact that nobody welcomed then has nothing to pull. The
// result is the number of rows taken. The error says why something is still due.
func (d *Downlink) Session(ctx context.Context, finish <-chan struct{}) (int, error) {
	d.mu.Lock()
	d.pulled = 0
	d.mu.Unlock()
	err := d.run(ctx, finish)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = false
	return d.pulled, err
}

func (d *Downlink) run(ctx context.Context, finish <-chan struct{}) error {
	pause := firstPause
	for {
		if err := d.sweep(ctx); err != nil {
			return err
		}
		ended := false
		select { // before it looks at what is due: what became due before the end is pulled
		case <-finish:
			ended = true
		default:
		}
		scope, due := d.next()
		bytes, may := d.room()
		switch {
		case due && may && d.welcome():
			err := d.pull(ctx, scope, bytes)
			if err == nil {
				pause = firstPause
				continue
			}
			if refused, ok := errors.AsType[*wire.Refusal](err); ok {
				d.cfg.Log.Warn("the hub does not give this scope", "scope", scope, "err", err)
				d.drop(scope, refused.Code == "uplink_only")
				continue
			}
			if ended || ctx.Err() != nil {
				return err
			}
			d.cfg.Log.Info("pull failed, will be tried again", "scope", scope, "err", err)
			if err := d.sleep(ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, longestPause)
			continue
		case ended:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-finish: // looked at above from now on
		case <-d.wake:
		case <-later(due && !may):
		}
	}
}

// later looks again at a budget that was used up: a new day tells nobody that it began.
func later(held bool) <-chan time.Time {
	if !held {
		return nil
	}
	return time.After(lookAgain)
}

// room is how many bytes a pull may ask for, 0: as many as the hub gives, and
// whether it may ask at all.
func (d *Downlink) room() (bytes uint32, may bool) {
	if d.cfg.Left == nil {
		return 0, true
	}
	left, bounded := d.cfg.Left()
	if !bounded {
		return 0, true
	}
	return uint32(min(left, math.MaxUint32)), left > 0
}

// sweep removes what a welcome made the device leave.
func (d *Downlink) sweep(ctx context.Context) error {
	d.mu.Lock()
	todo := d.heard && !d.swept
	d.swept = true
	d.mu.Unlock()
	if !todo {
		return nil
	}
	return d.cfg.Store.Sweep(ctx)
}

func (d *Downlink) welcome() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heard
}

func (d *Downlink) sleep(ctx context.Context, pause time.Duration) error {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
