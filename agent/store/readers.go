package store

import (
	"sync"
	"time"
)

// readers counts who reads the database. Its tables are memory maps: they must not go
// away under a reader, which would end the process.
type readers struct {
	mu      sync.Mutex
	n       int
	closing bool
	gone    chan struct{} // closed once closing, and nobody reads
}

// enter lets a reader in; false: the database closes. One that reads within another
// read is turned away as well, so that the other comes to its end.
func (r *readers) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.n++
	return true
}

func (r *readers) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.closing {
		close(r.gone)
	}
}

// ending is asked by who reads much: true tells to stop.
func (r *readers) ending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing
}

// end lets nobody in any more and waits until all have left, but not for ever: one who
// does not take what it asked for must not keep a program from ending.
func (r *readers) end(most time.Duration) (left bool) {
	r.mu.Lock()
	r.closing, r.gone = true, make(chan struct{})
	if r.n == 0 {
		close(r.gone)
	}
	gone := r.gone
	r.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-gone:
		return true
	case <-timer.C:
		return false
	}
}
