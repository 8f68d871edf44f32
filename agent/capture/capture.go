// Package capture makes a filled form an entry.
//
// A capture is checked against its form, given a salt and its times, encoded,
// and handed to the store as one draft, which comes back saved: entry, tail and
// logical time in one commit, before anybody is told "saved". What a person
// must correct is a [Refusal], and nothing was written then. A national number
// that looks mistyped is a warning only: the team may have nothing better in
// hand, and the hub sets the record aside.
//
//   - [Request] is what was filled in, [Result] where it was saved.
//   - [Store] and [Forms] are what a capture needs of other rooms.
package capture

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// Store takes drafts in the order in which they are submitted; wait returns
// once the entry is durable.
type Store interface {
	Submit(context.Context, entry.Draft) (wait func() (entry.Saved, error))
}

// Forms holds the forms; [*form.Registry] does. Errors of Form are [*form.LookupError].
type Forms interface {
	Latest(id string) (*form.Form, bool)
	Form(id string, version uint32) (*form.Form, error)
}

// Config says what a Capture works with. Store, Forms and Random are needed.
type Config struct {
	Store  Store
	Forms  Forms
	Random io.Reader        // of salts; must be unpredictable
	Now    func() time.Time // the device's clock; nil: time.Now
	Zone   *time.Location   // the device's zone; nil: time.Local
	// Offset is what the device last learnt of its clock against the hub's, nil
	// when it never did. The func may be nil.
	Offset func() *entry.Offset
	Demo   bool // fictional resident numbers are in order
	// Types gives the rules of entity types, Displayed an entity as the device shows
	// it now. nil: no type is known, nothing is displayed.
	Types     func(name string) *merge.Type
	Displayed func(ref entry.Ref) (*merge.State, error)
	// File finds a file that an answer names, as this device keeps it; false for one
	// that is not here, whose name the answer keeps all the same. nil: none is here.
	File func(name string) (entry.Blob, bool)
}

// Capture saves records. It is safe for concurrent use when what it works with is.
type Capture struct {
	c Config

	mu      sync.Mutex                  // guards writing
	writing map[entry.Ref]chan struct{} // entities that captures write to which are not saved yet; closed when they are
}

// New returns a Capture.
func New(c Config) *Capture {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	if c.Offset == nil {
		c.Offset = func() *entry.Offset { return nil }
	}
	if c.Types == nil {
		c.Types = func(string) *merge.Type { return nil }
	}
	if c.File == nil {
		c.File = func(string) (entry.Blob, bool) { return entry.Blob{}, false }
	}
	if c.Displayed == nil {
		c.Displayed = func(ref entry.Ref) (*merge.State, error) { return merge.New(ref), nil }
	}
	return &Capture{c: c, writing: make(map[entry.Ref]chan struct{})}
}

// Request is a filled form.
type Request struct {
	Form    string
	Version uint32 // 0: the latest
	// EntityType and Entity name what the record is about. An empty type is the
	// form's; an empty Entity names nothing.
	EntityType, Entity string
	Actor              string // the user's id
	// At is the device's wall clock at the capture; nil: now. The logical time
	// rises all the same.
	At *time.Time
	// Fields are the answers as [form.FromJSON] gives them.
	Fields   map[string]any
	Position *entry.Position
	Corrects *dot.Dot // the earlier entry that this one corrects
	// FormDraft is the id of the device's draft that this record completes, "" for none.
	FormDraft string
	// Displayed are entities as the person had them in view, as package merge writes
	// them: they freeze when they are displayed, and live in the draft (L13). One that
	// is not among them counts as displayed as it is now.
	Displayed map[entry.Ref][]byte
	// Settles says of which fields, as "type/id#field", the record decides a conflict.
	Settles []string
}

// Result says where a record was saved.
type Result struct {
	Dot      dot.Dot
	Hash     entry.Hash
	SavedAt  time.Time
	Warnings []form.Problem // not grave: the record is saved as it is
}

// Limits of the names in a request, in bytes.
const maxName = 128

// Capture checks and saves one record. Errors: a [*Refusal] or a
// [*form.LookupError] for what a person must correct; otherwise the store's.
func (c *Capture) Capture(ctx context.Context, r Request) (Result, error) {
	return c.Begin(ctx, r)()
}

// Begin checks a record and hands it to the store; wait gives what Capture
// does. Records begun one after the other are chained in that order.
func (c *Capture) Begin(ctx context.Context, r Request) (wait func() (Result, error)) {
	f, err := c.form(r)
	if err != nil {
		return refused(err)
	}
	now := c.c.Now().In(c.c.Zone)
	wall := now
	if r.At != nil {
		wall = r.At.In(c.c.Zone)
	}
	problems := r.check(f)
	today := now
	if wall.After(today) {
		today = wall
	}
	problems = append(problems, f.Check(r.Fields, form.Env{Today: form.DateOf(today), DemoMode: c.c.Demo})...)
	var warnings []form.Problem
	for _, p := range problems {
		if p.Grave {
			return refused(&Refusal{Form: f.String(), Problems: problems})
		}
		warnings = append(warnings, p)
	}
	_, zone := wall.Zone()
	d := entry.Draft{
		Lane: f.Lane, FormDraft: r.FormDraft,
		Public: entry.Public{
			Wall: wall.UnixMilli(), Zone: zone / 60, Offset: c.c.Offset(), Actor: r.Actor,
			Form: entry.FormRef{ID: f.ID, Version: f.Version}, Refs: r.refs(f), Position: r.Position, Corrects: r.Corrects,
			Blobs: c.blobs(f, r.Fields),
		},
	}
	saved, err := c.submit(ctx, f, r, d, form.MomentOf(wall))
	if err != nil {
		return refused(err)
	}
	return func() (Result, error) {
		s, err := saved()
		if err != nil {
			return Result{}, fmt.Errorf("capture %s: %w", f, err)
		}
		return Result{Dot: s.Dot, Hash: s.Hash, SavedAt: s.SavedAt, Warnings: warnings}, nil
	}
}

func refused(err error) func() (Result, error) {
	return func() (Result, error) { return Result{}, err }
}

func (c *Capture) form(r Request) (*form.Form, error) {
	if r.Version != 0 {
		return c.c.Forms.Form(r.Form, r.Version)
	}
	f, ok := c.c.Forms.Latest(r.Form)
	if !ok {
		return nil, &form.LookupError{Code: form.FormUnknown, ID: r.Form}
	}
	return f, nil
}

// blobs are the files that the answers name and this device keeps: they follow the
// entry to the hub.
func (c *Capture) blobs(f *form.Form, sheet map[string]any) (out []entry.Blob) {
	for _, name := range f.Files(sheet) {
		b, ok := c.c.File(name)
		if ok && !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}

// refs names the entity that the record is about.
func (r Request) refs(f *form.Form) []entry.Ref {
	if r.Entity == "" {
		return nil
	}
	kind := r.EntityType
	if kind == "" {
		kind = f.Entity
	}
	return []entry.Ref{{Type: kind, ID: r.Entity}}
}

// check finds what is wrong around the form's fields.
func (r Request) check(f *form.Form) []form.Problem {
	var out []form.Problem
	refuse := func(field string, code form.Code, words string) {
		out = append(out, form.Problem{Field: field, Code: code, Words: field + ": " + words, Grave: true})
	}
	for _, n := range []struct{ field, value string }{{"entity", r.Entity}, {"entity type", r.EntityType}, {"user", r.Actor}} {
		switch {
		case len(n.value) > maxName:
			refuse(n.field, form.TooLong, fmt.Sprintf("has %d bytes, at most %d are kept", len(n.value), maxName))
		case !utf8.ValidString(n.value):
			refuse(n.field, form.BadType, "is not text")
		}
	}
	if r.Entity != "" && r.EntityType == "" && f.Entity == "" {
		refuse("entity type", form.Missing, fmt.Sprintf("form %s is about no entity of its own: say what kind %q is", f.ID, r.Entity))
	}
	if p := r.Position; p != nil {
		switch {
		case p.Lon < -180e6 || p.Lon > 180e6 || p.Lat < -90e6 || p.Lat > 90e6:
			refuse("position", form.OutOfRange, "is not on the earth: longitude must lie within 180 degrees and latitude within 90")
		case p.Source < entry.GNSS || p.Source > entry.LastKnown:
			refuse("position", form.BadChoice, "has no known source")
		}
	}
	if r.At != nil && (r.At.Year() < 1970 || r.At.Year() > 9999) {
		refuse("at", form.OutOfRange, "the time must lie between the years 1970 and 9999")
	}
	return out
}
