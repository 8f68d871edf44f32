package web

import (
	"context"
	"time"

	"otor/internal/dot"
)

// Books gives what the device knows of long-lived things at one moment.
type Books interface {
	Book(ctx context.Context) (Book, error)
}

// Book is what the device knows at one moment. It is safe for concurrent use.
type Book interface {
	// Thing is one entity; ok is false for one that is not known here.
	Thing(typ, id string) (t Thing, ok bool)
	// Written is Thing without what the pack derives, which may take a look at much else.
	Written(typ, id string) (t Thing, ok bool)
	// IDs lists the entities of a type, in order.
	IDs(typ string) []string
	// Size is about how many entities the device holds.
	Size() uint64
	// Edition is another number whenever the device shows anything otherwise.
	Edition() uint64
	// Having lists those of them whose written field has a value.
	Having(typ, field string, value any) []string
}

// Thing is one entity as it is shown: masked where it is to be, with what the
// pack derives. Fields without a value are left out; numbers are float64 or int64.
type Thing struct {
	Type, ID  string
	Fields    map[string]any
	Conflicts []string   // fields that the office has to decide
	AsOf      *time.Time // when the device last had all that the hub had of its scope; nil: never
	Touches   []Touch    // who wrote what still stands, the latest first
}

// Touch says which fields an entry gave their values, and when.
type Touch struct {
	Dot    dot.Dot
	At     time.Time
	Fields []string
}
