package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
	"otor/internal/rules"
)

// Domain is what packs say.
type Domain interface {
	// Type gives the rules of an entity type; nil for one that no pack knows.
	Type(name string) *merge.Type
	// Lives are the templates of the scopes that entities of a type are in, such as
	// "gacha:{household.gacha}"; Names gives the entity type that a field names.
	Lives(name string) []string
	Names(typ, field string) string
	// Decides lists the fields of a type on which the scopes of other entities depend.
	Decides(typ string) []string
	// Edits reports whether records of a form correct entities of a type that others
	// correct as well.
	Edits(form string, version uint32, typ string) bool
}

// Config is what a [Reconciler] is made of. Domain and Log are needed.
type Config struct {
	Domain Domain
	Log    *slog.Logger
	// Apply takes a change into a state; nil: [merge.State.Apply]. Only a negative
	// control of the tests sets it.
	Apply func(*merge.State, merge.Change)
	// Noted is an entry of the ledger as the pack's rules see it, nil when none looks at
	// it. Without it nothing is looked at again.
	Noted func(store.Entry) *rules.Record
}

// Reconciler is safe for concurrent use.
type Reconciler struct{ cfg Config }

// New returns a Reconciler.
func New(cfg Config) *Reconciler {
	if cfg.Apply == nil {
		cfg.Apply = (*merge.State).Apply
	}
	return &Reconciler{cfg}
}

// Round is the part of one transaction. It is used by one goroutine.
type Round struct {
	r        *Reconciler
	tx       store.Tx
	at       int64
	entities map[entry.Ref]*held
	order    []*held // dirty ones, as they became so
	reasons  map[dot.Dot]*reasons
	listed   map[string][]entry.Ref // the entities of types that rules went through
	abroad   []abroad
	scoped   map[string][]part // the templates of scopes, taken apart
}

// held is an entity that the transaction has in hand.
type held struct {
	row    store.Entity
	state  *merge.State
	fields map[string]any // as rules see the state; nil: not worked out since it changed
	dirty  bool           // its state changed
	// unread: what the database has of it cannot be read. It stays as it is.
	unread bool
	queued bool           // it is in order
	before map[string]any // of the fields that others' scopes depend on
	// watched is what rules looked at when the transaction began.
	watched []any
	// had are the words by which it was found, words those by which it is; nil: as before.
	had, words []string
}

// abroad is an entry and the scopes of the device that made it.
type abroad struct {
	dot    dot.Dot
	refs   []entry.Ref
	scopes []string
}

// Begin starts the part of one transaction. at is the hub's clock.
func (r *Reconciler) Begin(tx store.Tx, at int64) *Round {
	return &Round{r: r, tx: tx, at: at, entities: make(map[entry.Ref]*held), reasons: make(map[dot.Dot]*reasons), listed: make(map[string][]entry.Ref), scoped: make(map[string][]part)}
}

// Take takes in what entries do to entities. They are judged, and in the order of
// their chain; held ones are none of them. scopes are those of the device that
// made them, nil for the hub's own.
func (o *Round) Take(es []store.Entry, scopes []string) error {
	if err := o.load(es); err != nil {
		return err
	}
	for i := range es {
		e := &es[i]
		linked := e.Judgement.Verdict == store.Duplicate && e.Judgement.Code == "linked"
		aside := isAside(e.Judgement)
		var refs []entry.Ref
		var suspended map[entry.Ref]bool
		if !aside && !linked {
			var err error
			if suspended, err = o.notice(e); err != nil {
				return err
			}
		}
		for _, t := range e.Touches {
			if !aside && len(t.Writes) == 0 {
				continue // it is about the entity and writes nothing
			}
			h := o.entities[t.Ref]
			if h.unread {
				continue // the entry is received; that the entity is damaged is no fault of it
			}
			t.Linked, t.Late = linked, e.Late && h.state.Seen.Covers(e.Dot)
			if suspended[t.Ref] {
				t.Change = withoutMoves(t.Change)
			}
			if !aside && !linked {
				if err := o.beside(e, h, t.Change); err != nil {
					return err
				}
			}
			if aside {
				h.state.Dispose(e.Dot)
			} else {
				o.r.cfg.Apply(h.state, t.Change)
			}
			refs = append(refs, t.Ref)
			h.dirty, h.fields = true, nil
			o.queue(h)
		}
		if scopes != nil && len(refs) > 0 && !aside && !linked { // of a linked one the author hears that it is
			o.abroad = append(o.abroad, abroad{e.Dot, refs, scopes})
		}
	}
	return nil
}

// isAside reports whether an entry is received and takes no effect.
func isAside(j store.Judgement) bool {
	return j.Verdict == store.Quarantined || j.Verdict == store.Refused
}

func (o *Round) queue(h *held) {
	if !h.queued {
		h.queued = true
		o.order = append(o.order, h)
	}
}

// load reads the entities that entries touch, all at once.
func (o *Round) load(es []store.Entry) error {
	var refs []entry.Ref
	for i := range es {
		aside := isAside(es[i].Judgement)
		if ref := (entry.Ref{Type: es[i].EntityType, ID: es[i].Entity}); es[i].Noted != nil && ref.Type != "" && ref.ID != "" {
			refs = append(refs, ref) // rules ask for what a record is about
		}
		for _, t := range es[i].Touches {
			if aside || len(t.Writes) > 0 {
				refs = append(refs, t.Ref)
			}
		}
	}
	return o.need(refs...)
}

// need has entities in hand; one that the hub does not know becomes a shell.
func (o *Round) need(refs ...entry.Ref) error {
	var missing []entry.Ref
	for _, ref := range refs {
		if o.entities[ref] == nil {
			o.entities[ref] = &held{row: store.Entity{Ref: ref}, state: merge.New(ref)}
			missing = append(missing, ref)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := o.tx.Entities(missing)
	if err != nil {
		return err
	}
	for _, row := range rows {
		s, err := merge.Decode(row.State)
		if err != nil {
			if err := o.unreadable(row, err); err != nil {
				return err
			}
			continue
		}
		*o.entities[row.Ref] = held{row: row, state: s}
	}
	for _, ref := range missing {
		h := o.entities[ref]
		h.before, h.watched = o.deciding(h), o.watchedOf(h)
		if h.row.Rev > 0 {
			h.had = o.wordsOf(h)
		}
	}
	return nil
}

// Finish works out what the round means, and writes it. Where an entity is shown
// depends on states alone, and all of them are known by now.
func (o *Round) Finish() error {
	for _, h := range slices.Clone(o.order) {
		if err := o.follow(h); err != nil {
			return fmt.Errorf("entity %s: %w", h.row.Ref, err)
		}
	}
	rows := make([]store.Entity, 0, len(o.order))
	for _, h := range o.order {
		changed, err := o.settle(h)
		if err != nil {
			return fmt.Errorf("entity %s: %w", h.row.Ref, err)
		}
		if changed {
			rows = append(rows, h.row)
		}
	}
	if err := o.tx.SaveEntities(rows); err != nil {
		return err
	}
	if err := o.saveWords(); err != nil {
		return err
	}
	if err := o.lookAgain(); err != nil {
		return err
	}
	if err := o.judge(); err != nil {
		return err
	}
	return o.tellAbroad()
}

// settle brings an entity's row up to date: its disputes, its scopes, its feeds.
func (o *Round) settle(h *held) (changed bool, err error) {
	if h.unread {
		return false, nil
	}
	if h.dirty {
		if err := o.disputes(h); err != nil {
			return false, err
		}
	}
	was, parents := h.row.Scopes, h.row.Parents
	if h.row.Scopes, h.row.Parents, err = o.scopes(h); err != nil {
		return false, err
	}
	if o.hidden(h.row.Parents) {
		h.row.Scopes, h.row.Parents = was, parents // where it belongs is not known just now: it stays where it is
	}
	if !h.dirty && slices.Equal(was, h.row.Scopes) && slices.Equal(parents, h.row.Parents) {
		return false, nil
	}
	h.words = o.wordsOf(h)
	h.row.Rev++
	h.row.State = h.state.Encode()
	return true, o.publish(h, was)
}

// tellAbroad tells devices that entries were taken in which touch nothing that
// their feeds show: no state will tell them so.
func (o *Round) tellAbroad() error {
	for _, a := range o.abroad {
		shown := true
		for _, ref := range a.refs {
			h := o.entities[ref]
			if !slices.ContainsFunc(h.row.Scopes, func(s string) bool { return s == feed.Everybody || slices.Contains(a.scopes, s) }) {
				shown = false
			}
		}
		if r := o.reasons[a.dot]; shown || r != nil && len(r.now) > 0 {
			continue
		}
		taken := map[dot.Seq]store.Judgement{a.dot.Seq: {Verdict: store.Applied}}
		if err := store.TellAuthor(o.tx, o.at, a.dot.Chain, taken); err != nil {
			return err
		}
	}
	return nil
}

// beside raises the verdicts of edits of different fields of one entity that were
// made without knowing of each other.
func (o *Round) beside(e *store.Entry, h *held, c merge.Change) error {
	domain := o.r.cfg.Domain
	if !domain.Edits(e.Form, e.FormVersion, h.row.Ref.Type) {
		return nil
	}
	for _, d := range h.state.Beside(c) {
		d, err := o.writer(h, d)
		if err != nil {
			return err
		}
		other, ok, err := o.entry(d)
		if err != nil {
			return err
		}
		if !ok || !domain.Edits(other.Form, other.FormVersion, h.row.Ref.Type) {
			continue
		}
		words := func(with dot.Dot) store.Judgement {
			return store.Judgement{
				Verdict: store.Merged, Code: "parallel",
				Words: fmt.Sprintf("%s was edited at the same time in %s; both edits stand", h.row.Ref, with),
			}
		}
		if err := errors.Join(o.because(e.Dot, words(d)), o.because(d, words(e.Dot))); err != nil {
			return err
		}
	}
	return nil
}

// compareRefs orders entities by type and id.
func compareRefs(a, b entry.Ref) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID))
}
