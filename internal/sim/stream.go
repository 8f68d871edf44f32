package sim

import (
	"sync"
	"time"

	"otor/internal/dot"
)

// message is a frame in custody.
type message struct {
	sender  dot.Device
	relayed bool
	frame   []byte
	visible time.Time // not handed out before
	inHand  bool
}

// stream keeps frames until a worker has dealt with them, as the hub's streams
// do: in order, one at a time, again after a while when nobody said that it is
// done. Frames stay through a crash of the hub.
type stream struct {
	bell chan struct{} // holds one: something may be there

	mu    sync.Mutex
	queue []*message
	away  bool // its server is down
}

// maxWaiting bounds a stream, in frames.
const maxWaiting = 1024

func newStream() *stream { return &stream{bell: make(chan struct{}, 1)} }

func (s *stream) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// put takes a frame into custody; false: it is refused.
func (s *stream) put(m message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || len(s.queue) >= maxWaiting {
		return false
	}
	s.queue = append(s.queue, &m)
	s.ring()
	return true
}

// ready counts the messages that may be handed out. When there is none, next is
// when one becomes visible; zero: nobody knows.
func (s *stream) ready() (n int, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, m := range s.queue {
		switch {
		case m.inHand:
		case !m.visible.After(now):
			n++
		case next.IsZero() || m.visible.Before(next):
			next = m.visible
		}
	}
	return n, next
}

// take hands out up to n messages.
func (s *stream) take(n int) (out []*message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, m := range s.queue {
		if !m.inHand && !m.visible.After(now) && len(out) < n {
			m.inHand = true
			out = append(out, m)
		}
	}
	return out
}

// done forgets a message.
func (s *stream) done(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queue {
		if q == m {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return
		}
	}
}

// again makes a message visible again after a while.
func (s *stream) again(m *message, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.inHand, m.visible = false, time.Now().Add(after)
	s.ring()
}

// orphaned returns what a dead worker held.
func (s *stream) orphaned(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.queue {
		if m.inHand {
			m.inHand, m.visible = false, time.Now().Add(after)
		}
	}
	s.ring()
}

// lose forgets everything, and says how much that was.
func (s *stream) lose() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.queue)
	s.queue = nil
	return n
}

// serve says whether its server is there.
func (s *stream) serve(there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = !there
}

// len is the number of messages that are not done.
func (s *stream) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}
