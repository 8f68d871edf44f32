package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
)

// LifeIDSize is the length of a life's random id in bytes.
const LifeIDSize = 16

// Bounds of what one hello says and asks about lives.
const (
	MaxLives = 64  // claims
	MaxRuns  = 256 // runs to compare, of all comparisons together
)

// LifeClaim says in a hello which lives the device lives or lived in its folder.
// A device mints a life by itself, offline; the hub learns of it by the claim.
// Two copies of a folder may take the same number: the id tells them apart.
type LifeClaim struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	ID          []byte // random, of [LifeIDSize]
	Reason      entry.Reason
	Previous    dot.Incarnation
	Proof       []byte // the device's signing key's signature of [LifeClaim.Message], for [identity.ForLife]
}

// Message is what the proof signs: deterministic CBOR of
// [device, incarnation, id, reason, previous].
func (c LifeClaim) Message(d dot.Device) []byte {
	b, err := encMode.Marshal([]any{string(d), uint32(c.Incarnation), c.ID, uint8(c.Reason), uint32(c.Previous)})
	if err != nil {
		panic(err) // no input makes a list of plain values fail
	}
	return b
}

// LifeState is what the hub makes of a life. Its values are wire values.
type LifeState uint8

// The states of a life.
const (
	LifeTaken      LifeState = 2 // another life has that number: take a higher one
	LifeUplinkOnly LifeState = 3 // a twin of another life that is live: it may send, and gets nothing until an operator confirms it
)

// LifeAnswer is the hub's word on a life that is not simply known.
type LifeAnswer struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	State       LifeState
	Next        dot.Incarnation // for a taken one: the lowest number that is free
}

// Ended says that a device goes on in another life since its own history of a
// chain, which it had declared up to Last with that head, is not the hub's.
type Ended struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	Lane        dot.Lane
	Last        dot.Seq
	Head        entry.Hash
}

// Comparison asks what the hub's ledger holds of a chain within runs of seqs,
// which rise and do not overlap. A hello has one of a chain at most, so that
// no entry is looked at twice for it.
type Comparison struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	Lane        dot.Lane
	Runs        []lane.Range
}

// Compared answers a [Comparison]: a [Digest] for each run, in their order.
type Compared struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	Lane        dot.Lane
	Digests     []entry.Hash
}

// Sealed says which entries of a chain the hub has not received and waits for no
// more, since an operator gave them up. A device that has them sends them all the same.
type Sealed struct {
	_           struct{} `cbor:",toarray"`
	Incarnation dot.Incarnation
	Lane        dot.Lane
	Runs        []lane.Range
}

// checkSealed refuses what no hub says.
func checkSealed(all []Sealed) error {
	runs := 0
	for _, s := range all {
		if s.Incarnation == 0 || !s.Lane.Valid() {
			return errors.New("welcome: seqs of no chain are sealed")
		}
		for _, r := range s.Runs {
			if !r.Valid() {
				return fmt.Errorf("welcome: the sealed run %s is not one", r)
			}
		}
		if runs += len(s.Runs); runs > MaxRuns {
			return fmt.Errorf("welcome: more than %d sealed runs", MaxRuns)
		}
	}
	return nil
}

// Digest makes the digest of a run: SHA-256 over each of its entries that is
// there, in the order of their seqs: the seq (8 bytes, big endian) and the
// entry's own hash. So two sides with equal digests hold the same entries there,
// and the same holes.
type Digest struct{ h hash.Hash }

// NewDigest begins the digest of a run.
func NewDigest() Digest { return Digest{sha256.New()} }

// Add takes the entry at seq, which lies in the run above those added before.
func (d Digest) Add(seq dot.Seq, own entry.Hash) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(seq))
	d.h.Write(b[:])
	d.h.Write(own[:])
}

// Sum ends the digest.
func (d Digest) Sum() (out entry.Hash) {
	d.h.Sum(out[:0])
	return out
}

func checkLives(h Hello) error {
	if len(h.Lives) > MaxLives || len(h.Ended) > MaxLives {
		return fmt.Errorf("hello: more than %d lives", MaxLives)
	}
	for _, c := range h.Lives {
		if c.Incarnation == 0 || len(c.ID) != LifeIDSize || len(c.Proof) != identity.SignatureSize || c.Previous >= c.Incarnation {
			return fmt.Errorf("hello: the claim of life %d is not one", c.Incarnation)
		}
	}
	for _, e := range h.Ended {
		if e.Incarnation == 0 || !e.Lane.Valid() || e.Last > dot.MaxSeq {
			return errors.New("hello: an end of no chain")
		}
	}
	return checkCompare(h.Compare)
}

// checkCompare bounds what a hello may have the hub look at.
func checkCompare(all []Comparison) error {
	type chain struct {
		incarnation dot.Incarnation
		lane        dot.Lane
	}
	runs, asked := 0, make(map[chain]bool)
	for _, c := range all {
		if c.Incarnation == 0 || !c.Lane.Valid() {
			return errors.New("hello: a comparison of no chain")
		}
		of := chain{c.Incarnation, c.Lane}
		if asked[of] {
			return fmt.Errorf("hello: %d/%s is to be compared twice", c.Incarnation, c.Lane)
		}
		asked[of] = true
		last := dot.Seq(0)
		for _, r := range c.Runs {
			if !r.Valid() || r.First <= last {
				return fmt.Errorf("hello: run %s to compare is out of order", r)
			}
			last = r.Last
		}
		if runs += len(c.Runs); runs > MaxRuns {
			return fmt.Errorf("hello: more than %d runs to compare", MaxRuns)
		}
	}
	return nil
}
