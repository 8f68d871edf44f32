// Package entry defines the fact that Otor carries.
//
// An entry is one immutable, chained, captured fact: a visit, a count, a
// report. A device mints it once, keeps it, and delivers it to the hub as the
// very bytes that it minted. Nothing downstream re-encodes an entry: hashes are
// over stored bytes, so an entry that a newer program wrote, with keys that
// this one does not know, still verifies and still travels.
//
// An entry has two parts. The public part says what is needed to carry, order
// and merge it: its dot, its times, who captured it, which form it answers,
// which entities it touches and what its writer had seen of them, where it was
// captured, and by what hash its photos are known. The private part holds the
// answers themselves, behind a salt, so that its hash tells nothing. The chain
// covers the private part only by its hash: a private part can be erased later
// and every head still verifies.
//
// The bytes are deterministic CBOR (RFC 8949 section 4.2.1) with integer keys;
// testdata holds committed vectors. The nouns:
//
//   - [Public] and [Private] are the two parts as Go values.
//   - [Raw] is an entry as bytes: what is stored, hashed and sent.
//   - [Hash] is a SHA-256; [Raw.Hash] is an entry's own, [Next] gives the head
//     of its chain after it, and [Genesis] the head before the first.
//   - [Ref] names an entity that the entry touches; [Write] is a new value for
//     one of its fields, made in a context that Public.Contexts lists.
//   - [Position] is where, [Blob] a photo or file, [Origin] why an incarnation
//     began, [Was] the old form of an entry that was re-homed.
package entry

import (
	"otor/internal/dot"
	"otor/internal/hlc"
	"otor/internal/vv"
)

// Limits of an entry's encoded size in bytes, both parts together.
const (
	MaxSize      = 64 << 10
	MaxAlertSize = 1 << 10
	// RehomedRoom is what a re-homed entry may have above its lane's limit: its
	// new dot, its was, an origin, and contexts that name two chains for one.
	RehomedRoom = 4 << 10
	// MaxRaw bounds any entry.
	MaxRaw = MaxSize + RehomedRoom
)

// SaltSize is the length of a private part's salt in bytes.
const SaltSize = 16

// MaxFor returns the size limit of entries in lane l, in bytes.
func MaxFor(l dot.Lane) int {
	if l == dot.Alert {
		return MaxAlertSize
	}
	return MaxSize
}

// Public is the part of an entry that is needed to carry, order and merge it.
type Public struct {
	Dot  dot.Dot
	HLC  hlc.Time // at or after Wall
	Wall int64    // the device's wall clock at capture, Unix milliseconds
	Zone int      // the device's zone at capture, minutes east of UTC

	// Offset is what the device last learnt of its clock against the hub's. nil: never.
	Offset *Offset
	Actor  string // the user's id
	// Form is what the entry answers; System is set instead for entries of the
	// mechanism itself. One of the two is empty.
	Form   FormRef
	System string

	Refs     []Ref       // entities that the entry touches, the main one first
	Contexts []vv.Vector // what the writer had seen, named by Write.Context
	Blobs    []Blob
	Position *Position
	Origin   *Origin  // only at seq 1
	Was      *Was     // only on re-homed entries
	Corrects *dot.Dot // the earlier entry that this one corrects
}

// Offset is a device's estimate of (hub clock - device clock).
type Offset struct {
	_      struct{} `cbor:",toarray"`
	Millis int64
	Age    uint32 // seconds since it was measured
}

// FormRef names a form and its version.
type FormRef struct {
	_       struct{} `cbor:",toarray"`
	ID      string
	Version uint32
}

// Ref names an entity by its type and id.
type Ref struct {
	_    struct{} `cbor:",toarray"`
	Type string
	ID   string
}

func (r Ref) String() string { return r.Type + "/" + r.ID }

// Blob is a reference to a photo or file, addressed by its SHA-256.
type Blob struct {
	_    struct{} `cbor:",toarray"`
	Hash Hash
	Size uint64 // bytes
	Mime string
}

// Position says where an entry was captured, WGS84 only.
type Position struct {
	Lon      int32          `cbor:"1,keyasint"`           // millionths of a degree, east positive
	Lat      int32          `cbor:"2,keyasint"`           // millionths of a degree, north positive
	Accuracy uint32         `cbor:"3,keyasint,omitempty"` // decimetres; 0: unknown
	Source   PositionSource `cbor:"4,keyasint"`
	Age      uint32         `cbor:"5,keyasint,omitempty"` // seconds between the fix and the capture
	Altitude *int32         `cbor:"6,keyasint,omitempty"` // decimetres above the ellipsoid
}

// PositionSource says how a position came about. Its values are wire values.
type PositionSource uint8

// The sources of a position.
const (
	GNSS      PositionSource = 1 // a satellite fix
	Picked    PositionSource = 2 // pointed at by hand
	Waypoint  PositionSource = 3 // a waypoint's stored place
	LastKnown PositionSource = 4 // an older fix, see Age
)

// Reason says why an incarnation was minted. Its values are wire values.
type Reason uint8

// The reasons for a new incarnation.
const (
	Installed  Reason = 1
	Restored   Reason = 2
	Moved      Reason = 3
	Diverged   Reason = 4
	Reenrolled Reason = 5
	Damaged    Reason = 6
)

// Origin stands on the first entry of each lane of an incarnation: why it was
// minted, which incarnation it follows, and where that one's lane ended as far
// as this device knows. Previous is 0 for a device's first incarnation.
type Origin struct {
	_        struct{} `cbor:",toarray"`
	Reason   Reason
	Previous dot.Incarnation
	LastSeq  dot.Seq
	LastHead Hash
}

// Was names the old form of a re-homed entry.
type Was struct {
	Dot  dot.Dot
	Hash Hash
}

// Private is the part of an entry that can be erased.
type Private struct {
	Salt [SaltSize]byte
	// Fields are the record's answers by field name. Values are nil, bool,
	// int64, float64, string, []any and map[string]any.
	Fields map[string]any
	Writes []Write
	// Priors say what was displayed where some of the writes were made.
	Priors []Prior
}

// Op says what a write does to its field. Its values are wire values.
type Op uint8

// The operations of a write.
const (
	Set Op = 0 // replaces the values that its context covers
	Add Op = 1 // stands beside what was displayed in conflict
	// Move adds Value, a whole number, to a count. It replaces nothing, and its
	// context says nothing.
	Move Op = 2
)

// Write is an entry's new value for one field of one entity.
type Write struct {
	_       struct{} `cbor:",toarray"`
	Ref     uint32   // index into Public.Refs
	Field   string
	Op      Op
	Value   any
	Context uint32 // index into Public.Contexts
}

// Prior is the value that was displayed where a write was made: what stays
// provisionally when the write turns out to be a side of a conflict.
type Prior struct {
	Write uint32  // index into Private.Writes
	Dot   dot.Dot // of the entry that wrote the displayed value
	Value any
}
