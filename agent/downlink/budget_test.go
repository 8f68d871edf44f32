package downlink_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"otor/agent/downlink"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// bare is a store that has nothing yet; what this test does not touch is missing.
type bare struct{ downlink.Store }

func (bare) Feed(scope string) feed.State                     { return feed.State{Scope: scope} }
func (bare) Sick() []string                                   { return nil }
func (bare) Sweep(context.Context) error                      { return nil }
func (bare) GrantScopes(_ context.Context, _ []string) error  { return nil }
func (bare) ConfirmFeeds(_ context.Context, _ []string) error { return nil }
func (bare) RebaseFeed(_ context.Context, _ string) error     { return nil }

// asked is a hub that notes what it is asked for, and gives nothing.
type asked struct{ bytes []uint32 }

func (a *asked) Pull(_ context.Context, p wire.Pull) (wire.FeedPage, error) {
	a.bytes = append(a.bytes, p.Bytes)
	return wire.FeedPage{}, &wire.Refusal{Code: "not_granted", What: "no"}
}

// A pull asks for no more than the budget has left, and for nothing when it is spent.
func TestBudget(t *testing.T) {
	for name, c := range map[string]struct {
		left func() (uint64, bool)
		want []uint32
	}{
		"no budget": {nil, []uint32{0}},
		"no bound":  {func() (uint64, bool) { return 0, false }, []uint32{0}},
		"some left": {func() (uint64, bool) { return 700, true }, []uint32{700}},
		"much left": {func() (uint64, bool) { return 1 << 40, true }, []uint32{1<<32 - 1}},
		"none left": {func() (uint64, bool) { return 0, true }, nil},
	} {
		hub := &asked{}
		d := downlink.New(downlink.Config{
			Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: bare{}, Port: hub, Left: c.left,
			Again: func() {}, Log: slog.New(slog.DiscardHandler),
		})
		own := feed.ScopeOf("D-101")
		if err := d.Welcomed(t.Context(), wire.Welcome{Heads: []wire.ScopeAt{{Scope: own, N: 3}}}, receipt.Epoch{1}); err != nil {
			t.Fatal(err)
		}
		finish := make(chan struct{})
		close(finish)
		if _, err := d.Session(t.Context(), finish); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(hub.bytes) != len(c.want) || len(c.want) > 0 && hub.bytes[0] != c.want[0] {
			t.Errorf("%s: asked for %v bytes, want %v", name, hub.bytes, c.want)
		}
	}
}

// A day's budget is used up while a scope is due, and the link stands: the scope is
// pulled soon after midnight. While nothing is due, nothing wakes for it.
func TestANewDaysBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		midnight, looks := time.Now().Add(3*time.Hour), 0
		hub := &asked{}
		d := downlink.New(downlink.Config{
			Device: "D-101", Incarnation: func() dot.Incarnation { return 1 }, Store: bare{}, Port: hub,
			Left: func() (uint64, bool) {
				looks++
				if time.Now().Before(midnight) {
					return 0, true
				}
				return 700, true
			},
			Again: func() {}, Log: slog.New(slog.DiscardHandler),
		})
		if err := d.Welcomed(t.Context(), wire.Welcome{Heads: []wire.ScopeAt{{Scope: feed.ScopeOf("D-101"), N: 3}}}, receipt.Epoch{1}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			_, _ = d.Session(ctx, nil) // ends with ctx
			close(ended)
		}()
		time.Sleep(time.Until(midnight) - time.Second)
		if len(hub.bytes) != 0 {
			t.Errorf("pulled %v before midnight", hub.bytes)
		}
		time.Sleep(11 * time.Minute)
		if len(hub.bytes) != 1 {
			t.Errorf("pulled %v after midnight", hub.bytes)
		}
		before := looks
		time.Sleep(24 * time.Hour)
		if looks != before {
			t.Errorf("looked %d times with nothing due", looks-before)
		}
		cancel()
		<-ended
	})
}
