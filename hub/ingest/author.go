package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/merge"
)

// Note is a record that an operator makes at the hub.
type Note struct {
	Form   string
	Entity entry.Ref
	Actor  string
	Fields map[string]any
	// Displayed are entities as the operator had them in view, as package merge
	// writes them. One that is not among them counts as displayed as it is.
	Displayed map[entry.Ref][]byte
	// Settles says of which fields, as "type/id#field", the record decides a conflict.
	Settles []string
}

func (n Note) refs() []entry.Ref {
	if n.Entity == (entry.Ref{}) {
		return nil
	}
	return []entry.Ref{n.Entity}
}

// FormBook finds the newest version of a form as well.
type FormBook interface {
	Forms
	Latest(id string) (*form.Form, bool)
}

// Author mints operators' entries: under the device name HUB, in an incarnation
// that is random for each start of a worker, so that two workers, or a hub that
// was restored from a backup, never mint the same dot.
type Author struct {
	cfg         Config
	forms       FormBook
	random      io.Reader
	incarnation dot.Incarnation
	record      Recorder

	mu    sync.Mutex // owner of clock
	clock *hlc.Clock
}

// Recorder runs an act of the hub in a transaction and records the entry that it
// made, so that a hub which was put back has it again. nil: nothing was to be made,
// and nothing is recorded.
type Recorder func(ctx context.Context, act func(tx store.Tx) (*store.Entry, error)) error

// RecordBy has what is authored from now on recorded. Before it is called entries
// are committed and nothing more.
func (a *Author) RecordBy(r Recorder) { a.record = r }

// NewAuthor draws the incarnation.
func NewAuthor(cfg Config, forms FormBook, random io.Reader) (*Author, error) {
	var b [4]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("draw an incarnation: %w", err)
	}
	inc := dot.Incarnation(binary.BigEndian.Uint32(b[:])>>1) + 1
	a := &Author{cfg: cfg, forms: forms, random: random, incarnation: inc, clock: hlc.NewClock(hlc.Time{})}
	a.record = func(ctx context.Context, act func(tx store.Tx) (*store.Entry, error)) error {
		return cfg.Store.Ingest(ctx, func(tx store.Tx) error { _, err := act(tx); return err })
	}
	return a, nil
}

// ErrNotApplied marks an operator's record that would only be quarantined.
var ErrNotApplied = errors.New("the record cannot be applied")

// Add commits an operator's record. A record that the form refuses is a
// [*form.LookupError] or a [form.Problem], one that is refused for another
// reason wraps [ErrNotApplied]; nothing of either is kept.
func (a *Author) Add(ctx context.Context, n Note) (store.Entry, error) {
	f, ok := a.forms.Latest(n.Form)
	if !ok {
		return store.Entry{}, &form.LookupError{Code: form.FormUnknown, ID: n.Form}
	}
	now := a.cfg.Now()
	env := form.Env{Today: form.DateOf(now.In(a.cfg.Zone)), DemoMode: a.cfg.Demo}
	if problems := f.Check(n.Fields, env); len(problems) > 0 {
		return store.Entry{}, problems[0]
	}
	private := entry.Private{Fields: n.Fields}
	if _, err := io.ReadFull(a.random, private.Salt[:]); err != nil {
		return store.Entry{}, fmt.Errorf("draw a salt: %w", err)
	}
	saved, err := f.Saved(n.Entity.ID, n.Fields, form.MomentOf(now.In(a.cfg.Zone)))
	if err != nil {
		return store.Entry{}, err
	}
	pub := entry.Public{
		Wall: now.UnixMilli(), Zone: zoneMinutes(now.In(a.cfg.Zone)), Actor: n.Actor,
		Form: entry.FormRef{ID: f.ID, Version: f.Version}, Refs: n.refs(),
	}
	c := dot.Chain{Device: dot.Hub, Incarnation: a.incarnation, Lane: f.Lane}
	var out store.Entry
	err = a.record(ctx, func(tx store.Tx) (*store.Entry, error) {
		pub, private := pub, private
		desk := merge.Desk{
			Type: a.cfg.typeOf, Displayed: func(ref entry.Ref) (*merge.State, error) { return displayed(tx, n, ref) },
			Settles: func(ref entry.Ref, field string) bool { return slices.Contains(n.Settles, ref.String()+"#"+field) },
		}
		if err := desk.Fill(&pub, &private, saved); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotApplied, err)
		}
		priv, err := private.Encode()
		if err != nil {
			return nil, err
		}
		out, err = a.mint(tx, c, pub, priv)
		return &out, err
	})
	if err != nil {
		return store.Entry{}, fmt.Errorf("record %s: %w", f.ID, err)
	}
	return out, nil
}

// displayed is an entity as the operator had it in view.
func displayed(tx store.Tx, n Note, ref entry.Ref) (*merge.State, error) {
	if b, ok := n.Displayed[ref]; ok {
		return merge.Decode(b)
	}
	es, err := tx.Entities([]entry.Ref{ref})
	if err != nil || len(es) == 0 {
		return merge.New(ref), err
	}
	return merge.Decode(es[0].State)
}

func (a *Author) mint(tx store.Tx, c dot.Chain, pub entry.Public, priv []byte) (store.Entry, error) {
	l, err := tx.Lane(c)
	if err != nil {
		return store.Entry{}, err
	}
	pub.Dot = c.At(l.Received.Through() + 1)
	pub.HLC = a.tick(pub.Wall)
	if pub.Dot.Seq == 1 {
		pub.Origin = &entry.Origin{Reason: entry.Installed}
	}
	b, err := pub.Encode()
	if err != nil {
		return store.Entry{}, err
	}
	return place(tx, l, pub, entry.NewRaw(b, priv), a.cfg)
}

func (a *Author) tick(wall int64) hlc.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clock.Tick(wall)
}

func zoneMinutes(t time.Time) int {
	_, seconds := t.Zone()
	return seconds / 60
}
