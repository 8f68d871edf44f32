package uplink

import (
	"sync"
	"time"

	"otor/internal/batch"
)

// pace learns what the link moves, and so how much goes into one frame: about
// two seconds' worth, at least one entry, at most what a frame may hold.
type pace struct {
	mu       sync.Mutex // publishes report from their own goroutines
	rate     float64    // bytes a second, 0: not measured yet
	perEntry float64    // bytes of frame an entry
	lastAck  time.Time
	limit    float64 // bytes a second that may be sent, 0: no limit
}

const (
	frameSeconds = 2
	firstFrame   = 8 << 10 // bytes, before anything was measured
	// fastLink is the rate in bytes a second above which compressing hard would
	// hold the link up.
	fastLink = 2 << 20
)

func newPace(limit int) *pace { return &pace{perEntry: 80, limit: float64(limit)} }

// pause is how long the next frame must wait after one of size bytes.
func (p *pace) pause(size int) time.Duration {
	if p.limit <= 0 {
		return 0
	}
	return time.Duration(float64(size) / p.limit * float64(time.Second))
}

// plan gives the number of entries for the next frame, how large it should
// become, at most so many bytes, and how hard to compress.
func (p *pace) plan(most int) (entries, bytes int, level batch.Level) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := float64(firstFrame)
	if p.rate > 0 {
		size = min(p.rate*frameSeconds, batch.MaxFrame*7/8)
	}
	if p.limit > 0 {
		size = min(size, p.limit*frameSeconds)
	}
	size = min(size, float64(most))
	if p.rate > fastLink {
		level = batch.Fast
	}
	return min(max(1, int(size/p.perEntry)), batch.MaxCount), int(size), level
}

// packed learns the size of an entry in a frame.
func (p *pace) packed(entries, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.perEntry = blend(p.perEntry, float64(size)/float64(entries))
}

// moved learns the link's rate from an acknowledgement: bytes since the one
// before, or since the frame was handed over if the link was idle.
func (p *pace) moved(size int, since, acked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastAck.After(since) {
		since = p.lastAck
	}
	p.lastAck = acked
	rate := float64(size) / max(acked.Sub(since).Seconds(), 1e-4)
	if p.rate == 0 {
		p.rate = rate
		return
	}
	p.rate = blend(p.rate, rate)
}

// depth is how many bytes may be under way: more would make an alert wait
// behind records that are in the socket already.
func (p *pace) depth() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(2*firstFrame, int(min(p.rate*2*frameSeconds, inFlightBytes)))
}

// stalled halves what is believed of the link.
func (p *pace) stalled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate /= 2
}

func blend(old, seen float64) float64 { return old*0.7 + seen*0.3 }
