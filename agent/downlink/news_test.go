package downlink_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"otor/agent/downlink"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

var errStale = errors.New("late")

// placed is a store that keeps nothing of a scope but where it is.
type placed struct {
	bare
	at map[string]feed.Position
}

func (p placed) Feed(scope string) feed.State {
	at := p.at[scope]
	return feed.State{Scope: scope, Cursors: []feed.Held{{N: at.N, Mark: at.Mark}}}
}

func (p placed) ApplyPage(_ context.Context, page feed.Page) error {
	p.at[page.Scope] = page.Next.Position()
	return nil
}

// moving is a hub whose scope is at n. While it answers, something happens.
type moving struct {
	t     *testing.T
	key   identity.SigningKey
	store placed
	n     uint64
	pulls int
	while func(pull int)
	rows  []feed.Row // that its pages have
}

func (m *moving) Pull(_ context.Context, p wire.Pull) (wire.FeedPage, error) {
	next, err := feed.Cursor{Epoch: receipt.Epoch{1}, Scope: p.Scope, N: m.n}.Sign(m.key)
	if err != nil {
		m.t.Fatal(err)
	}
	page := wire.FeedPage{Scope: p.Scope, Turn: wire.Onward, After: m.store.at[p.Scope].N, Next: next}
	if len(m.rows) > 0 {
		if page.Body, err = feed.Pack(page.After, m.rows); err != nil {
			m.t.Fatal(err)
		}
	}
	m.pulls++
	m.while(m.pulls)
	return page, nil
}

// News that comes while its scope is pulled is not forgotten when that pull ends, nor
// when a welcome comes that is older; news of what the pull brings asks for nothing.
func TestNewsWhileAPullIsUnderWay(t *testing.T) {
	key, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := feed.ScopeOf("D-101")
	for name, c := range map[string]struct {
		while func(d *downlink.Downlink, m *moving)
		want  uint64 // where the device is then
		pulls int
	}{
		"nothing":              {func(*downlink.Downlink, *moving) {}, 3, 1},
		"of what it brings":    {func(d *downlink.Downlink, m *moving) { tell(t, d, own, m.n) }, 3, 1},
		"of more":              {func(d *downlink.Downlink, m *moving) { m.n = 5; tell(t, d, own, 5) }, 5, 2},
		"of more, two times":   {func(d *downlink.Downlink, m *moving) { m.n = 5; tell(t, d, own, 4); tell(t, d, own, 5) }, 5, 2},
		"without saying where": {func(d *downlink.Downlink, m *moving) { m.n = 5; d.Due(own) }, 5, 2},
		"and an older welcome": {func(d *downlink.Downlink, m *moving) { m.n = 5; tell(t, d, own, 5); greet(t, d, own, 3) }, 5, 2},
	} {
		t.Run(name, func(t *testing.T) {
			store := placed{at: map[string]feed.Position{}}
			hub := &moving{t: t, key: key, store: store, n: 3}
			d := downlink.New(downlink.Config{
				Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: store, Port: hub, Hub: key.Public(),
				Stale: errStale, Again: func() {}, Log: slog.New(slog.DiscardHandler),
			})
			hub.while = func(pull int) {
				if pull == 1 {
					c.while(d, hub)
				}
			}
			greet(t, d, own, 3)
			finish := make(chan struct{})
			close(finish)
			if _, err := d.Session(t.Context(), finish); err != nil {
				t.Fatal(err)
			}
			if got := store.at[own].N; got != c.want || hub.pulls != c.pulls {
				t.Errorf("the device is at %d after %d pulls, want %d after %d", got, hub.pulls, c.want, c.pulls)
			}
		})
	}
}

// What becomes due before the session is asked to finish is pulled, at whatever moment that
// is; here it is when the session has just seen that nothing is due.
func TestDueAtTheLastMoment(t *testing.T) {
	key, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := feed.ScopeOf("D-101")
	store := placed{at: map[string]feed.Position{own: {N: 3}}}
	hub := &moving{t: t, key: key, store: store, n: 3, while: func(int) {}}
	var d *downlink.Downlink
	finish := make(chan struct{})
	looks := 0
	d = downlink.New(downlink.Config{
		Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: store, Port: hub, Hub: key.Public(),
		Stale: errStale, Again: func() {}, Log: slog.New(slog.DiscardHandler),
		Left: func() (uint64, bool) {
			if looks++; looks == 1 {
				hub.n = 5
				d.Due(own)
				close(finish)
			}
			return 1 << 20, true
		},
	})
	greet(t, d, own, 3)
	if _, err := d.Session(t.Context(), finish); err != nil {
		t.Fatal(err)
	}
	if got := store.at[own].N; got != 5 {
		t.Errorf("the device is at %d after its session, want 5", got)
	}
}

func greet(t *testing.T, d *downlink.Downlink, scope string, n uint64) {
	t.Helper()
	if err := d.Welcomed(t.Context(), wire.Welcome{Heads: []wire.ScopeAt{{Scope: scope, N: n}}}, receipt.Epoch{1}); err != nil {
		t.Fatal(err)
	}
}

func tell(t *testing.T, d *downlink.Downlink, scope string, n uint64) {
	t.Helper()
	b, err := wire.Marshal(wire.FeedNews{N: n})
	if err != nil {
		t.Fatal(err)
	}
	d.TakeNews(wire.News(scope), b)
}

// A life that the last welcome gave nothing hears by its own scope's news that it may be told
// things by now, and asks; not for each piece of news, and not once it was told.
func TestNewsToOneThatWasToldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, asked := feed.ScopeOf("D-101"), 0
		d := downlink.New(downlink.Config{
			Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: placed{at: map[string]feed.Position{}},
			Stale: errStale, Again: func() { asked++ }, Log: slog.New(slog.DiscardHandler),
		})
		is := func(what string, want int) {
			t.Helper()
			if asked != want {
				t.Errorf("%s: asked %d times, want %d", what, asked, want)
			}
		}
		greet(t, d, own, 2)
		tell(t, d, own, 3)
		is("told things", 0)
		if err := d.Welcomed(t.Context(), wire.Welcome{}, receipt.Epoch{1}); err != nil {
			t.Fatal(err)
		}
		tell(t, d, "team", 1)
		is("another scope", 0)
		tell(t, d, own, 4)
		tell(t, d, own, 5)
		is("two at once", 1)
		time.Sleep(time.Minute)
		tell(t, d, own, 5)
		is("later", 2)
		greet(t, d, own, 5)
		time.Sleep(time.Minute)
		tell(t, d, own, 6)
		is("told things again", 2)
	})
}

// A grant that is another than the welcome's makes the device ask how far its scopes go,
// also where its own scope is loaded for the first time; the welcome's own grant does not.
func TestAGrantOfAfterTheWelcome(t *testing.T) {
	key, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := feed.ScopeOf("D-101")
	for name, c := range map[string]struct {
		welcome, row []string
		want         int
	}{
		"the same":     {[]string{"team"}, []string{"team"}, 0},
		"none yet":     {nil, []string{"team"}, 1},
		"one more":     {[]string{"team"}, []string{"team", "north"}, 1},
		"one was lost": {[]string{"team"}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := feed.EncodeGrant(c.row)
			if err != nil {
				t.Fatal(err)
			}
			store := placed{at: map[string]feed.Position{}}
			hub := &moving{t: t, key: key, store: store, n: 3, while: func(int) {}, rows: []feed.Row{{N: 2, Kind: feed.Grant, Key: feed.GrantKey, Body: body}}}
			asked := 0
			d := downlink.New(downlink.Config{
				Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: store, Port: hub, Hub: key.Public(),
				Stale: errStale, Again: func() { asked++ }, Log: slog.New(slog.DiscardHandler),
			})
			if err := d.Welcomed(t.Context(), wire.Welcome{Scopes: c.welcome, Heads: []wire.ScopeAt{{Scope: own, N: 3}}}, receipt.Epoch{1}); err != nil {
				t.Fatal(err)
			}
			finish := make(chan struct{})
			close(finish)
			if _, err := d.Session(t.Context(), finish); err != nil {
				t.Fatal(err)
			}
			if asked != c.want || store.at[own].N != 3 {
				t.Errorf("asked %d times, want %d; the device is at %d", asked, c.want, store.at[own].N)
			}
		})
	}
}

// refusing is a hub that gives a life nothing any more.
type refusing struct{ code string }

func (r refusing) Pull(context.Context, wire.Pull) (wire.FeedPage, error) {
	return wire.FeedPage{Refused: &wire.Refusal{Code: r.code, What: "nothing for this life"}}, nil
}

// One that was welcomed, and is refused all the same, hears by news of its own scope when
// that has changed; what was due then comes with the next welcome.
func TestRefusedAfterTheWelcome(t *testing.T) {
	for code, want := range map[string]int{"uplink_only": 1, "not_granted": 0} {
		own, asked := feed.ScopeOf("D-101"), 0
		d := downlink.New(downlink.Config{
			Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: placed{at: map[string]feed.Position{}}, Port: refusing{code},
			Stale: errStale, Again: func() { asked++ }, Log: slog.New(slog.DiscardHandler),
		})
		greet(t, d, own, 3)
		finish := make(chan struct{})
		close(finish)
		if _, err := d.Session(t.Context(), finish); err != nil {
			t.Fatal(err)
		}
		tell(t, d, own, 4)
		if asked != want {
			t.Errorf("%s: asked %d times, want %d", code, asked, want)
		}
	}
}

// A refusal of another scope, which came late, is none of this one.
func TestALateRefusalOfAnotherScope(t *testing.T) {
	key, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := feed.ScopeOf("D-101")
	store := placed{at: map[string]feed.Position{}}
	hub := &late{moving: moving{t: t, key: key, store: store, n: 3, while: func(int) {}}}
	synctest.Test(t, func(t *testing.T) {
		d := downlink.New(downlink.Config{
			Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: store, Port: hub, Hub: key.Public(),
			Stale: errStale, Again: func() {}, Log: slog.New(slog.DiscardHandler),
		})
		greet(t, d, own, 3)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if _, err := d.Session(ctx, make(chan struct{})); !errors.Is(err, context.DeadlineExceeded) || store.at[own].N != 3 {
			t.Errorf("the device is at %d, want 3: %v", store.at[own].N, err)
		}
	})
}

// late answers its first pull with what another one was told.
type late struct {
	moving
	came bool
}

func (l *late) Pull(ctx context.Context, p wire.Pull) (wire.FeedPage, error) {
	if !l.came {
		l.came = true
		return wire.FeedPage{Scope: "team", Refused: &wire.Refusal{Code: "not_granted", What: "the device is not granted this scope"}}, nil
	}
	return l.moving.Pull(ctx, p)
}
