// Package receipt is the hub's signed word on how far it has a chain.
//
// A [Receipt] says: in this epoch I have received this chain through that seq,
// its head there is this, and above it I also hold these ranges. It is signed
// only after the hub's database has committed what it covers, so a device may
// stop resending. Archived says what lies in a verified backup too: only that
// may be pruned. An [Epoch] is the identity of the hub's database; its
// [EpochCertificate] is signed by the hub key and names the epoch it came from.
//
// The wire form of both is CBOR [body bytes, signature]; the signature is over
// the body as sent.
package receipt

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
)

// MaxExtra bounds the ranges that one receipt lists.
const MaxExtra = 16

// maxSize bounds the bytes of a receipt or certificate.
const maxSize = 4 << 10

// Epoch is the identity of a hub's database, random.
type Epoch [16]byte

func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// IsZero reports whether e was never set.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// MarshalText writes the epoch in hex.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads 32 hex digits.
func (e *Epoch) UnmarshalText(b []byte) error {
	if len(b) != 2*len(e) {
		return fmt.Errorf("epoch: %d characters, want %d", len(b), 2*len(e))
	}
	_, err := hex.Decode(e[:], b)
	return err
}

// UnmarshalCBOR reads a byte string of 16 bytes and nothing else.
func (e *Epoch) UnmarshalCBOR(b []byte) error {
	if len(b) != 1+len(e) || int(b[0]) != 0x40+len(e) {
		return fmt.Errorf("epoch: want a byte string of %d bytes", len(e))
	}
	copy(e[:], b[1:])
	return nil
}

// Receipt is the hub's watermark of one chain.
type Receipt struct {
	Epoch    Epoch
	Chain    dot.Chain
	Through  dot.Seq    // everything from 1 to here is committed at the hub
	Head     entry.Hash // the chain's head at Through; the genesis head when 0
	Extra    []lane.Range
	Archived dot.Seq // everything from 1 to here lies in a verified backup
	Signed   []byte  // as it came to [Open]; nil in one that was made here
}

// Set returns all that the receipt covers.
func (r Receipt) Set() lane.Set {
	return lane.NewSet(append([]lane.Range{lane.Run(1, r.Through)}, r.Extra...)...)
}

// wireReceipt fixes the keys, version 1.
type wireReceipt struct {
	Epoch       Epoch           `cbor:"1,keyasint"`
	Device      string          `cbor:"2,keyasint"`
	Incarnation dot.Incarnation `cbor:"3,keyasint"`
	Lane        uint8           `cbor:"4,keyasint"`
	Through     dot.Seq         `cbor:"5,keyasint"`
	Head        entry.Hash      `cbor:"6,keyasint"`
	Extra       []lane.Range    `cbor:"7,keyasint,omitempty"`
	Archived    dot.Seq         `cbor:"8,keyasint,omitempty"`
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
		TagsMd: cbor.TagsForbidden, MaxNestedLevels: 6, MaxArrayElements: 256, MaxMapPairs: 64,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return em, dm
}()

// ErrInvalid marks a receipt or certificate that is malformed or not signed by that hub.
var ErrInvalid = errors.New("receipt not valid")

func seal(d identity.Domain, body any, key identity.SigningKey) ([]byte, error) {
	b, err := encMode.Marshal(body)
	if err != nil {
		return nil, err
	}
	return encMode.Marshal(signed{Body: b, Sig: key.Sign(d, b)})
}

func open(d identity.Domain, b []byte, hub identity.PublicKey, into any) error {
	if len(b) > maxSize {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrInvalid, len(b), maxSize)
	}
	var s signed
	if err := decMode.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !hub.Verify(d, s.Body, s.Sig) {
		return fmt.Errorf("%w: not signed by this hub", ErrInvalid)
	}
	if err := decMode.Unmarshal(s.Body, into); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// Sign encodes and signs the receipt. Ranges beyond [MaxExtra] are left out:
// the device then sends those again, and nothing is lost.
func (r Receipt) Sign(key identity.SigningKey) ([]byte, error) {
	w := wireReceipt{
		Epoch: r.Epoch, Device: string(r.Chain.Device), Incarnation: r.Chain.Incarnation, Lane: uint8(r.Chain.Lane),
		Through: r.Through, Head: r.Head, Extra: r.Extra, Archived: r.Archived,
	}
	if len(w.Extra) > MaxExtra {
		w.Extra = w.Extra[:MaxExtra]
		r.Extra = w.Extra
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("sign receipt of %s: %w", r.Chain, err)
	}
	b, err := seal(identity.ForReceipt, w, key)
	if err != nil {
		return nil, fmt.Errorf("sign receipt of %s: %w", r.Chain, err)
	}
	return b, nil
}

// Open reads a receipt and checks the hub's signature. Errors wrap [ErrInvalid].
func Open(b []byte, hub identity.PublicKey) (Receipt, error) {
	var w wireReceipt
	if err := open(identity.ForReceipt, b, hub, &w); err != nil {
		return Receipt{}, err
	}
	r := Receipt{
		Epoch: w.Epoch, Chain: dot.Chain{Device: dot.Device(w.Device), Incarnation: w.Incarnation, Lane: dot.Lane(w.Lane)},
		Through: w.Through, Head: w.Head, Extra: w.Extra, Archived: w.Archived, Signed: b,
	}
	if err := r.check(); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return r, nil
}

// check refuses what no receipt may say, on either side of the signature.
func (r Receipt) check() error {
	if err := r.Chain.Check(); err != nil {
		return err
	}
	switch {
	case r.Through > dot.MaxSeq:
		return fmt.Errorf("received %d is above the highest seq %d", r.Through, dot.MaxSeq)
	case r.Archived > r.Through:
		return fmt.Errorf("archived %d is above received %d", r.Archived, r.Through)
	case len(r.Extra) > MaxExtra:
		return fmt.Errorf("%d extra ranges, the limit is %d", len(r.Extra), MaxExtra)
	}
	last := r.Through
	for _, x := range r.Extra {
		if !x.Valid() || x.First <= last+1 {
			return fmt.Errorf("extra range %s is out of order", x)
		}
		last = x.Last
	}
	return nil
}

// EpochCertificate says which database a hub speaks from.
type EpochCertificate struct {
	Epoch   Epoch  `cbor:"1,keyasint"`
	Parent  Epoch  `cbor:"2,keyasint"` // zero for a hub's first
	Lineage uint32 `cbor:"3,keyasint"` // how many epochs came before
	Minted  int64  `cbor:"4,keyasint"` // Unix milliseconds
}

// Sign encodes and signs the certificate.
func (c EpochCertificate) Sign(key identity.SigningKey) ([]byte, error) {
	b, err := seal(identity.ForEpoch, c, key)
	if err != nil {
		return nil, fmt.Errorf("sign epoch %s: %w", c.Epoch, err)
	}
	return b, nil
}

// OpenEpoch reads a certificate and checks the hub's signature. Errors wrap [ErrInvalid].
func OpenEpoch(b []byte, hub identity.PublicKey) (EpochCertificate, error) {
	var c EpochCertificate
	if err := open(identity.ForEpoch, b, hub, &c); err != nil {
		return EpochCertificate{}, err
	}
	if c.Epoch.IsZero() {
		return EpochCertificate{}, fmt.Errorf("%w: the epoch has no id", ErrInvalid)
	}
	return c, nil
}
