package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"otor/agent/downlink"
	"otor/agent/store"
	hubfeed "otor/hub/feed"
	hubstore "otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/wire"
)

// scopes are what devices may be granted.
var scopes = []string{"team", "north", "south"}

// serveFeeds answers pulls and tells news, as the hub's server does.
func (l *life) serveFeeds(db *sqlite.Store) {
	l.feeds = &hubfeed.Desk{
		Store: l.ledger, Key: l.hub.key, Epoch: l.epochs.Epoch, Rewound: l.epochs.Rewound, Now: l.hub.clock.now, Log: l.hub.w.log,
		NoMarks: l.hub.w.cfg.Control == NoMarks, UplinkOnly: l.uplinkOnly,
	}
	l.desk.Heads = l.feeds.Heads
	db.OnPublish(func(moved []string) {
		for _, scope := range moved {
			l.moved(scope)
		}
	})
}

// moved tells that a scope moved, and again as the hub's herald does, unless it has moved since;
// each time with a fate of its own.
func (l *life) moved(scope string) {
	l.mu.Lock()
	if l.moves == nil {
		l.moves = make(map[string]int)
	}
	l.moves[scope]++
	n := l.moves[scope]
	l.mu.Unlock()
	tell := func() {
		if after, lost := l.hub.w.fate(scope, l.hub.clock.now()); !lost {
			l.hub.w.later(after, func() { l.news(scope) })
		}
	}
	tell()
	var wait time.Duration
	for _, again := range hubfeed.TellAgain() {
		wait += again
		l.hub.w.later(wait, func() {
			l.mu.Lock()
			still := l.moves[scope] == n
			l.mu.Unlock()
			if still {
				tell()
			}
		})
	}
}

// fate says how long a piece of news takes, and whether it gets lost: by what it
// is about, since whoever commits may do so at the same moment as another.
func (w *world) fate(scope string, at time.Time) (after time.Duration, lost bool) {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, w.cfg.Seed, scope, at.UnixNano()) // a hash takes everything
	n := h.Sum64()
	return time.Millisecond + time.Duration(n>>8%300_000_000), n%8 == 0 && !w.quietFeeds() && !(w.cfg.Patient && w.calmed.Load())
}

func (l *life) news(scope string) {
	if !l.ledger.alive() {
		return
	}
	heads, err := l.ledger.FeedHeads(context.Background(), []string{scope})
	if err != nil {
		return // the hub has ended meanwhile
	}
	b, err := wire.Marshal(wire.FeedNews{N: heads[0].N, Mark: heads[0].Mark})
	if err != nil {
		l.hub.w.violate("news cannot be encoded: %v", err)
		return
	}
	for _, d := range l.hub.w.folders() {
		if !strings.HasPrefix(scope, feed.ScopeOf("")) || scope == feed.ScopeOf(d.id) { // its credentials permit no other's
			d.net.news(scope, b)
		}
	}
}

// news brings a device what the hub says of a scope.
func (n *network) news(scope string, b []byte) {
	n.mu.Lock()
	p, dark := n.proc, n.dark
	n.mu.Unlock()
	if p != nil && !dark {
		p.down.TakeNews(wire.News(scope), b)
	}
}

// pull answers a device; nil: there is no answer.
func (h *hub) pull(ctx context.Context, d dot.Device, b []byte) []byte {
	l := h.current()
	if l == nil {
		return nil
	}
	p, err := l.feeds.Pull(ctx, d, b)
	switch {
	case !l.ledger.alive() || errors.Is(err, errAway) || ctx.Err() != nil:
		return nil
	case err != nil:
		h.w.violate("a pull of %s was not answered although the database is well: %v", d, err)
		return nil
	}
	out, err := wire.Marshal(p)
	if err != nil {
		h.w.violate("a page cannot be encoded: %v", err)
	}
	return out
}

// puller is a device's way to pull. Owner: the one session that pulls.
type puller struct {
	n    *network
	dice dice
	last []byte // the answer before
}

// Pull implements downlink.Port. Requests and answers get lost, and an answer
// may be an earlier one.
func (p *puller) Pull(ctx context.Context, q wire.Pull) (wire.FeedPage, error) {
	b, err := wire.Marshal(q)
	if err != nil {
		return wire.FeedPage{}, err
	}
	if err := p.n.tripBy(ctx, "pull", p.dice); err != nil {
		return wire.FeedPage{}, err
	}
	reply := p.n.w.hub.pull(ctx, p.n.dev.id, b)
	if reply == nil {
		<-ctx.Done()
		return wire.FeedPage{}, ctx.Err()
	}
	if p.last != nil && p.dice.is(0.05) {
		reply = p.last
	} else {
		p.last = reply
	}
	if err := p.n.tripBy(ctx, "page", p.dice); err != nil {
		return wire.FeedPage{}, err
	}
	page, err := wire.Unmarshal[wire.FeedPage](reply)
	if err == nil && page.Refused != nil && page.Refused.Code != "not_granted" &&
		(page.Refused.Code != "uplink_only" || p.n.w.isPlain(p.n.dev.id)) {
		p.n.w.violate("%s may not pull %s: %v", p.n.dev.name, q.Scope, page.Refused)
	}
	return page, err
}

// downlink wires the room as agent/device does.
func (d *device) downlink(p *process) *downlink.Downlink {
	name := fmt.Sprintf("pulls of %s %d", d.name, d.starts)
	var base downlink.Store = counting{p.store, d}
	if d.w.cfg.Control == CursorFirst {
		base = cursorFirst{base}
	}
	own := newDice(d.w.cfg.Seed, "budget of "+name)
	return downlink.New(downlink.Config{
		Device: d.id, Incarnation: p.store.Current, Store: base, Port: &puller{n: d.net, dice: newDice(d.w.cfg.Seed, name)},
		Hub: d.w.hub.key.Public(), Stale: store.ErrStale, Again: p.uplink.Again, Log: d.w.log,
		Left: func() (uint64, bool) { return uint64(200 + own.IntN(4000)), true }, //nolint:gosec // not negative
	})
}

// pulls keeps sessions going while the connection stands.
func (d *device) pulls(ctx context.Context, p *process) {
	for ctx.Err() == nil {
		if _, err := p.down.Session(ctx, nil); err != nil && ctx.Err() == nil {
			d.w.violate("%s: pulling gave up: %v", d.name, err)
			return
		}
	}
}

// counting counts what a device does with pages.
type counting struct {
	*store.Store
	d *device
}

func (c counting) ApplyPage(ctx context.Context, p feed.Page) error {
	err := c.Store.ApplyPage(ctx, p)
	if err == nil {
		c.d.w.did("pulls of "+c.d.name, func(w *Work) { w.Pages++ }, "%s %d to %d, %d rows", p.Scope, p.From.N, p.Next.N, len(p.Rows))
	}
	return err
}

func (c counting) ResumeFeed(ctx context.Context, scope string, at feed.Held) error {
	c.d.w.did("pulls of "+c.d.name, func(w *Work) { w.Turns++ }, "%s resumes at %d", scope, at.N)
	return c.Store.ResumeFeed(ctx, scope, at)
}

func (c counting) RebaseFeed(ctx context.Context, scope string) error {
	c.d.w.did("pulls of "+c.d.name, func(w *Work) { w.Turns++ }, "%s anew", scope)
	return c.Store.RebaseFeed(ctx, scope)
}

// cursorFirst stores a page's cursor before its rows.
type cursorFirst struct{ downlink.Store }

func (c cursorFirst) ApplyPage(ctx context.Context, p feed.Page) error {
	bare := p
	bare.Rows = nil
	if err := c.Store.ApplyPage(ctx, bare); err != nil || len(p.Rows) == 0 {
		return err
	}
	if !sleep(ctx, 2*time.Second) {
		return ctx.Err()
	}
	p.From = p.Next.Position()
	return c.Store.ApplyPage(ctx, p)
}

// publish changes a few things in one scope, as merges and operators do.
func (h *hub) publish(ctx context.Context) error {
	l, d := h.current(), h.w.dice
	if l == nil || h.w.quietFeeds() {
		return nil
	}
	scope := append([]string{feed.Everybody}, scopes...)[d.IntN(1+len(scopes))]
	changes := make([]hubstore.FeedChange, 1+d.IntN(6))
	for i := range changes {
		h.rev++
		changes[i] = hubstore.FeedChange{
			Scope: scope, Kind: feed.Entity, Key: fmt.Sprintf("%s/H-%d", madeUp, d.IntN(12)), Rev: h.rev,
			Body: []byte(strings.Repeat(fmt.Sprintf("state %d ", h.rev), 1+d.IntN(40))),
		}
		if d.is(0.25) {
			changes[i].Kind, changes[i].Body = feed.Gone, nil
		}
	}
	err := l.ledger.Ingest(ctx, func(tx hubstore.Tx) error { return tx.Publish(h.clock.now().UnixMilli(), changes...) })
	return h.published(err, scope, len(changes))
}

func (h *hub) published(err error, scope string, n int) error {
	if errors.Is(err, errDead) || errors.Is(err, errAway) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("publish in %s: %w", scope, err)
	}
	h.w.did("author", func(w *Work) { w.Published += n }, "publishes %d in %s", n, scope)
	return nil
}

// regrant gives a device other scopes.
func (h *hub) regrant(ctx context.Context, id dot.Device) error {
	l, d := h.current(), h.w.dice
	if l == nil || h.w.quietFeeds() {
		return nil
	}
	var granted []string
	for _, s := range scopes {
		if d.is(0.6) {
			granted = append(granted, s)
		}
	}
	err := l.ledger.Ingest(ctx, func(tx hubstore.Tx) error { return hubstore.Grant(tx, h.clock.now().UnixMilli(), id, granted) })
	return h.published(err, feed.ScopeOf(id), 1)
}

// collect forgets what went away a minute ago: for a run that is long.
func (h *hub) collect(ctx context.Context) error {
	l := h.current()
	if l == nil || h.w.quietFeeds() {
		return nil
	}
	if _, err := l.ledger.CollectFeeds(ctx, h.clock.now().Add(-time.Minute).UnixMilli()); err != nil && l.ledger.alive() {
		return fmt.Errorf("collect feeds: %w", err)
	}
	return nil
}

// endLinks ends, every two minutes, the links of devices that do not have all, unless the run is
// patient: news may have got lost, and no link stands for ever. Of a new epoch a device
// that has nothing to send hears with its next hello alone, in a patient run too.
func (w *world) endLinks(ctx context.Context, since time.Duration) {
	if since/askEvery%24 != 23 || w.hub.current() == nil || w.quietFeeds() {
		return
	}
	for _, d := range w.devices {
		if d.proc != nil && (!w.cfg.Patient && w.behind(ctx, d) != "" || w.elsewhere(d)) {
			d.hangUp()
		}
	}
}

// elsewhere reports whether a device goes by another epoch than the hub. A hello that got
// lost leaves it there until the next: with nothing to send it has lost nothing, but a folder
// of which there are several may not know yet that the hub has another's history.
func (w *world) elsewhere(d *device) bool {
	w.mu.Lock()
	speaks := w.speaks
	w.mu.Unlock()
	return !w.quietFeeds() && !speaks.IsZero() && d.goesBy(d.proc.store) != speaks
}

// quietFeeds says that nobody publishes and no news get lost. News of a hub that
// was put back make devices notice it, and would hide what [NoCall] is about.
func (w *world) quietFeeds() bool { return w.cfg.Control == NoCall }

// behind names a scope of which a device does not have all; "" when there is none.
func (w *world) behind(ctx context.Context, d *device) string {
	l := w.hub.current()
	dev, err := l.ledger.Device(ctx, d.id)
	if err != nil {
		return err.Error()
	}
	may := feed.Scopes(d.id, dev.Scopes)
	heads, err := l.ledger.FeedHeads(ctx, may)
	if err != nil {
		return err.Error()
	}
	held := d.proc.store.Feeds()
	if len(held) != len(may) {
		return "what it is granted"
	}
	for _, h := range heads {
		st := d.proc.store.Feed(h.Scope)
		if st.Loading || st.Doubt || (st.Position() != feed.Position{N: h.N, Mark: h.Mark}) {
			if w.cfg.Control != NoMarks || st.Position().N < h.N {
				return fmt.Sprintf("%s: it is at %d %x (loading %t, in doubt %t), the hub at %d %x", h.Scope, st.Position().N, st.Position().Mark, st.Loading, st.Doubt, h.N, h.Mark)
			}
		}
	}
	return ""
}

// checkBase holds what a device shows against the hub's rows of its scopes,
// byte for byte.
func (w *world) checkBase(ctx context.Context, d *device, l *ledger) error {
	dev, err := l.Device(ctx, d.id)
	if err != nil {
		return err
	}
	for _, scope := range feed.Scopes(d.id, dev.Scopes) {
		p, err := l.Feed(ctx, scope, 0, 1<<30)
		if err != nil || p.More {
			return errors.Join(err, errIf(p.More, "a feed has more rows than a run can make"))
		}
		want := slices.DeleteFunc(p.Rows, func(r feed.Row) bool { return r.Kind == feed.Gone })
		var got []feed.Row
		for slot := feed.Entity; slot <= feed.Form; slot++ {
			for r, err := range d.proc.store.Rows(ctx, scope, slot, "") {
				if err != nil {
					return err
				}
				got = append(got, r)
			}
		}
		slices.SortFunc(got, func(a, b feed.Row) int { return int(a.N) - int(b.N) })
		same := func(a, b feed.Row) bool {
			return a.N == b.N && a.Kind == b.Kind && a.Key == b.Key && a.Rev == b.Rev && bytes.Equal(a.Body, b.Body)
		}
		if !slices.EqualFunc(got, want, same) {
			w.violate("%s shows %d rows of %s and the hub has %d: %s and %s", d.name, len(got), scope, len(want), places(got), places(want))
		}
	}
	return nil
}

func errIf(so bool, words string) error {
	if so {
		return errors.New(words)
	}
	return nil
}

func places(rows []feed.Row) string {
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%s@%d/%d", r.Key, r.N, r.Rev))
	}
	return strings.Join(out, " ")
}
