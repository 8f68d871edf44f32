package enrol

import (
	"net/netip"
	"sync"
	"time"
)

// Wrong codes that are answered before an address, or all of them together, must wait.
const (
	addressBurst = 10
	addressEvery = 30 * time.Second // one more try
	globalBurst  = 200
	globalEvery  = 100 * time.Millisecond
	maxAddresses = 4096
)

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

// throttle slows down guessing. A code has 64 secret bits, so guessing is
// hopeless anyway; this keeps it from loading the database. Only wrong codes
// cost a try, so devices behind one router do not hinder one another.
type throttle struct {
	mu     sync.Mutex
	global bucket
	by     map[netip.Prefix]*bucket
}

func newThrottle(now time.Time) *throttle {
	return &throttle{global: bucket{tries: globalBurst, at: now}, by: map[netip.Prefix]*bucket{}}
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

// wait says how long this address must wait before its next try; 0: go on.
func (t *throttle) wait(remote string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.global.refill(now, globalBurst, globalEvery)
	if t.global.tries < 1 {
		return globalEvery
	}
	b := t.by[prefix(remote)]
	if b == nil {
		return 0
	}
	b.refill(now, addressBurst, addressEvery)
	if b.tries < 1 {
		return time.Duration((1 - b.tries) * float64(addressEvery))
	}
	return 0
}

// wrong counts a wrong code.
func (t *throttle) wrong(remote string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.global.refill(now, globalBurst, globalEvery)
	t.global.tries = max(0, t.global.tries-1)
	p := prefix(remote)
	b := t.by[p]
	if b == nil {
		t.makeRoom(now)
		b = &bucket{tries: addressBurst, at: now}
		t.by[p] = b
	}
	b.refill(now, addressBurst, addressEvery)
	b.tries = max(0, b.tries-1)
}

// makeRoom forgets addresses that are whole again; when there is none, any
// one: who can send from thousands of addresses meets the global limit.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.by) < maxAddresses {
		return
	}
	for p, b := range t.by {
		b.refill(now, addressBurst, addressEvery)
		if b.tries >= addressBurst {
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
