package server_test

import (
	"context"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
)

// unreleased reports whether a chain has something to release.
func unreleased(t *testing.T, s *server.Server, x *device) bool {
	t.Helper()
	ls, err := s.Store().LanesOf(t.Context(), x.chain.Device)
	check(t, err)
	for _, l := range ls {
		if l.Chain == x.chain {
			return ingest.Unreleased(l)
		}
	}
	return false
}

// heldOf counts the entries of a device that are held.
func heldOf(t *testing.T, s *server.Server, x *device) (n int) {
	t.Helper()
	for _, err := range s.Store().Entries(t.Context(), store.EntryQuery{Device: x.chain.Device, Verdict: store.Held}) {
		check(t, err)
		n++
	}
	return n
}

// More is held above a hole than one transaction releases. A hub that starts goes on with
// what the one before left, and goes on by itself when an operator seals a hole.
func TestTheHubGoesOnReleasing(t *testing.T) {
	s, _ := open(t)
	const last, each = 9_000, 3_000
	x, y := enrol(t, s, "D-101", last, time.Now().UnixMilli()), enrol(t, s, "D-102", last, time.Now().UnixMilli())
	for _, d := range []*device{x, y} {
		s.Take(t.Context(), []broker.Delivery{d.delivery(t, 2, each), d.delivery(t, each+1, 2*each), d.delivery(t, 2*each+1, last)})
		if n := heldOf(t, s, d); n != last-1 {
			t.Fatalf("%s: %d are held", d.chain, n)
		}
	}
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 1)})
	if n := heldOf(t, s, x); !unreleased(t, s, x) || n == 0 || n == last-1 {
		t.Fatalf("%d are held still", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	until := func(d *device) {
		t.Helper()
		for heldOf(t, s, d) > 0 {
			if t.Context().Err() != nil {
				t.Fatal("what is held stays held")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if unreleased(t, s, d) {
			t.Errorf("%s: nothing is held, and the lane says so", d.chain)
		}
	}
	until(x)
	check(t, s.Office().Seal(t.Context(), y.chain, lane.Run(1, 1), "the phone drowned"))
	until(y)
	cancel()
	check(t, <-ended)
}

// While what is held cannot be released that stays a finding, one, whatever other frames are
// taken meanwhile.
func TestWhatIsNotReleasedStaysAFinding(t *testing.T) {
	s, _ := open(t)
	const last, each = 9_000, 3_000
	x, y := enrol(t, s, "D-101", last, time.Now().UnixMilli()), enrol(t, s, "D-102", 4, time.Now().UnixMilli())
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 2, each), x.delivery(t, each+1, 2*each), x.delivery(t, 2*each+1, last), x.delivery(t, 1, 1)})
	if !unreleased(t, s, x) {
		t.Fatal("all is released")
	}
	f := &frail{}
	check(t, s.Wrap(func(under store.Store) store.Store { f.Store = under; return f }))
	f.locked.Store(&x.chain)
	tried := dot.Seq(0)
	s.Pause(func(context.Context, time.Duration) bool {
		if tried++; tried <= 4 {
			s.Take(t.Context(), []broker.Delivery{y.delivery(t, tried, tried)})
			if fs := findings(t, s.Store(), true); len(fs) != 1 || fs[0].ClosedAt != 0 {
				t.Errorf("after try %d: %+v", tried, fs)
			}
		} else {
			f.locked.Store(nil)
		}
		return true
	})
	running(t, s)
	soon(t, "what is held to be released", func() bool { return !unreleased(t, s, x) && heldOf(t, s, x) == 0 })
	soon(t, "the finding to be closed", func() bool { return len(findings(t, s.Store(), false)) == 0 })
	if tried < 5 || len(findings(t, s.Store(), true)) != 1 {
		t.Errorf("%d tries, findings %+v", tried, findings(t, s.Store(), true))
	}
}
