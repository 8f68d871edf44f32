// Package refill puts back what damage took on the device and the hub has.
//
// The hub gives pages of the device's own entries; nothing of them is believed
// before the chain proves it. The heads around a hole are known on the device:
// an entry before and one after it are whole, or the chain's tail, or the hub's
// receipt. So a walk over the entries from the head before the hole must arrive
// at the head after it, and any changed, missing or foreign entry shows.
//
// A hole may be larger than a small device's memory. [Fill] then walks it once
// without keeping more than a few megabytes, notes the head after each page,
// and asks for the other pages a second time once the walk has arrived: by then
// each page can be checked by itself.
//
//   - [Store] has the holes and takes what belongs into them.
//   - [Port] asks the hub.
//   - [Fill] is the procedure, [Result] what came of it.
package refill

import (
	"context"
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

// Hole is a run of lost entries with the heads around it.
type Hole struct {
	Chain         dot.Chain
	Run           lane.Range
	Before, After entry.Hash
}

// Store is what is refilled. Refill takes at most about maxSeal bytes at once.
type Store interface {
	Holes() []Hole
	Refill(ctx context.Context, c dot.Chain, first dot.Seq, before entry.Hash, es []entry.Raw) error
}

// Port asks the hub for one page.
type Port interface {
	Refill(ctx context.Context, r wire.Refill) (wire.RefillPage, error)
}

// Bounds.
const (
	maxSeal = 128 << 10 // bytes of entries sealed in one commit
	maxHeld = 4 << 20   // bytes of entries in memory during a walk
)

// ErrRefused says that the hub does not refill this device.
var ErrRefused = errors.New("the hub does not refill this device")

// Result counts.
type Result struct {
	Back    uint64     // entries that came back
	Left    []LeftOver // holes that the hub could not fill
	Refused *wire.Refusal
}

// LeftOver is a hole that stays, and why.
type LeftOver struct {
	Chain dot.Chain
	Run   lane.Range
	Why   string
}

// Fill asks the hub for everything that can be refilled. The error is the
// link's or the store's; what was sealed until then stays, and the next Fill
// goes on from there. What the hub does not have is in [Result.Left].
func Fill(ctx context.Context, s Store, p Port) (Result, error) {
	var r Result
	for _, h := range s.Holes() {
		n, why, err := fill(ctx, s, p, h)
		r.Back += n
		if refused, ok := errors.AsType[*wire.Refusal](err); ok {
			r.Refused = refused
			return r, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if err != nil {
			return r, err
		}
		if why != "" {
			r.Left = append(r.Left, LeftOver{h.Chain, h.Run, why})
		}
	}
	return r, nil
}

// page is a piece of a hole during the walk.
type page struct {
	run     lane.Range
	before  entry.Hash
	after   entry.Hash
	entries []entry.Raw // nil: not kept
}

// fill deals with one hole; why says why it stays.
func fill(ctx context.Context, s Store, p Port, h Hole) (back uint64, why string, err error) {
	var pages []page
	head, held := h.Before, 0
	for next := h.Run.First; next <= h.Run.Last; {
		pg, size, err := ask(ctx, p, h.Chain, lane.Run(next, h.Run.Last), head)
		if err != nil {
			return 0, "", err
		}
		if len(pg.entries) == 0 {
			return 0, fmt.Sprintf("the hub does not have entry %d", next), nil
		}
		if held += size; held > maxHeld {
			pg.entries = nil
		}
		pages = append(pages, pg)
		head, next = pg.after, pg.run.Last+1
	}
	if head != h.After {
		return 0, "what the hub gave does not join the entries around it", nil
	}
	for _, pg := range pages {
		if pg.entries == nil {
			again, _, err := ask(ctx, p, h.Chain, pg.run, pg.before)
			if err != nil {
				return back, "", err
			}
			if again.run != pg.run || again.after != pg.after {
				return back, "the hub gave something else the second time", nil
			}
			pg = again
		}
		n, err := seal(ctx, s, h.Chain, pg)
		back += n
		if err != nil {
			return back, "", err
		}
	}
	return back, "", nil
}

// ask gets one page and walks it. An answer that cannot be read as entries of
// this place ends the page before them.
func ask(ctx context.Context, p Port, c dot.Chain, r lane.Range, before entry.Hash) (pg page, size int, err error) {
	got, err := p.Refill(ctx, wire.Refill{Incarnation: c.Incarnation, Lane: c.Lane, First: r.First, Last: r.Last})
	if err != nil {
		return page{}, 0, fmt.Errorf("refill %s %s: %w", c, r, err)
	}
	if got.Refused != nil {
		return page{}, 0, got.Refused
	}
	pg = page{before: before, after: before}
	if got.First != r.First {
		return pg, 0, nil
	}
	for i, b := range got.Entries {
		seq := r.First + dot.Seq(i)
		raw, err := entry.DecodeRaw(b)
		if err != nil || seq > r.Last {
			break
		}
		pub, err := entry.DecodePublic(raw.Public)
		if err != nil || pub.Dot != c.At(seq) {
			break
		}
		pg.entries = append(pg.entries, raw)
		pg.after = entry.Next(pg.after, raw)
		size += raw.Size()
	}
	pg.run = lane.Run(r.First, r.First+dot.Seq(len(pg.entries))-1)
	return pg, size, nil
}

// seal hands a page over in parts of a commit each.
func seal(ctx context.Context, s Store, c dot.Chain, pg page) (back uint64, err error) {
	first, head := pg.run.First, pg.before
	for rest := pg.entries; len(rest) > 0; {
		n, size, after := 0, 0, head
		for n < len(rest) && (n == 0 || size+rest[n].Size() <= maxSeal) {
			size += rest[n].Size()
			after = entry.Next(after, rest[n])
			n++
		}
		if err := s.Refill(ctx, c, first, head, rest[:n]); err != nil {
			return back, err
		}
		back += uint64(n) //nolint:gosec // a count
		first, head, rest = first+dot.Seq(n), after, rest[n:]
	}
	return back, nil
}
