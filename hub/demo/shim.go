package demo

import (
	"sync"

	"otor/internal/batch"
	"otor/internal/dot"
)

// shim stands between a device's uplink and its link. It withholds entries
// until the scenario lets them through, keeps those that will be replayed in
// frames of their own, and remembers every frame that was sent.
type shim struct {
	mu     sync.Mutex
	groups map[dot.Dot]int // let through, and with whom
	frames map[dot.Dot][]byte
	next   int
}

func newShim() *shim {
	return &shim{groups: make(map[dot.Dot]int), frames: make(map[dot.Dot][]byte)}
}

// letThrough opens the gate for entries, in one group or each alone.
func (s *shim) letThrough(alone map[dot.Dot]bool, dots []dot.Dot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	group := s.next
	for _, d := range dots {
		s.groups[d] = group
		if alone[d] {
			s.next++
			s.groups[d] = s.next
		}
	}
}

// gate implements uplink.Gate.
func (s *shim) gate(d dot.Dot) (open bool, group int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	group, open = s.groups[d]
	return open, group
}

// tap remembers a frame under each of its entries.
func (s *shim) tap(_ dot.Lane, frame []byte) {
	f, err := batch.Open(frame)
	if err != nil {
		return // uplink sends no such frame
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for q := f.Header.Run.First; q <= f.Header.Run.Last; q++ {
		s.frames[f.Header.Chain.At(q)] = frame
	}
}

// frame is the last frame that carried an entry.
func (s *shim) frame(d dot.Dot) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.frames[d]
	return f, ok
}
