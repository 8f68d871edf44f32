// Package hlc is a hybrid logical clock: times that follow the wall clock when
// it behaves, and never go backwards when it does not.
//
// A [Time] has a millisecond part, in Unix milliseconds, and a counter that
// tells apart what happened in the same millisecond or while the wall clock
// stood behind. A [Clock] hands out strictly rising Times. Neither reads the
// system's clock: the wall time is an argument, so that a simulator can drive it.
//
// Source: Kulkarni, Demirbas et al., "Logical Physical Clocks and Consistent
// Snapshots in Globally Distributed Databases", 2014.
package hlc

import (
	"cmp"
	"fmt"
)

// Time is one reading. The zero value is before every other.
type Time struct {
	Millis  int64  // Unix milliseconds
	Counter uint32 // among Times with the same Millis
}

// Compare orders Times.
func (t Time) Compare(o Time) int {
	return cmp.Or(cmp.Compare(t.Millis, o.Millis), cmp.Compare(t.Counter, o.Counter))
}

// IsZero reports whether t was never set.
func (t Time) IsZero() bool { return t == Time{} }

func (t Time) String() string { return fmt.Sprintf("%d.%d", t.Millis, t.Counter) }

// next returns the smallest Time after t that is not before wall.
func (t Time) next(wall int64) Time {
	if wall > t.Millis {
		return Time{Millis: wall}
	}
	if t.Counter == ^uint32(0) {
		return Time{Millis: t.Millis + 1}
	}
	return Time{Millis: t.Millis, Counter: t.Counter + 1}
}

// Clock hands out rising Times. It is not safe for concurrent use: it belongs
// to whoever mints entries.
type Clock struct{ last Time }

// NewClock returns a clock whose next reading is after last.
func NewClock(last Time) *Clock { return &Clock{last: last} }

// Tick returns a Time after every earlier one, at or above wall (Unix milliseconds).
func (c *Clock) Tick(wall int64) Time {
	c.last = c.last.next(wall)
	return c.last
}

// Last returns the latest Time handed out or observed.
func (c *Clock) Last() Time { return c.last }

// Observe makes later readings come after t, which was seen from elsewhere.
// Callers bound t first: a clock ten years ahead must not be spread.
func (c *Clock) Observe(t Time) {
	if t.Compare(c.last) > 0 {
		c.last = t
	}
}
