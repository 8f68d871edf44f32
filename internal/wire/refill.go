package wire

import (
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/lane"
)

// Refill asks on [RefillOn] for a device's own entries, which the hub received
// and damage took on the device.
type Refill struct {
	Incarnation dot.Incarnation `cbor:"1,keyasint"`
	Lane        dot.Lane        `cbor:"2,keyasint"`
	First       dot.Seq         `cbor:"3,keyasint"`
	Last        dot.Seq         `cbor:"4,keyasint"`
	Bytes       uint32          `cbor:"5,keyasint,omitempty"` // of entries that the page may have; 0: as many as the hub gives
}

// RefillPage is the answer: consecutive entries from the first that was asked
// for, in their stored form ([otor/internal/entry.DecodeRaw]). None: the hub
// does not have that one. The device believes none of it before the heads join.
type RefillPage struct {
	First   dot.Seq  `cbor:"1,keyasint"`
	Entries [][]byte `cbor:"2,keyasint"`
	Refused *Refusal `cbor:"3,keyasint,omitempty"`
}

// Bounds of a refill page.
const (
	// MaxRefillBytes bounds the stored forms of a page, unless a single one is larger.
	MaxRefillBytes = 96 << 10
	// MaxRefillPage bounds the message. An entry of the largest size, after
	// almost as many bytes as a page may have, still fits.
	MaxRefillPage = 192 << 10
	// MaxRefillEntries bounds the entries of a page.
	MaxRefillEntries = 2048
)

// RefillOn is where a device asks for its own entries.
func RefillOn(d dot.Device) string { return Prefix + "refill." + string(d) }

// RefillAny is where the hub listens for that.
const RefillAny = Prefix + "refill.*"

// Run is what is asked for.
func (r Refill) Run() lane.Range { return lane.Run(r.First, r.Last) }

func (r Refill) check() error {
	if r.Incarnation == 0 || !r.Lane.Valid() || !r.Run().Valid() {
		return fmt.Errorf("refill: %d/%s has no entries %d to %d", r.Incarnation, r.Lane, r.First, r.Last)
	}
	return nil
}

func (p RefillPage) check() error {
	switch {
	case p.Refused != nil:
		return nil
	case p.First < 1 || p.First > dot.MaxSeq:
		return errors.New("refill: a page without a place")
	case len(p.Entries) > MaxRefillEntries:
		return fmt.Errorf("refill: %d entries in a page, the limit is %d", len(p.Entries), MaxRefillEntries)
	}
	return nil
}

func (RefillPage) limit() int { return MaxRefillPage }
