// Package batch packs consecutive entries of one chain into one signed frame.
//
// A frame is what travels: up a NATS subject, through a carrier's hands, or in
// a file. It is CBOR [header, signature, body]. The [Header] names the chain,
// the run of seqs, and the heads before and after; the signature covers the
// header alone, and the heads pin the content. So a frame can be passed on by
// anyone and changed by no one, and the receiver checks one signature however
// many entries there are.
//
// The body holds the entries' exact bytes in a compact form. Codec 1 takes
// apart the CBOR of every part into its shape (maps, keys, lengths) and its
// values; equal shapes are written once, values of the same place stand
// together in columns, salts and hashes are kept out of the compressor, and
// zstd does the rest. A part that is not deterministic CBOR is carried as it
// is. [Open] gives back the same bytes, or an error.
//
// Bounds: at most [MaxCount] entries, [MaxFrame] bytes as a frame, [MaxRaw]
// bytes unpacked.
package batch

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
)

// Limits of one frame.
const (
	MaxCount = 4096
	// MaxFrame is the size of a frame in bytes. Only a frame with a single
	// entry may come near it with an incompressible 64 KiB.
	MaxFrame = 128 << 10
	// MaxRaw is the size of all parts of all entries in bytes.
	MaxRaw = 8 << 20
)

// Version of the frame format.
const Version = 1

// Codec says how a body is packed. Its values are wire values.
type Codec uint8

// Columns is codec 1, described in the package comment.
const Columns Codec = 1

// Header says what a frame holds. It is what the signature covers.
type Header struct {
	Chain  dot.Chain
	Run    lane.Range
	Before entry.Hash // the chain's head at Run.First-1
	After  entry.Hash // the chain's head at Run.Last
	Codec  Codec
}

// Count is the number of entries in the frame.
func (h Header) Count() int { return int(h.Run.Len()) }

type wireHeader struct {
	Version     uint8           `cbor:"1,keyasint"`
	Device      string          `cbor:"2,keyasint"`
	Incarnation dot.Incarnation `cbor:"3,keyasint"`
	Lane        uint8           `cbor:"4,keyasint"`
	First       dot.Seq         `cbor:"5,keyasint"`
	Count       uint32          `cbor:"6,keyasint"`
	Before      entry.Hash      `cbor:"7,keyasint"`
	After       entry.Hash      `cbor:"8,keyasint"`
	Codec       Codec           `cbor:"9,keyasint"`
}

type wireFrame struct {
	_      struct{} `cbor:",toarray"`
	Header []byte
	Sig    []byte
	Body   []byte
}

// Errors that callers tell apart.
var (
	// ErrMalformed marks bytes that are not a frame of this version.
	ErrMalformed = errors.New("not a batch")
	// ErrMismatch marks a body that is not what the header's heads pin.
	ErrMismatch = errors.New("batch content does not match its heads")
	// ErrTooLarge marks entries that do not fit into one frame.
	ErrTooLarge = errors.New("batch too large")
)

var encMode, decMode = func() (cbor.EncMode, cbor.DecMode) {
	em, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dm, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 32,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return em, dm
}()

// Level says how hard to compress.
type Level uint8

// The levels: Fast for links that outrun the processor, Small for all others.
const (
	Small Level = iota
	Fast
)

// Seal packs and signs entries that follow before in the chain, from seq first
// on. It returns the frame and its header. It wraps [ErrTooLarge] when they do
// not fit: try with fewer, unless there is only one.
func Seal(c dot.Chain, first dot.Seq, before entry.Hash, entries []entry.Raw, key identity.SigningKey, level Level) ([]byte, Header, error) {
	h := Header{Chain: c, Run: lane.Run(first, first+dot.Seq(len(entries))-1), Before: before, Codec: Columns}
	switch {
	case len(entries) == 0 || !h.Run.Valid():
		return nil, Header{}, fmt.Errorf("seal batch of %s from %d: no entries", c, first)
	case c.Check() != nil:
		return nil, Header{}, fmt.Errorf("seal batch: %w", c.Check())
	case len(entries) > MaxCount:
		return nil, Header{}, fmt.Errorf("seal batch %s %s: %w: %d entries, the limit is %d", c, h.Run, ErrTooLarge, len(entries), MaxCount)
	}
	head, raw := before, 0
	for i, e := range entries {
		if e.Size() > entry.MaxRaw {
			return nil, Header{}, fmt.Errorf("seal batch %s %s: %w: seq %d has %d bytes, the limit is %d",
				c, h.Run, ErrTooLarge, first+dot.Seq(i), e.Size(), entry.MaxRaw)
		}
		head = entry.Next(head, e)
		raw += e.Size()
	}
	h.After = head
	if raw > MaxRaw {
		return nil, Header{}, fmt.Errorf("seal batch %s %s: %w: %d bytes unpacked, the limit is %d", c, h.Run, ErrTooLarge, raw, MaxRaw)
	}
	hb, err := encMode.Marshal(wireHeader{
		Version: Version, Device: string(c.Device), Incarnation: c.Incarnation, Lane: uint8(c.Lane),
		First: first, Count: uint32(len(entries)), Before: before, After: head, Codec: Columns,
	})
	if err != nil {
		return nil, Header{}, fmt.Errorf("seal batch %s %s: %w", c, h.Run, err)
	}
	body, err := pack(entries, level)
	if err != nil {
		return nil, Header{}, fmt.Errorf("seal batch %s %s: %w", c, h.Run, err)
	}
	frame, err := encMode.Marshal(wireFrame{Header: hb, Sig: key.Sign(identity.ForBatch, hb), Body: body})
	if err != nil {
		return nil, Header{}, fmt.Errorf("seal batch %s %s: %w", c, h.Run, err)
	}
	if len(frame) > MaxFrame {
		return nil, Header{}, fmt.Errorf("seal batch %s %s: %w: %d bytes, the limit is %d", c, h.Run, ErrTooLarge, len(frame), MaxFrame)
	}
	return frame, h, nil
}

// Frame is a frame whose header was read and whose content was not yet
// believed: call Verify, then Entries.
type Frame struct {
	Header Header
	header []byte
	sig    []byte
	body   []byte
}

// Open reads a frame's header. Errors wrap [ErrMalformed].
func Open(b []byte) (*Frame, error) {
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(b), MaxFrame)
	}
	var f wireFrame
	if err := decMode.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var w wireHeader
	if err := decMode.Unmarshal(f.Header, &w); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	h := Header{
		Chain:  dot.Chain{Device: dot.Device(w.Device), Incarnation: w.Incarnation, Lane: dot.Lane(w.Lane)},
		Run:    lane.Run(w.First, w.First+dot.Seq(w.Count)-1),
		Before: w.Before, After: w.After, Codec: w.Codec,
	}
	if err := h.Chain.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case w.Version != Version:
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrMalformed, w.Version, Version)
	case w.Codec != Columns:
		return nil, fmt.Errorf("%w: codec %d is not known", ErrMalformed, w.Codec)
	case w.Count == 0 || w.Count > MaxCount || w.First > dot.MaxSeq || !h.Run.Valid():
		return nil, fmt.Errorf("%w: %d entries from seq %d", ErrMalformed, w.Count, w.First)
	case len(f.Sig) != identity.SignatureSize:
		return nil, fmt.Errorf("%w: signature of %d bytes", ErrMalformed, len(f.Sig))
	}
	return &Frame{Header: h, header: f.Header, sig: f.Sig, body: f.Body}, nil
}

// Verify reports whether the frame was signed with that key.
func (f *Frame) Verify(key identity.PublicKey) bool {
	return key.Verify(identity.ForBatch, f.header, f.sig)
}

// Entries unpacks the entries, checks that they lead from Before to After, and
// returns them in order of seq. It does not look inside their parts. Errors
// wrap [ErrMalformed] (cannot be unpacked) or [ErrMismatch] (not what was signed).
func (f *Frame) Entries() ([]entry.Raw, error) {
	entries, _, err := f.Chained()
	return entries, err
}

// Chained is Entries with the chain's head after each entry.
func (f *Frame) Chained() ([]entry.Raw, []entry.Hash, error) {
	entries, err := unpack(f.body, f.Header.Count())
	if err != nil {
		return nil, nil, fmt.Errorf("batch %s %s: %w: %w", f.Header.Chain, f.Header.Run, ErrMalformed, err)
	}
	head, heads := f.Header.Before, make([]entry.Hash, len(entries))
	for i, e := range entries {
		head = entry.Next(head, e)
		heads[i] = head
	}
	if head != f.Header.After {
		return nil, nil, fmt.Errorf("batch %s %s: %w", f.Header.Chain, f.Header.Run, ErrMismatch)
	}
	return entries, heads, nil
}
