package hlc_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/hlc"
)

const tenYears = int64(10 * 366 * 24 * 3600 * 1000)

// Whatever the wall clock does, readings rise, and never lag behind it.
func TestTicksRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wall := rapid.Int64Range(-tenYears, 5*tenYears).Draw(t, "start")
		c := hlc.NewClock(hlc.Time{})
		last := c.Last()
		for range rapid.IntRange(1, 60).Draw(t, "readings") {
			wall += rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64Range(0, 0), rapid.Int64Range(-tenYears, tenYears)).Draw(t, "step")
			if rapid.IntRange(0, 5).Draw(t, "observe") == 0 {
				seen := hlc.Time{Millis: wall + rapid.Int64Range(-1000, 1000).Draw(t, "seen"), Counter: rapid.Uint32().Draw(t, "counter")}
				c.Observe(seen)
				if c.Last().Compare(seen) < 0 || c.Last().Compare(last) < 0 {
					t.Fatalf("after observing %s the clock stands at %s, before at %s", seen, c.Last(), last)
				}
				last = c.Last()
			}
			now := c.Tick(wall)
			if now.Compare(last) <= 0 {
				t.Fatalf("%s after %s at wall %d", now, last, wall)
			}
			if now.Millis < wall {
				t.Fatalf("%s is behind wall %d", now, wall)
			}
			if now != c.Last() {
				t.Fatalf("last is %s, handed out %s", c.Last(), now)
			}
			last = now
		}
	})
}

// A clock that stands still counts up, and a full counter carries into the next millisecond.
func TestCounter(t *testing.T) {
	c := hlc.NewClock(hlc.Time{Millis: 5, Counter: math.MaxUint32 - 1})
	for _, want := range []hlc.Time{{Millis: 5, Counter: math.MaxUint32}, {Millis: 6}, {Millis: 6, Counter: 1}, {Millis: 7}} {
		wall := int64(5)
		if want.Millis == 7 {
			wall = 7
		}
		if got := c.Tick(wall); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, p := range [][2]hlc.Time{{{}, {Counter: 1}}, {{Millis: 1, Counter: 9}, {Millis: 2}}, {{Millis: -1, Counter: 9}, {}}} {
		if p[0].Compare(p[1]) >= 0 || p[1].Compare(p[0]) <= 0 || p[0].Compare(p[0]) != 0 {
			t.Errorf("%s must come before %s", p[0], p[1])
		}
	}
	if !(hlc.Time{}).IsZero() || (hlc.Time{Counter: 1}).IsZero() {
		t.Error("only the zero time was never set")
	}
}
