package link

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits bound what the link moves, in bytes, both ways together; 0: no bound.
// They hold back records and what is pulled, never an alert, a hello or a receipt.
type Limits struct {
	Contact uint64 `json:"contact"` // of one connection
	Day     uint64 `json:"day"`     // of one day of the device's calendar
	// Photos bounds the bytes of photos and files in such a day; they count among Day as well.
	Photos uint64 `json:"photos,omitempty"`
}

// LeastLimit is the smallest bound that lets a contact do anything: connecting
// and saying hello cost up to 6,000 bytes.
const LeastLimit = 10_000

// Check refuses bounds that would let nothing through.
func (l Limits) Check() error {
	for _, v := range []uint64{l.Contact, l.Day, l.Photos} {
		if v > 0 && v < LeastLimit {
			return fmt.Errorf("a budget of %d bytes lets nothing through: give at least %d, or 0 for no bound", v, LeastLimit)
		}
	}
	return nil
}

// Traffic is what went over the link on a day.
type Traffic struct {
	Day     string // of the device's calendar, 2026-11-26
	In, Out uint64 // bytes, TLS included
	Photos  uint64 // bytes of photos and files among Out, without what is around them
}

// Left says what a budget still allows.
type Left struct {
	Bounded bool
	Bytes   uint64 // while Bounded
	// Daily: it is the day's budget that is used up first, and not the contact's.
	Daily bool
}

// keepEvery is how many bytes may go by before the day's traffic is kept again:
// as much may be forgotten by a crash.
const keepEvery = 64 << 10

// Budget counts what the link moves against its limits. The counts of a day
// outlive the program. It is safe for concurrent use.
type Budget struct {
	meter func() Meter
	now   func() time.Time
	keep  func(Traffic) error // nil: nothing outlives the program

	mu      sync.Mutex
	limits  Limits
	day     Traffic // as of the last look
	seen    Meter   // at the last look
	contact Meter   // at the beginning of this contact
	unkept  uint64
}

// newBudget goes on counting where a day's earlier traffic ended.
func newBudget(l Limits, day Traffic, meter func() Meter, now func() time.Time, keep func(Traffic) error) *Budget {
	return &Budget{meter: meter, now: now, keep: keep, limits: l, day: day}
}

// Limits are those that hold now.
func (b *Budget) Limits() Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limits
}

// SetLimits changes them, at once.
func (b *Budget) SetLimits(l Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = l
	return nil
}

// Left says what may still go now. What it learns is kept for the day, now and then.
func (b *Budget) Left() Left {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	if b.unkept >= keepEvery {
		_ = b.save() // the next look tries again
	}
	var out Left
	take := func(limit, used uint64, daily bool) {
		if limit == 0 {
			return
		}
		if left := limit - min(limit, used); !out.Bounded || left < out.Bytes {
			out = Left{Bounded: true, Bytes: left, Daily: daily}
		}
	}
	take(b.limits.Day, b.day.In+b.day.Out, true)
	take(b.limits.Contact, (b.seen.In-b.contact.In)+(b.seen.Out-b.contact.Out), false)
	return out
}

// LeftForPhotos says what photos and files may still take: no more than is left for all.
func (b *Budget) LeftForPhotos() Left {
	out := b.Left()
	b.mu.Lock()
	defer b.mu.Unlock()
	if limit := b.limits.Photos; limit > 0 {
		if left := limit - min(limit, b.day.Photos); !out.Bounded || left < out.Bytes {
			out = Left{Bounded: true, Bytes: left, Daily: true}
		}
	}
	return out
}

// CountPhotos counts bytes of photos that went. The meter counts them too.
func (b *Budget) CountPhotos(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	b.day.Photos += uint64(max(bytes, 0)) //nolint:gosec // not negative
}

// Today is the day's traffic so far.
func (b *Budget) Today() Traffic {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	return b.day
}

// Keep writes down the day's traffic.
func (b *Budget) Keep() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	if b.unkept == 0 {
		return nil
	}
	return b.save()
}

// begin starts the count of a contact.
func (b *Budget) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	b.contact = b.seen
}

// look takes in what the meter has counted. What went by before midnight and was
// not looked at counts for the new day. b.mu is held.
func (b *Budget) look() {
	m := b.meter()
	in, out := m.In-b.seen.In, m.Out-b.seen.Out
	if day := b.now().Format(time.DateOnly); day != b.day.Day {
		b.day = Traffic{Day: day}
	}
	b.day.In += in
	b.day.Out += out
	b.unkept += in + out
	b.seen = m
}

// save keeps the day; b.mu is held.
func (b *Budget) save() error {
	if b.keep == nil {
		b.unkept = 0
		return nil
	}
	if err := b.keep(b.day); err != nil {
		return errors.Join(errors.New("the day's traffic was not kept"), err)
	}
	b.unkept = 0
	return nil
}
