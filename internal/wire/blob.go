package wire

import (
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/entry"
)

// BlobAsk is what a device says on [BlobOn]: which photos it would send, or a
// piece of one. One of Offers, Piece, Preview and Archived stands.
type BlobAsk struct {
	Offers  []entry.Hash `cbor:"1,keyasint,omitempty"` // what does the hub have of these?
	Piece   *BlobPiece   `cbor:"2,keyasint,omitempty"`
	Preview *BlobPiece   `cbor:"3,keyasint,omitempty"` // a small picture of a photo, whole, before the photo itself
	// Archived asks which of these are in the hub's verified backups: the device would
	// remove them.
	Archived []entry.Hash `cbor:"4,keyasint,omitempty"`
}

// BlobPiece is consecutive bytes of the file whose content has that hash, or of
// its preview.
type BlobPiece struct {
	_      struct{} `cbor:",toarray"`
	Hash   entry.Hash
	Offset uint64 // of the first byte
	Bytes  []byte
}

// BlobState says what the hub makes of a file.
type BlobState uint8

// The states of a file at the hub.
const (
	// BlobUnknown: no entry that the hub has names it. It is asked again later.
	BlobUnknown BlobState = iota
	// BlobWanted: the hub has its first At bytes and takes it from there.
	BlobWanted
	// BlobWhole: the hub has it, and what it has is what the hash says.
	BlobWhole
	// BlobLater: the hub cannot take files now.
	BlobLater
	// BlobUnfit: what was sent is not what the entry promised; At is 0 again.
	BlobUnfit
)

// BlobAt says how far the hub is with one file.
type BlobAt struct {
	_     struct{} `cbor:",toarray"`
	Hash  entry.Hash
	State BlobState
	At    uint64 // bytes that it has durably, from the first on
	// Preview says that it has the preview, or needs none.
	Preview bool
}

// BlobAnswer is the hub's answer to a [BlobAsk]: one At for each file that it named.
type BlobAnswer struct {
	At      []BlobAt `cbor:"1,keyasint,omitempty"`
	Refused *Refusal `cbor:"2,keyasint,omitempty"`
	// Archived are those of the ask's that are whole at the hub now, and were when its
	// last two verified backups were made.
	Archived []entry.Hash `cbor:"3,keyasint,omitempty"`
}

// Bounds of files on their way.
const (
	// MaxPiece bounds a piece's bytes: what is lost when a link breaks.
	MaxPiece = 64 << 10
	// MaxPreview bounds a preview's bytes.
	MaxPreview = 16 << 10
	// MaxOffers bounds the files of one ask.
	MaxOffers = 256
	// MaxBlobAsk bounds the message.
	MaxBlobAsk = MaxPiece + 1<<10
	// MaxBlob bounds a file.
	MaxBlob = 4 << 20
)

// BlobOn is where a device offers and sends its photos.
func BlobOn(d dot.Device) string { return Prefix + "blob." + string(d) }

// BlobAny is where the hub listens for them.
const BlobAny = Prefix + "blob.*"

func (BlobAsk) limit() int { return MaxBlobAsk }

func (a BlobAsk) check() error {
	said := 0
	for _, is := range []bool{len(a.Offers) > 0, a.Piece != nil, a.Preview != nil, len(a.Archived) > 0} {
		if is {
			said++
		}
	}
	switch {
	case said != 1:
		return errors.New("blob: one of offers, a piece, a preview and archived must stand")
	case len(a.Offers) > MaxOffers, len(a.Archived) > MaxOffers:
		return fmt.Errorf("blob: %d files in one ask, the limit is %d", max(len(a.Offers), len(a.Archived)), MaxOffers)
	case a.Piece != nil:
		return a.Piece.check(MaxPiece, MaxBlob)
	case a.Preview != nil:
		return a.Preview.check(MaxPreview, MaxPreview)
	}
	return nil
}

func (p *BlobPiece) check(most int, whole uint64) error {
	if len(p.Bytes) == 0 || len(p.Bytes) > most || p.Offset > whole || p.Offset+uint64(len(p.Bytes)) > whole {
		return fmt.Errorf("blob: %d bytes from %d on are no piece of a file", len(p.Bytes), p.Offset)
	}
	return nil
}

func (a BlobAnswer) check() error {
	if len(a.At) > MaxOffers || len(a.Archived) > MaxOffers {
		return fmt.Errorf("blob: %d answers, the limit is %d", max(len(a.At), len(a.Archived)), MaxOffers)
	}
	for _, at := range a.At {
		if at.State > BlobUnfit || at.At > MaxBlob {
			return fmt.Errorf("blob: state %d at %d", at.State, at.At)
		}
	}
	return nil
}

// RequestLimit is the largest request that the hub takes on a subject such as
// [HelloAny], in bytes.
func RequestLimit(subject string) int {
	if subject == BlobAny {
		return MaxBlobAsk
	}
	return MaxMessage
}
