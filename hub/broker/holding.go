package broker

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// holding is what a worker has fetched of a stream and not yet settled. One
// goroutine puts, one takes, one tells the server that the messages are still
// being worked on, so that waiting for the database counts as no attempt.
type holding struct {
	alert bool
	gate  *gate

	mu     sync.Mutex
	queue  []jetstream.Msg // fetched, in order
	inHand []jetstream.Msg // with the handler now
	ready  chan struct{}   // holds one: queue grew
	freed  chan struct{}   // holds one: something was settled
}

func newHolding(alert bool, g *gate) *holding {
	return &holding{alert: alert, gate: g, ready: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (h *holding) put(m jetstream.Msg) {
	h.mu.Lock()
	h.queue = append(h.queue, m)
	h.mu.Unlock()
	if h.alert {
		h.gate.add(1)
	}
	nudge(h.ready)
}

// awaitRoom waits until a good part of fetchAhead is free and returns how many
// messages fit; 0 when ctx ended.
func (h *holding) awaitRoom(ctx context.Context) int {
	for {
		h.mu.Lock()
		room := fetchAhead - len(h.queue) - len(h.inHand)
		h.mu.Unlock()
		if ctx.Err() != nil {
			return 0
		}
		if room >= fetchAhead/4 {
			return room
		}
		select {
		case <-h.freed:
		case <-ctx.Done():
		}
	}
}

// take waits for messages and, on the record stream, until no alert is at hand.
// nil: ctx ended.
func (h *holding) take(ctx context.Context, size Slice) []jetstream.Msg {
	for {
		if !h.alert {
			select {
			case <-h.gate.clear():
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if msgs := h.next(size); msgs != nil {
			return msgs
		}
		select {
		case <-h.ready:
		case <-ctx.Done():
		}
	}
}

func (h *holding) next(size Slice) []jetstream.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, bytes := 0, 0
	for n < len(h.queue) && n < size.Messages {
		bytes += len(h.queue[n].Data())
		if n > 0 && bytes > size.Bytes {
			break
		}
		n++
	}
	if n == 0 {
		return nil
	}
	h.inHand = h.queue[:n:n]
	h.queue = append([]jetstream.Msg(nil), h.queue[n:]...)
	return h.inHand
}

func (h *holding) settled(n int) {
	h.mu.Lock()
	h.inHand = nil
	h.mu.Unlock()
	if h.alert {
		h.gate.add(-n)
	}
	nudge(h.freed)
}

// keepAlive restarts the server's patience for everything held.
func (h *holding) keepAlive(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		held := append(append([]jetstream.Msg(nil), h.inHand...), h.queue...)
		h.mu.Unlock()
		for _, m := range held {
			// One that was settled meanwhile is refused by the library, which is right;
			// one that cannot be sent comes again and is a known copy.
			_ = m.InProgress()
		}
	}
}

// giveBack returns what was fetched and not handled, so that the next worker
// gets it at once.
func (h *holding) giveBack() {
	h.mu.Lock()
	queue := h.queue
	h.queue = nil
	h.mu.Unlock()
	for _, m := range queue {
		_ = m.Nak() // unsent it comes again after AckWait
	}
	if h.alert {
		h.gate.add(-len(queue))
	}
}

// gate keeps record workers waiting while alerts are at hand.
type gate struct {
	mu     sync.Mutex
	alerts int
	open   chan struct{} // closed when alerts falls to 0; nil while it is 0
}

var opened = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (g *gate) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alerts += n
	switch {
	case g.alerts > 0 && g.open == nil:
		g.open = make(chan struct{})
	case g.alerts == 0 && g.open != nil:
		close(g.open)
		g.open = nil
	}
}

// clear returns a channel that is closed once no alert is at hand.
func (g *gate) clear() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		return opened
	}
	return g.open
}
