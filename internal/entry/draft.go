package entry

import (
	"time"

	"otor/internal/dot"
	"otor/internal/hlc"
)

// Draft is an entry before it has a place in a chain: what a capture hands to
// whoever mints entries.
type Draft struct {
	Lane dot.Lane
	// Public has everything but Dot, HLC and Origin, which minting assigns.
	Public Public
	// Private is the encoded private part.
	Private []byte
	// FormDraft is the id of the device's form draft that this entry completes, ""
	// for none. It is no part of the entry.
	FormDraft string
	// Written are the entities that it writes to, some of Public.Refs.
	Written []Ref
}

// Saved says what became of a draft once it was durable.
type Saved struct {
	Dot     dot.Dot
	Hash    Hash // the entry's own
	Head    Hash // its chain's head after it
	HLC     hlc.Time
	SavedAt time.Time
	Size    int // bytes of both parts
}
