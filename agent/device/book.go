package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/rules"
)

// shelf keeps the book, which is brought up to date with what the hub sent and the
// device saved since it was opened last. Nothing of it is written anywhere.
type shelf struct {
	mu   sync.Mutex
	made string // the day and the pack that the book goes by; "" there is none
	seen uint64 // how far the store's changes are in it
	book *book
}

// Book implements web.Books.
func (d *Device) Book(context.Context) (web.Book, error) {
	s := &d.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	today := d.cfg.Now().In(d.cfg.Zone).Format(time.DateOnly)
	made, p := today, d.inForce()
	if p != nil {
		made += fmt.Sprintf(" %s %d", p.ID, p.Version)
	}
	refs, now, all := d.store.Changed(s.seen)
	switch {
	case all || s.made != made:
		s.book = newBook(d, today)
	case now != s.seen:
		s.book.turn(refs)
	}
	s.made, s.seen = made, now
	s.book.edition.Store(now)
	s.book.date()
	return s.book, nil
}

// leaf is one entity of a book.
type leaf struct {
	fields    map[string]any
	conflicts []string
	scope     string // "" for what only this device knows
	touches   []web.Touch
}

// sheet is what a book knows of all entities of a type: no more than it was asked for.
type sheet struct {
	ids     []string           // sorted; nil: nobody asked yet
	columns map[string]*column // by field
}

// column finds the entities of a type by a field's value.
type column struct {
	by map[any][]string
	of map[string]any
}

// Bounds of what a book keeps in memory beside the lists of ids. A pass over all
// entities of a sumu must not hold all of them at once.
const (
	maxLeaves  = 2048 // twice: the younger ones and the older ones
	maxDerived = 4096 // entities whose derived values are kept
)

// book is a web.Book and the reader of the pack's rules. It reads what it is asked for,
// and keeps some of it until that is shown otherwise.
type book struct {
	d       *Device
	today   string
	edition atomic.Uint64
	size    atomic.Uint64 // rows of feeds

	mu         sync.Mutex // guards what follows
	sheets     map[string]*sheet
	young, old map[entry.Ref]*leaf   // nil: there is none of that name
	own        map[entry.Ref]bool    // those read with writes of this device's own
	asOf       map[string]*time.Time // by scope
	work       *rules.Work
	derived    int // entities that work was asked for
}

var (
	_ web.Book     = (*book)(nil)
	_ rules.Reader = (*book)(nil)
)

func newBook(d *Device, today string) *book {
	b := &book{d: d, today: today, sheets: make(map[string]*sheet), young: make(map[entry.Ref]*leaf), own: make(map[entry.Ref]bool)}
	b.sit()
	return b
}

// sit forgets what was derived. mu is held, or nobody else has the book.
func (b *book) sit() {
	b.work, b.derived = nil, 0
	if p := b.d.inForce(); p != nil {
		b.work = p.Rules.Sit(b, b.today)
	}
}

// date notes how old what the device knows of each scope is.
func (b *book) date() {
	asOf := make(map[string]*time.Time)
	var size uint64
	for _, f := range b.d.store.Feeds() {
		size += f.Rows
		if !f.AsOf.IsZero() {
			at := f.AsOf.In(b.d.cfg.Zone)
			asOf[f.Scope] = &at
		}
	}
	b.size.Store(size)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asOf = asOf
}

// turn brings the book up to date with entities that are shown otherwise.
func (b *book) turn(refs []entry.Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sit()
	done := make(map[entry.Ref]bool)
	for _, ref := range refs {
		some := []entry.Ref{ref}
		if ref == (entry.Ref{}) { // any that own records are about
			some = slices.Collect(maps.Keys(b.own))
		}
		for _, ref := range some {
			if !done[ref] {
				done[ref] = true
				b.turnTo(ref)
			}
		}
	}
}

func (b *book) turnTo(ref entry.Ref) {
	delete(b.young, ref)
	delete(b.old, ref)
	sh := b.sheets[ref.Type]
	if sh == nil {
		return
	}
	l := b.leaf(ref)
	if sh.ids != nil {
		at, in := slices.BinarySearch(sh.ids, ref.ID)
		switch {
		case l != nil && !in:
			sh.ids = slices.Insert(sh.ids, at, ref.ID)
		case l == nil && in:
			sh.ids = slices.Delete(sh.ids, at, at+1)
		}
	}
	for field, c := range sh.columns {
		c.put(ref.ID, l, field)
	}
}

// leaf reads one entity; nil: there is none. What cannot be read is a finding of the
// store's. mu is held.
func (b *book) leaf(ref entry.Ref) *leaf {
	if l, known := b.young[ref]; known {
		return l
	}
	l, known := b.old[ref]
	if !known {
		if shown, err := b.d.store.Shown(ref); err == nil && (shown.InBase || len(shown.Own) > 0) {
			l = b.read(shown)
		}
	}
	b.keep(ref, l)
	return l
}

func (b *book) keep(ref entry.Ref, l *leaf) {
	if len(b.young) >= maxLeaves {
		b.young, b.old = make(map[entry.Ref]*leaf, maxLeaves), b.young
	}
	b.young[ref] = l
}

// read makes a leaf of an entity as it is shown; nil: it was deleted.
func (b *book) read(shown store.Shown) *leaf {
	ref := shown.State.Ref
	if len(shown.Own) > 0 {
		b.own[ref] = true
	} else {
		delete(b.own, ref)
	}
	v := shown.State.View(b.d.typeOf(ref.Type))
	if v.Deleted {
		return nil
	}
	l := &leaf{
		fields: make(map[string]any, len(v.Fields)), conflicts: v.Conflicts(), scope: shown.Base.Scope, touches: b.touches(shown.State),
	}
	for _, f := range v.Fields {
		if m, ok := f.Value.(map[string]any); ok && f.Members != nil {
			maps.Copy(l.fields, m)
		} else if f.Known {
			l.fields[f.Name] = f.Value
		}
	}
	return l
}

// pass visits all entities of a type, once. mu is held.
func (b *book) pass(typ string, visit func(id string, l *leaf)) (whole bool) {
	for shown, err := range b.d.store.Entities(context.Background(), typ) {
		if errors.Is(err, store.ErrClosed) {
			return false
		}
		if err != nil {
			b.d.cfg.Log.Error("what the device knows cannot be read to the end", "type", typ, "err", err)
			return false
		}
		ref := shown.State.Ref
		l := b.read(shown)
		if len(b.young) < maxLeaves {
			b.young[ref] = l
		}
		if l != nil {
			visit(ref.ID, l)
		}
	}
	return true
}

func (b *book) sheet(typ string) *sheet {
	sh := b.sheets[typ]
	if sh == nil {
		sh = &sheet{columns: make(map[string]*column)}
		b.sheets[typ] = sh
	}
	return sh
}

// ids lists the entities of a type, by id. mu is held.
func (b *book) ids(typ string) []string {
	sh := b.sheet(typ)
	if sh.ids == nil {
		ids := []string{}
		whole := b.pass(typ, func(id string, _ *leaf) { ids = append(ids, id) })
		slices.Sort(ids)
		if !whole {
			return ids // asked again next time
		}
		sh.ids = ids
	}
	return sh.ids
}

// column finds by a written field. mu is held.
func (b *book) column(typ, field string) *column {
	sh := b.sheet(typ)
	c := sh.columns[field]
	if c == nil {
		c = &column{by: make(map[any][]string), of: make(map[string]any)}
		whole := b.pass(typ, func(id string, l *leaf) {
			if v, ok := l.value(field); ok {
				c.by[v], c.of[id] = append(c.by[v], id), v
			}
		})
		for _, ids := range c.by {
			slices.Sort(ids)
		}
		if whole {
			sh.columns[field] = c
		}
	}
	return c
}

// value is a field's value if entities can be found by it.
func (l *leaf) value(field string) (any, bool) {
	if l == nil {
		return nil, false
	}
	v := l.fields[field]
	return v, v != nil && reflect.TypeOf(v).Comparable()
}

// put brings a column up to date with an entity; l is nil for one that is gone.
func (c *column) put(id string, l *leaf, field string) {
	if was, known := c.of[id]; known {
		c.by[was] = slices.DeleteFunc(slices.Clone(c.by[was]), func(x string) bool { return x == id })
		delete(c.of, id)
	}
	v, ok := l.value(field)
	if !ok {
		return
	}
	at, _ := slices.BinarySearch(c.by[v], id)
	c.by[v], c.of[id] = slices.Insert(slices.Clone(c.by[v]), at, id), v
}

// touches lists who wrote what still stands, the latest first.
func (b *book) touches(s *merge.State) []web.Touch {
	byDot := map[dot.Dot]*web.Touch{}
	for _, name := range s.Registers() {
		field, _, _ := strings.Cut(name, "/")
		for _, v := range s.Values(name) {
			if len(v.Dots) == 0 {
				continue
			}
			t := byDot[v.Dots[0]]
			if t == nil {
				t = &web.Touch{Dot: v.Dots[0], At: time.UnixMilli(v.HLC.Millis).In(b.d.cfg.Zone)}
				byDot[v.Dots[0]] = t
			}
			if field != "" && !slices.Contains(t.Fields, field) {
				t.Fields = append(t.Fields, field)
			}
		}
	}
	var out []web.Touch
	for _, t := range byDot {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(x, y web.Touch) int { return cmp.Or(y.At.Compare(x.At), x.Dot.Compare(y.Dot)) })
	return out
}

// Thing implements web.Book.
func (b *book) Thing(typ, id string) (web.Thing, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.leaf(entry.Ref{Type: typ, ID: id})
	if l == nil {
		return web.Thing{}, false
	}
	if b.work == nil {
		return b.thing(typ, id, l, l.fields), true
	}
	if b.derived++; b.derived > maxDerived {
		b.sit()
	}
	return b.thing(typ, id, l, b.work.Entity(typ, id)), true
}

// Written implements web.Book.
func (b *book) Written(typ, id string) (web.Thing, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.leaf(entry.Ref{Type: typ, ID: id})
	if l == nil {
		return web.Thing{}, false
	}
	return b.thing(typ, id, l, l.fields), true
}

func (b *book) thing(typ, id string, l *leaf, fields map[string]any) web.Thing {
	t := web.Thing{Type: typ, ID: id, Fields: make(map[string]any, len(fields)), Conflicts: l.conflicts, AsOf: b.asOf[l.scope], Touches: l.touches}
	for k, v := range fields {
		if v != nil && k != "id" {
			t.Fields[k] = b.d.masked(typ, k, v)
		}
	}
	return t
}

// IDs implements web.Book.
func (b *book) IDs(typ string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ids(typ))
}

// Having implements web.Book.
func (b *book) Having(typ, field string, value any) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.having(typ, field, value))
}

// Size implements web.Book.
func (b *book) Size() uint64 { return b.size.Load() }

// Edition implements web.Book.
func (b *book) Edition() uint64 { return b.edition.Load() }

// having finds by a written field. mu is held.
func (b *book) having(typ, field string, value any) []string {
	c := b.column(typ, field)
	if n, ok := value.(float64); ok && n == float64(int64(n)) && len(c.by[value]) == 0 {
		value = int64(n) // rules know doubles alone
	}
	if value == nil || !reflect.TypeOf(value).Comparable() {
		return nil
	}
	return c.by[value]
}

// Entity implements rules.Reader. Like Where and All it is asked by work, while mu is held.
func (b *book) Entity(typ, id string) (map[string]any, bool) {
	l := b.leaf(entry.Ref{Type: typ, ID: id})
	if l == nil {
		return nil, false
	}
	return l.fields, true
}

// Where implements rules.Reader.
func (b *book) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	return b.some(typ, b.having(typ, field, value))
}

// All implements rules.Reader.
func (b *book) All(typ string) iter.Seq2[string, map[string]any] { return b.some(typ, b.ids(typ)) }

func (b *book) some(typ string, ids []string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for _, id := range ids {
			if l := b.leaf(entry.Ref{Type: typ, ID: id}); l != nil && !yield(id, l.fields) {
				return
			}
		}
	}
}
