package demo

import (
	"sync"
	"time"
)

// clock is the day's time. Whoever drives the day sets it; it never goes back.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
}

// ahead is a clock that is wrong by a constant.
func (c *clock) ahead(by time.Duration) func() time.Time {
	return func() time.Time { return c.Now().Add(by) }
}
