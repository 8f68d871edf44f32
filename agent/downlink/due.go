package downlink

import (
	"maps"
	"math"
	"slices"
	"time"

	"otor/internal/feed"
	"otor/internal/wire"
)

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
	// It may be told things by now. News that come too soon after others are told again.
	ask := moved && d.untold && scope == feed.ScopeOf(d.cfg.Device) && time.Since(d.asked) >= askAgain
	if ask {
		d.asked = time.Now()
	}
	d.mu.Unlock()
	if ask {
		d.cfg.Again()
	}
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

// drop gives up a scope that the hub does not give; none: it gives this life nothing at all by now.
func (d *Downlink) drop(scope string, none bool) {
	d.mu.Lock()
	delete(d.due, scope)
	delete(d.told, scope)
	d.mu.Unlock()
	if none {
		d.toldNothing()
	}
}

// toldNothing notes that the hub tells this life nothing until somebody has confirmed it.
func (d *Downlink) toldNothing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.grant, d.untold = nil, true
}
