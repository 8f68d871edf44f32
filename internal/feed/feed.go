// Package feed holds what hub and device must agree on of the way down: the
// rows of a feed, the pages that carry them, and the cursors that say how far a
// device has come.
//
// A scope is a named part of the hub's data. Its feed is its rows in the order
// of their last change: each change gives its row the scope's next number, so a
// device that has applied everything up to n asks for what lies above n and
// gets each thing at most once, as it is now. A row is named by what it is of
// and its key; the latest alone stays. That something went away, deleted or
// moved out of the scope, is a row too ([Gone]) and takes the place of what it
// ends.
//
// Each commit at the hub that touches a feed leaves a random [Mark] with the
// number that it reached. A [Cursor] names a number and the mark that stood
// there, and is signed by the hub: so a cursor that the hub signed and whose
// mark it does not have proves that its database was put back (law L12).
//
//   - [Row], [Kind], [Name]: one row, what it is of, what names it.
//   - [Mark], [Position], [Cursor]: how far somebody is.
//   - [Pack], [Unpack]: the rows of a page as they travel.
package feed

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"otor/internal/dot"
	"otor/internal/entry"
)

// Kind says what a row is. The numbers travel and are stored: they never change
// their meaning, new ones may come, and who does not know one keeps the row.
type Kind uint8

// The kinds of rows.
const (
	Entity  Kind = 1 // the state of an entity; key [EntityKey]
	Gone    Kind = 2 // an entity was deleted, or left the scope; in place of its state
	Verdict Kind = 3 // what the hub made of an entry; key: the dot; body [Outcome]
	Message Kind = 4 // words to a device or to everybody in a scope
	Grant   Kind = 5 // the scopes of a device changed; key [GrantKey]
	Form    Kind = 6 // a pack or a form, or a chunk of it
)

func (k Kind) String() string {
	if names := [...]string{"", "entity", "gone", "verdict", "message", "grant", "form"}; int(k) < len(names) && k > 0 {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Slot is what shares a place with k: a state and its end do.
func (k Kind) Slot() Kind {
	if k == Gone {
		return Entity
	}
	return k
}

// GrantKey is the key of a device's one row of kind [Grant].
const GrantKey = "scopes"

// Everybody is the scope that every device has beside its granted ones and its own.
const Everybody = "all"

// deviceScope starts the name of a device's own scope.
const deviceScope = "device:"

// ScopeOf is the device's own scope: its verdicts, messages and grants.
func ScopeOf(d dot.Device) string { return deviceScope + string(d) }

// Reserved reports whether a scope's name is one that nobody is granted by
// name: a device's own, or everybody's.
func Reserved(scope string) bool {
	return scope == Everybody || strings.HasPrefix(scope, deviceScope)
}

// Scopes lists what a device with these grants may pull: its own first, since
// verdicts and grants come that way, then everybody's, then the granted ones.
func Scopes(d dot.Device, granted []string) []string {
	return append([]string{ScopeOf(d), Everybody}, granted...)
}

// Limits of a row.
const (
	MaxKey  = 256      // bytes
	MaxBody = 96 << 10 // bytes
	MaxN    = 1<<53 - 1
)

// Row is one row of a feed.
type Row struct {
	N    uint64 // its place in the feed, from 1
	Kind Kind
	Key  string
	// Rev rises with each change of what the key names, whatever scopes that is
	// in: of two rows of two scopes the higher one is the newer. 0 where a key
	// belongs to one scope.
	Rev  uint64
	Body []byte // opaque here; empty for Gone
}

// Name is what a row is found by within its feed.
type Name struct {
	Slot Kind
	Key  string
}

// Name gives the row's name.
func (r Row) Name() Name { return Name{r.Kind.Slot(), r.Key} }

// Size is about what the row takes in a page before it is packed, in bytes.
func (r Row) Size() int { return len(r.Key) + len(r.Body) + rowOverhead }

const rowOverhead = 12

// Check refuses what no feed can hold.
func (r Row) Check() error {
	switch {
	case r.Kind == 0:
		return fmt.Errorf("row %q: it has no kind", r.Key)
	case r.Key == "" || len(r.Key) > MaxKey || !utf8.ValidString(r.Key):
		return fmt.Errorf("row of kind %s: its key is empty, no text, or above %d bytes", r.Kind, MaxKey)
	case len(r.Body) > MaxBody:
		return fmt.Errorf("row %s %s: %d bytes, the limit is %d", r.Kind, r.Key, len(r.Body), MaxBody)
	case r.Kind == Gone && len(r.Body) > 0:
		return fmt.Errorf("row %s %s: what is gone has no content", r.Kind, r.Key)
	case r.N > MaxN || r.Rev > MaxN:
		return fmt.Errorf("row %s %s: numbers end at %d", r.Kind, r.Key, uint64(MaxN))
	}
	return nil
}

// EntityKey names an entity in a feed: TYPE/ID.
func EntityKey(r entry.Ref) string { return r.String() }

// RefOf is the entity that a key names.
func RefOf(key string) (entry.Ref, bool) {
	t, id, ok := strings.Cut(key, "/")
	return entry.Ref{Type: t, ID: id}, ok && t != "" && id != ""
}
