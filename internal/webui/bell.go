package webui

import "sync"

// Bell tells any number of listeners that something changed. It says that,
// never what: a listener that was busy hears one ring for all that it missed.
// The zero value is ready; it is safe for concurrent use and never blocks the
// one who rings.
type Bell struct {
	mu        sync.Mutex
	listeners map[chan struct{}]struct{} // guarded by mu
}

// Ring signals every listener.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.listeners {
		select {
		case c <- struct{}{}:
		default: // it already has one ring to look at
		}
	}
}

// Listen returns a channel that receives after each change, and a function
// that ends it. The channel is never closed.
func (b *Bell) Listen() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners == nil {
		b.listeners = make(map[chan struct{}]struct{})
	}
	b.listeners[c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.listeners, c)
	}
}
