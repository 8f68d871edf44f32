package uplink

import (
	"slices"
	"sync"
)

// rounds are the latest rounds of calls that were heard: several, since hubs that share
// a database call each for itself.
type rounds struct {
	mu     sync.Mutex
	latest [8]uint64 // owner: mu; 0 is no round
	next   int
}

// first reports whether a round was not heard before.
func (r *rounds) first(round uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.latest[:], round) {
		return false
	}
	r.latest[r.next] = round
	r.next = (r.next + 1) % len(r.latest)
	return true
}
