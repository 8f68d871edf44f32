package feed

import "time"

// Held is a signed cursor as a device keeps it, and what of it the device needs.
type Held struct {
	Signed []byte `cbor:"1,keyasint"`
	N      uint64 `cbor:"2,keyasint"`
	Mark   Mark   `cbor:"3,keyasint"`
}

// Position is the cursor's.
func (h Held) Position() Position { return Position{N: h.N, Mark: h.Mark} }

// State is how far a device has come with one scope.
type State struct {
	Scope string
	// Cursors are those that the device passed, newest first; none at the
	// beginning. At most [MaxCursors], the older ones further apart.
	Cursors []Held
	// Loading says that a new generation of the scope's rows is being loaded in
	// place of the shown one. Cursors then is where the load is.
	Loading bool
	// Doubt says that rows which an earlier database of the hub sent must be
	// asked for again.
	Doubt bool
	// Rows is how many rows there are, those of what is gone counted.
	Rows uint64
	// AsOf is when the device last had all that the hub had, by its own clock; zero: never.
	AsOf time.Time
}

// MaxCursors bounds the cursors that a device keeps of a scope.
const MaxCursors = 16

// Position is the newest cursor's; the zero position at the beginning.
func (s State) Position() Position {
	if len(s.Cursors) == 0 {
		return Position{}
	}
	return s.Cursors[0].Position()
}

// Page is a piece of a scope's feed as a device applies it: checked, and its
// cursor signed by the hub.
type Page struct {
	Scope string
	From  Position // the cursor that it follows
	Next  Held
	Rows  []Row
	More  bool
}

// Fetched is what the hub has of rows that were doubtful.
type Fetched struct {
	Scope string
	From  Position // the cursor with which it was asked
	// Next is that cursor, anchored at the moment of the answer: the rows may
	// lie above it, and are of a feed that went as far as that.
	Next  Held
	Asked []Name
	Rows  []Row // those of the names that the hub has now
	All   bool  // nothing else was doubtful
}
