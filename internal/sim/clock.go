package sim

import (
	"sync"
	"time"
)

// noon is what the hub's clock shows when a run begins.
var noon = time.Date(2026, 9, 18, 12, 0, 0, 0, time.UTC)

// zone is where dates are reckoned.
var zone = time.FixedZone("CST", 8*3600)

// clock is a wall clock that may be wrong. Its zero is set by set.
type clock struct {
	mu    sync.Mutex
	at    time.Time // of the bubble, when shown was right
	shown time.Time
	drift float64 // seconds gained a second
}

func newClock(shown time.Time, drift float64) *clock {
	return &clock{at: time.Now(), shown: shown, drift: drift}
}

// now is what the clock shows.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *clock) read() time.Time {
	gone := time.Since(c.at)
	return c.shown.Add(gone + time.Duration(c.drift*float64(gone)))
}

// jump moves it.
func (c *clock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown, c.at = c.read().Add(by), time.Now()
}
