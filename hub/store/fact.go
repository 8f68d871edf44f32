package store

import (
	"encoding/hex"
	"fmt"

	"otor/internal/dot"
)

// FactID makes a fact the same one however often it is told: 16 random bytes.
type FactID [16]byte

func (i FactID) String() string { return hex.EncodeToString(i[:]) }

// MarshalText writes the id in hex.
func (i FactID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads 32 hex digits.
func (i *FactID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(i) {
		return fmt.Errorf("id of a fact: %d characters, want %d", len(b), 2*len(i))
	}
	_, err := hex.Decode(i[:], b)
	return err
}

// FactHash is what the fact after it holds of a fact: a SHA-256.
type FactHash [32]byte

func (h FactHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash in hex.
func (h FactHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits.
func (h *FactHash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return fmt.Errorf("hash of a fact: %d characters, want %d", len(b), 2*len(h))
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// Fact is a row of the ledger: something that the hub itself authored. The
// database keeps it as it was signed and looks no further than these columns.
type Fact struct {
	Number  uint64 // from 1, without a hole
	ID      FactID
	Hash    FactHash
	At      int64
	By      string // who: an operator, a device, the hub
	Kind    string
	Subject string // what it is about
	Signed  []byte // the whole, as it was signed
}

// FactQuery chooses facts in order. Zero fields do not restrict.
type FactQuery struct {
	After   uint64 // exclusive
	Before  uint64 // exclusive; 0: up to the newest
	Kind    string
	Subject string
	By      string
	Limit   int  // 0: no limit
	Newest  bool // turns the order round
}

// Doubt says that a device's standing rests on the hub's memory alone, which
// may lack its revocation: it may send, and is told nothing until an operator
// has confirmed it.
type Doubt struct {
	Device dot.Device
	Since  int64
	Why    string
}
