package feed

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/identity"
	"otor/internal/receipt"
)

// Mark is the random word that a commit leaves in a feed.
type Mark [8]byte

func (m Mark) String() string { return hex.EncodeToString(m[:]) }

// IsZero reports whether m was never set.
func (m Mark) IsZero() bool { return m == Mark{} }

// MarshalCBOR writes a byte string of 8 bytes.
func (m Mark) MarshalCBOR() ([]byte, error) { return append([]byte{0x48}, m[:]...), nil }

// UnmarshalCBOR reads a byte string of 8 bytes and nothing else.
func (m *Mark) UnmarshalCBOR(b []byte) error {
	if len(b) != 1+len(m) || int(b[0]) != 0x40+len(m) {
		return fmt.Errorf("mark: want a byte string of %d bytes", len(m))
	}
	copy(m[:], b[1:])
	return nil
}

// Position is a place in a feed as it is said in passing, unsigned. The zero
// position is the beginning.
type Position struct {
	_    struct{} `cbor:",toarray"`
	N    uint64
	Mark Mark
}

// Cursor says how far a device has applied a scope's feed: up to N, as the feed
// was when it reached [Cursor.Anchored]. Mark is the mark there. N alone would
// not do: a row that stood below N and has moved above it was not in the page,
// and a hub that is put back to where it had not moved yet would never send it.
//
// A device that loads a scope from its beginning passes numbers of which the hub
// has long forgotten what went away. It missed nothing by that which had gone
// before the load began: [Cursor.Complete] is from where on it must hear of it.
type Cursor struct {
	Epoch  receipt.Epoch // of the database when the page was made
	Scope  string
	N      uint64
	Mark   Mark
	Anchor uint64 // 0: N itself
	Since  uint64 // the feed's number when a load from its beginning began; 0: none runs
}

// Anchored is the number whose mark the cursor holds.
func (c Cursor) Anchored() uint64 { return max(c.N, c.Anchor) }

// Complete is the number up to which nothing that went away can have been missed.
func (c Cursor) Complete() uint64 { return max(c.N, c.Since) }

// Position is the cursor without its epoch and scope.
func (c Cursor) Position() Position { return Position{N: c.N, Mark: c.Mark} }

// wireCursor fixes the keys, version 1.
type wireCursor struct {
	Epoch  receipt.Epoch `cbor:"1,keyasint"`
	Scope  string        `cbor:"2,keyasint"`
	N      uint64        `cbor:"3,keyasint"`
	Mark   Mark          `cbor:"4,keyasint"`
	Anchor uint64        `cbor:"5,keyasint,omitempty"`
	Since  uint64        `cbor:"6,keyasint,omitempty"`
}

type signed struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	em, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dm, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxNestedLevels: 6, MaxArrayElements: 4096, MaxMapPairs: 64,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return em, dm
}()

// MaxCursor bounds a signed cursor in bytes.
const MaxCursor = 256

// ErrInvalid marks a cursor or page that is malformed, or a cursor that is not
// signed by that hub.
var ErrInvalid = errors.New("not of this hub's feed")

// Sign gives the cursor's wire form: CBOR [body bytes, signature].
func (c Cursor) Sign(key identity.SigningKey) ([]byte, error) {
	b, err := encMode.Marshal(wireCursor(c))
	if err != nil {
		return nil, err
	}
	return encMode.Marshal(signed{Body: b, Sig: key.Sign(identity.ForCursor, b)})
}

// OpenCursor reads a signed cursor. Errors wrap [ErrInvalid].
func OpenCursor(b []byte, hub identity.PublicKey) (Cursor, error) {
	var s signed
	if len(b) > MaxCursor {
		return Cursor{}, fmt.Errorf("%w: a cursor of %d bytes", ErrInvalid, len(b))
	}
	if err := decMode.Unmarshal(b, &s); err != nil {
		return Cursor{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !hub.Verify(identity.ForCursor, s.Body, s.Sig) {
		return Cursor{}, fmt.Errorf("%w: the cursor's signature is wrong", ErrInvalid)
	}
	var w wireCursor
	if err := decMode.Unmarshal(s.Body, &w); err != nil {
		return Cursor{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if w.Scope == "" || w.N > MaxN || w.Anchor > MaxN || w.Since > MaxN {
		return Cursor{}, fmt.Errorf("%w: a cursor of scope %q at %d", ErrInvalid, w.Scope, w.N)
	}
	return Cursor(w), nil
}
