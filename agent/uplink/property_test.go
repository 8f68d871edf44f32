package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"otor/agent/uplink"
	"otor/internal/batch"
	"otor/internal/dot"
)

// watch notes when a record is read while an alert waits that was never read:
// the alert lane goes first between any two batches.
func (j *journey) watch(box *outbox) {
	calls := 0
	box.onRead = func(c dot.Chain, _ dot.Seq) {
		read := dot.Seq(0)
		for _, r := range box.reads {
			if r.chain == alerts {
				read = max(read, r.run.Last)
			}
		}
		for _, x := range box.Chains() {
			if c.Lane == dot.Record && x.Chain == alerts && x.Last > read {
				j.overtaken = append(j.overtaken, fmt.Errorf("a record goes before alert %d", read+1))
			}
		}
		if c, ok := j.captures[calls]; ok { // too late for this batch, in time for the next
			box.capture(c, 1, 60)
		}
		calls++
	}
}

// journey is a drawn link, what is captured before and on the way, and when
// the link breaks.
type journey struct {
	fates           []fate
	records, size   int
	captures        map[int]dot.Chain // by the number of the Read that they follow
	window, entries int
	breaks          []int // milliseconds

	overtaken []error
}

func drawJourney(t *rapid.T) *journey {
	j := &journey{
		fates:    rapid.SliceOfN(rapid.Custom(drawFate), 0, 40).Draw(t, "fates"),
		records:  rapid.IntRange(1, 40).Draw(t, "records"),
		size:     rapid.IntRange(10, 3000).Draw(t, "size"),
		captures: make(map[int]dot.Chain),
		window:   rapid.IntRange(1, 6).Draw(t, "window"),
		entries:  rapid.IntRange(1, 8).Draw(t, "entries"),
		breaks:   rapid.SliceOfN(rapid.IntRange(0, 30_000), 0, 5).Draw(t, "breaks"),
	}
	for range rapid.IntRange(0, 8).Draw(t, "captures") {
		j.captures[rapid.IntRange(0, 30).Draw(t, "at")] = rapid.SampledFrom([]dot.Chain{records, alerts}).Draw(t, "chain")
	}
	return j
}

// Over a link with every fault, in sessions that break off at any time, every
// entry reaches the hub, alerts first, and the device hears of it.
func TestNothingIsLostOnAnyLink(t *testing.T) {
	journeys := 0
	rapid.Check(t, func(rt *rapid.T) {
		journeys++
		j := drawJourney(rt)
		var err error
		synctest.Test(t, func(t *testing.T) { err = j.travel(t) })
		if err != nil {
			rt.Fatal(err)
		}
	})
	if journeys < 20 {
		t.Errorf("only %d journeys", journeys)
	}
}

// travel says what is wrong with what became of the journey's entries.
func (j *journey) travel(t *testing.T) error {
	box := newOutbox()
	h := newHub(t, box)
	h.fate = func(n int, _ batch.Header) fate {
		if n < len(j.fates) {
			return j.fates[n]
		}
		return fate{}
	}
	box.capture(records, j.records, j.size)
	j.overtaken = nil
	j.watch(box)
	newUplink(box, h, func(c *uplink.Config) { c.MaxInFlight, c.MaxEntries = j.window, j.entries })
	for _, ms := range j.breaks {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(ms)*time.Millisecond)
		_, _ = h.up.Session(ctx, false) // it breaks off, that is the point
		cancel()
		synctest.Wait()
	}
	// An error of Post ends a session; the last one that can happen is in the fates.
	for range len(j.fates) + 1 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		r, err := h.up.Session(ctx, true)
		cancel()
		synctest.Wait()
		if err == nil && r.Remaining != 0 {
			return fmt.Errorf("session: %+v", r)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errLink) {
			return fmt.Errorf("session: %w", err)
		}
	}
	if n := box.waiting(); n != 0 {
		return fmt.Errorf("%d entries are waiting", n)
	}
	if h.mostTo > 2*j.window { // alerts have a window of their own
		return fmt.Errorf("%d frames under way, the window is %d", h.mostTo, j.window)
	}
	return errors.Join(append(j.overtaken, allThere(box, h))...)
}

func drawFate(t *rapid.T) fate {
	odds := func(label string) bool { return rapid.IntRange(0, 4).Draw(t, label) == 0 }
	return fate{
		unsent: odds("unsent"), lost: odds("lost"), unknown: odds("unknown"), noReceipt: odds("no receipt"), swallowed: odds("swallowed"),
		slow: time.Duration(rapid.IntRange(0, 3000).Draw(t, "slow")) * time.Millisecond,
		late: time.Duration(rapid.IntRange(0, 3000).Draw(t, "late")) * time.Millisecond,
	}
}

// allThere compares what was captured with what the hub has.
func allThere(box *outbox, h *hub) error {
	for _, c := range box.Chains() {
		if !h.has(c.Chain, c.Last) {
			return fmt.Errorf("%s: captured %d, the hub has %s", c.Chain, c.Last, h.received[c.Chain])
		}
	}
	return nil
}
