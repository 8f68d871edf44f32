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
	"fmt"
	"log/slog"
	"maps"
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
	heard  bool                     // a welcome came in this session; owner: mu
	swept  bool                     // since the last welcome; owner: mu
	epoch  receipt.Epoch            // of the last welcome; owner: mu
	pulled int                      // rows, by this session; owner: mu
}

// New returns a Downlink.
func New(cfg Config) *Downlink {
	return &Downlink{cfg: cfg, wake: make(chan struct{}, 1), due: make(map[string]bool), told: make(map[string]feed.Position)}
}

// Times between pulls that fail, and how long one may take.
const (
	pullTimeout  = 60 * time.Second
	firstPause   = time.Second
	longestPause = 2 * time.Minute
)

// Welcomed takes what a welcome says: the scopes granted, and how far they go.
func (d *Downlink) Welcomed(ctx context.Context, w wire.Welcome, e receipt.Epoch) error {
	if len(w.Heads) == 0 { // a hub without feeds, or one that gives this life nothing
		return nil
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
	d.due, d.scopes, d.heard, d.swept, d.epoch = due, scopes, true, false, e
	d.mu.Unlock()
	d.Wake()
	return d.cfg.Store.ConfirmFeeds(ctx, whole)
}

// Wake makes the session look again whether something is due, or may be asked for.
func (d *Downlink) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Due makes the session pull a scope.
func (d *Downlink) Due(scope string) {
	d.mu.Lock()
	d.due[scope], d.told[scope] = true, beyond
	d.mu.Unlock()
	d.Wake()
}

// DueAll makes the session pull every scope that the last welcome granted.
func (d *Downlink) DueAll() {
	d.mu.Lock()
	for _, scope := range d.scopes {
		d.due[scope], d.told[scope] = true, beyond
	}
	d.mu.Unlock()
	d.Wake()
}

// beyond stands for a position that nobody named: no scope ever is there.
var beyond = feed.Position{N: math.MaxUint64}

// TakeNews hands in that a scope moved.
func (d *Downlink) TakeNews(subject string, b []byte) {
	scope, ok := wire.ScopeOfNews(subject)
	news, err := wire.Unmarshal[wire.FeedNews](b)
	if err != nil || !ok {
		d.cfg.Log.Warn("news not understood", "subject", subject, "err", err)
		return
	}
	at := feed.Position{N: news.N, Mark: news.Mark}
	d.mu.Lock()
	moved := d.cfg.Store.Feed(scope).Position() != at
	if moved {
		d.due[scope], d.told[scope] = true, at
	}
	d.mu.Unlock()
	if moved {
		d.Wake()
	}
}

// next picks a scope that is due: the device's own first.
func (d *Downlink) next() (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := feed.ScopeOf(d.cfg.Device)
	if d.due[own] {
		return own, true
	}
	scopes := slices.Sorted(maps.Keys(d.due))
	if len(scopes) == 0 {
		return "", false
	}
	return scopes[0], true
}

// begin notes that a scope is pulled from now on.
func (d *Downlink) begin(scope string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.told, scope)
}

// done notes that a scope was pulled to its end. It stays due where news came
// meanwhile that the last page did not have yet.
func (d *Downlink) done(scope string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, told := d.told[scope]; told && at != d.cfg.Store.Feed(scope).Position() {
		return
	}
	delete(d.due, scope)
	delete(d.told, scope)
}

// drop gives up a scope that the hub does not give.
func (d *Downlink) drop(scope string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.due, scope)
	delete(d.told, scope)
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
			if _, refused := errors.AsType[*wire.Refusal](err); refused {
				d.cfg.Log.Warn("the hub does not give this scope", "scope", scope, "err", err)
				d.drop(scope)
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
		}
	}
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

// pull takes one step with a scope: a page, a turn, or doubtful rows.
func (d *Downlink) pull(ctx context.Context, scope string, bytes uint32) error {
	d.begin(scope)
	st := d.cfg.Store.Feed(scope)
	if slices.Contains(d.cfg.Store.Sick(), scope) {
		if err := d.cfg.Store.RebaseFeed(ctx, scope); err != nil {
			return err
		}
		st = d.cfg.Store.Feed(scope)
	}
	p, err := d.ask(ctx, st, wire.Pull{Scope: scope, Bytes: bytes}, false)
	if err != nil {
		return err
	}
	if p.Turn == wire.Ask {
		if p, err = d.ask(ctx, st, wire.Pull{Scope: scope, Bytes: bytes}, true); err != nil {
			return err
		}
	}
	switch p.Turn {
	case wire.Resume:
		return d.resume(ctx, st, p)
	case wire.Rebase:
		d.cfg.Log.Info("a scope is loaded anew", "scope", scope)
		return d.cfg.Store.RebaseFeed(ctx, scope)
	case wire.Onward:
	default:
		return fmt.Errorf("pull %s: the hub does not know what it asks for", scope)
	}
	more, err := d.apply(ctx, st, p)
	if errors.Is(err, d.cfg.Stale) {
		return nil // somebody was faster: look again
	}
	if err != nil || more {
		return err
	}
	if d.cfg.Store.Feed(scope).Doubt {
		return d.refetch(ctx, scope, bytes)
	}
	d.done(scope)
	return d.cfg.Store.Sweep(ctx)
}

// ask sends a pull with the newest cursor, or with all.
func (d *Downlink) ask(ctx context.Context, st feed.State, p wire.Pull, all bool) (wire.FeedPage, error) {
	p.Incarnation, p.All = d.cfg.Incarnation(), all || len(st.Cursors) <= 1
	for i, c := range st.Cursors {
		if i > 0 && !all {
			break
		}
		p.Cursors = append(p.Cursors, c.Signed)
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	page, err := d.cfg.Port.Pull(ctx, p)
	if err != nil {
		return page, fmt.Errorf("pull %s: %w", p.Scope, err)
	}
	if page.Refused != nil {
		return page, fmt.Errorf("pull %s: %w", p.Scope, page.Refused)
	}
	if page.Scope != p.Scope {
		return page, fmt.Errorf("pull %s: %w: a page of %q came", p.Scope, feed.ErrInvalid, page.Scope)
	}
	return page, nil
}

// cursor reads the page's cursor. One of another epoch than the last welcome's
// means that the hub has found out that it was put back: a hello brings the rest.
func (d *Downlink) cursor(p wire.FeedPage) (feed.Held, feed.Cursor, error) {
	c, err := feed.OpenCursor(p.Next, d.cfg.Hub)
	if err != nil {
		return feed.Held{}, c, err
	}
	if c.Scope != p.Scope {
		return feed.Held{}, c, fmt.Errorf("%w: the cursor is one of %s", feed.ErrInvalid, c.Scope)
	}
	d.mu.Lock()
	other := c.Epoch != d.epoch
	d.epoch = c.Epoch // asked for once
	d.mu.Unlock()
	if other {
		d.cfg.Again()
	}
	return feed.Held{Signed: p.Next, N: c.N, Mark: c.Mark}, c, nil
}

// apply checks a page that follows st, and puts it into the store.
func (d *Downlink) apply(ctx context.Context, st feed.State, p wire.FeedPage) (more bool, err error) {
	next, _, err := d.cursor(p)
	if err != nil {
		return false, fmt.Errorf("page of %s: %w", st.Scope, err)
	}
	page := feed.Page{Scope: st.Scope, From: st.Position(), Next: next, More: p.More}
	if p.After != page.From.N {
		return false, fmt.Errorf("page of %s: %w: it follows %d, and %d was asked for", st.Scope, feed.ErrInvalid, p.After, page.From.N)
	}
	if len(p.Body) > 0 {
		if page.Rows, err = feed.Unpack(page.From.N, p.Body); err != nil {
			return false, fmt.Errorf("page of %s: %w", st.Scope, err)
		}
	}
	last := page.From.N
	if n := len(page.Rows); n > 0 {
		last = page.Rows[n-1].N
	}
	if next.N < last || p.More && (next.N != last || len(page.Rows) == 0) {
		return false, fmt.Errorf("page of %s: %w: rows to %d and a cursor at %d", st.Scope, feed.ErrInvalid, last, next.N)
	}
	if page.Next.Position() == page.From && !st.Loading {
		return false, d.cfg.Store.ConfirmFeeds(ctx, []string{st.Scope})
	}
	if err := d.cfg.Store.ApplyPage(ctx, page); err != nil {
		return false, err
	}
	d.took(page)
	return p.More, nil
}

// took counts a page's rows, and hears of what only a hello brings.
func (d *Downlink) took(p feed.Page) {
	d.mu.Lock()
	d.pulled += len(p.Rows)
	d.mu.Unlock()
	if d.cfg.Applied != nil {
		d.cfg.Applied(p.Scope, len(p.Rows))
	}
	granted := func(r feed.Row) bool { return r.Kind == feed.Grant }
	if p.From.N > 0 && p.Scope == feed.ScopeOf(d.cfg.Device) && slices.ContainsFunc(p.Rows, granted) {
		d.cfg.Again()
	}
}

// resume goes back to the cursor that the hub names.
func (d *Downlink) resume(ctx context.Context, st feed.State, p wire.FeedPage) error {
	at, _, err := d.cursor(p)
	if err != nil {
		return fmt.Errorf("resume %s: %w", st.Scope, err)
	}
	d.cfg.Log.Warn("the hub was put back: a scope goes on from an earlier cursor", "scope", st.Scope, "from", st.Position().N, "to", at.N)
	if err = d.cfg.Store.ResumeFeed(ctx, st.Scope, at); errors.Is(err, d.cfg.Stale) {
		return nil
	}
	return err
}

// refetch asks for rows that a lost database sent.
func (d *Downlink) refetch(ctx context.Context, scope string, bytes uint32) error {
	names, all, err := d.cfg.Store.Doubtful(ctx, scope, wire.MaxNames)
	if err != nil {
		return err
	}
	st := d.cfg.Store.Feed(scope)
	got := feed.Fetched{Scope: scope, From: st.Position(), Asked: names, All: all}
	if len(names) > 0 {
		p := wire.Pull{Scope: scope, Bytes: bytes}
		for _, n := range names {
			p.Names = append(p.Names, wire.RowName{Slot: n.Slot, Key: n.Key})
		}
		page, err := d.ask(ctx, st, p, false)
		if err != nil || page.Turn != wire.Onward {
			return err // a turn: the next pull hears of it again
		}
		if got.Next, _, err = d.cursor(page); err != nil {
			return err
		}
		if len(page.Body) > 0 {
			if got.Rows, err = feed.Unpack(0, page.Body); err != nil {
				return err
			}
		}
		if n := int(page.Answered); n < len(names) {
			if n == 0 {
				return fmt.Errorf("rows of %s: %w: none was answered", scope, feed.ErrInvalid)
			}
			got.Asked, got.All = names[:n], false
		}
	}
	if err = d.cfg.Store.ApplyFetched(ctx, got); errors.Is(err, d.cfg.Stale) {
		return nil
	}
	return err
}
