package link_test

import (
	"errors"
	"testing"
	"time"

	"otor/agent/link"
)

func TestBudgetCountsContactAndDay(t *testing.T) {
	now := time.Date(2026, 11, 26, 23, 0, 0, 0, time.UTC)
	var meter link.Meter
	var kept []link.Traffic
	b := link.NewBudget(link.Limits{Contact: 20_000, Day: 30_000}, link.Traffic{Day: "2026-11-26", In: 4000, Out: 1000},
		func() link.Meter { return meter }, func() time.Time { return now }, func(t link.Traffic) error { kept = append(kept, t); return nil })
	want := func(bytes uint64, daily bool) {
		t.Helper()
		if l := b.Left(); !l.Bounded || l.Bytes != bytes || l.Daily != daily {
			t.Errorf("left %+v, want %d, of the day %t", l, bytes, daily)
		}
	}
	b.Begin()
	want(20_000, false)
	meter = link.Meter{In: 5000, Out: 14_500}
	want(500, false)
	b.Begin() // the next contact
	want(5500, true)
	meter.Out += 10_000
	want(0, true)
	if err := b.Keep(); err != nil || len(kept) != 1 || kept[0] != (link.Traffic{Day: "2026-11-26", In: 9000, Out: 25_500}) {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if err := b.Keep(); err != nil || len(kept) != 1 {
		t.Errorf("kept again without need: %+v, %v", kept, err)
	}
	now = now.Add(2 * time.Hour)
	want(10_000, false)
	if got := b.Today(); got != (link.Traffic{Day: "2026-11-27"}) {
		t.Errorf("a new day has %+v", got)
	}
	if err := b.SetLimits(link.Limits{}); err != nil || b.Left().Bounded {
		t.Errorf("without limits: %+v, %v", b.Left(), err)
	}
	if err := b.SetLimits(link.Limits{Day: 9999}); err == nil {
		t.Error("a budget that lets nothing through was taken")
	}
}

// TestTrafficIsKeptNowAndThen: a long contact must not be forgotten by a crash,
// and a store that fails is asked again.
func TestTrafficIsKeptNowAndThen(t *testing.T) {
	var meter link.Meter
	kept, fail := 0, true
	b := link.NewBudget(link.Limits{Day: 1 << 40}, link.Traffic{}, func() link.Meter { return meter }, time.Now, func(link.Traffic) error {
		if fail {
			return errors.New("disk full")
		}
		kept++
		return nil
	})
	for range 100 {
		meter.Out += 10_000
		b.Left()
	}
	if err := b.Keep(); err == nil {
		t.Error("nobody was told that it was not kept")
	}
	fail = false
	for range 100 {
		meter.Out += 10_000
		b.Left()
	}
	if kept < 10 || kept > 20 {
		t.Errorf("kept %d times over 1 MB", kept)
	}
}
