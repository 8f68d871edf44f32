// Package throttle slows down guessing.
//
// Whoever guesses wrong pays with a try; tries come back one by one. An address
// has its own, and all addresses together have some more, so that somebody with
// thousands of addresses meets a limit as well. Right guesses cost nothing, so
// many people behind one router do not hinder one another.
//
//   - [Throttle] counts; [Limits] says how much is let through.
package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// Limits say how many wrong guesses are answered before an address, or all of
// them together, must wait, and after how long one more is.
type Limits struct {
	Burst       int
	Every       time.Duration
	GlobalBurst int
	GlobalEvery time.Duration
}

// Usual are the limits for secrets that people type.
var Usual = Limits{Burst: 10, Every: 30 * time.Second, GlobalBurst: 200, GlobalEvery: 100 * time.Millisecond}

// maxAddresses bounds what is remembered.
const maxAddresses = 4096

// bucket holds tries; one comes back each interval.
type bucket struct {
	tries float64
	at    time.Time
}

func (b *bucket) refill(now time.Time, burst float64, every time.Duration) {
	if d := now.Sub(b.at); d > 0 {
		b.tries = min(burst, b.tries+float64(d)/float64(every))
	}
	b.at = now
}

// Throttle counts wrong guesses by address. It is safe for concurrent use.
type Throttle struct {
	limits Limits

	mu     sync.Mutex // guards the following
	global bucket
	by     map[netip.Prefix]*bucket
}

// New returns a Throttle that has seen nothing yet.
func New(l Limits, now time.Time) *Throttle {
	return &Throttle{limits: l, global: bucket{tries: float64(l.GlobalBurst), at: now}, by: map[netip.Prefix]*bucket{}}
}

// prefix takes an IPv6 host's whole network for one address.
func prefix(remote string) netip.Prefix {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Wait says how long the address, as host:port, must wait before its next try; 0: go on.
func (t *Throttle) Wait(remote string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.global.refill(now, float64(t.limits.GlobalBurst), t.limits.GlobalEvery)
	if t.global.tries < 1 {
		return t.limits.GlobalEvery
	}
	b := t.by[prefix(remote)]
	if b == nil {
		return 0
	}
	b.refill(now, float64(t.limits.Burst), t.limits.Every)
	if b.tries < 1 {
		return time.Duration((1 - b.tries) * float64(t.limits.Every))
	}
	return 0
}

// Wrong counts a wrong guess.
func (t *Throttle) Wrong(remote string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.global.refill(now, float64(t.limits.GlobalBurst), t.limits.GlobalEvery)
	t.global.tries = max(0, t.global.tries-1)
	p := prefix(remote)
	b := t.by[p]
	if b == nil {
		t.makeRoom(now)
		b = &bucket{tries: float64(t.limits.Burst), at: now}
		t.by[p] = b
	}
	b.refill(now, float64(t.limits.Burst), t.limits.Every)
	b.tries = max(0, b.tries-1)
}

// makeRoom forgets addresses that are whole again; when there is none, any
// one: who can send from thousands of addresses meets the global limit.
func (t *Throttle) makeRoom(now time.Time) {
	if len(t.by) < maxAddresses {
		return
	}
	for p, b := range t.by {
		b.refill(now, float64(t.limits.Burst), t.limits.Every)
		if b.tries >= float64(t.limits.Burst) {
			delete(t.by, p)
		}
	}
	for p := range t.by {
		if len(t.by) < maxAddresses {
			return
		}
		delete(t.by, p)
	}
}
