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
	"time"

	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
	"otor/internal/rules"
)

// shelf keeps the latest book: what the device shows of every entity at one
// moment. It is read again after the hub sent something or the device saved
// something. Nothing of it is written anywhere.
type shelf struct {
	mu   sync.Mutex
	made string // of which state of the store; "" never
	book *book
}

// Book implements web.Books.
func (d *Device) Book(ctx context.Context) (web.Book, error) {
	d.shelf.mu.Lock()
	defer d.shelf.mu.Unlock()
	today := d.cfg.Now().In(d.cfg.Zone).Format(time.DateOnly)
	now := today + "\n" + d.entityState()
	if d.shelf.made == now {
		return d.shelf.book, nil
	}
	b := &book{d: d, rows: map[string]map[string]*leaf{}, index: map[[2]string]map[any][]string{}, asOf: map[string]*time.Time{}}
	if err := b.read(ctx); err != nil {
		return nil, fmt.Errorf("read what the device knows: %w", err)
	}
	if d.inForce() != nil {
		b.work = d.inForce().Rules.Sit(b, today)
	}
	d.shelf.book, d.shelf.made = b, now
	return b, nil
}

// entityState names all that decides how entities are shown.
func (d *Device) entityState() string {
	var s strings.Builder
	s.WriteString(feedState(d.store))
	for _, c := range d.store.Chains() {
		fmt.Fprintf(&s, "%s %d %d\n", c.Chain, c.Last, c.Received.Through())
	}
	return s.String()
}

// leaf is one entity of a book.
type leaf struct {
	fields    map[string]any
	conflicts []string
	scope     string // "" for what only this device knows
	touches   []web.Touch
}

// book is a web.Book and the reader of the pack's rules. It is not changed once
// read, but for what is worked out on the way.
type book struct {
	d    *Device
	rows map[string]map[string]*leaf
	asOf map[string]*time.Time // by scope

	mu    sync.Mutex // guards what follows
	work  *rules.Work
	index map[[2]string]map[any][]string // by type and field: ids by value
}

var (
	_ web.Book     = (*book)(nil)
	_ rules.Reader = (*book)(nil)
)

func (b *book) read(ctx context.Context) error {
	own, err := b.d.store.Overlay(ctx)
	if err != nil {
		return err
	}
	mine := map[entry.Ref]bool{}
	for _, w := range own {
		mine[w.Ref] = true
	}
	for row, err := range b.d.store.Bases(ctx, "") {
		if err != nil {
			return err
		}
		ref, ok := feed.RefOf(row.Key)
		if !ok || mine[ref] {
			continue
		}
		if s, err := merge.Decode(row.Body); err == nil { // damage is a finding of the store's
			b.add(ref, s, row.Scope)
		}
	}
	for ref := range mine {
		shown, err := b.d.store.Shown(ref)
		switch {
		case errors.Is(err, store.ErrClosed):
			return err
		case err == nil:
			b.add(ref, shown.State, shown.Base.Scope)
		}
	}
	for _, f := range b.d.store.Feeds() {
		if !f.AsOf.IsZero() {
			at := f.AsOf.In(b.d.cfg.Zone)
			b.asOf[f.Scope] = &at
		}
	}
	return nil
}

func (b *book) add(ref entry.Ref, s *merge.State, scope string) {
	v := s.View(b.d.typeOf(ref.Type))
	if v.Deleted {
		return
	}
	l := &leaf{fields: make(map[string]any, len(v.Fields)), conflicts: v.Conflicts(), scope: scope, touches: b.touches(s)}
	for _, f := range v.Fields {
		if m, ok := f.Value.(map[string]any); ok && f.Members != nil {
			maps.Copy(l.fields, m)
		} else if f.Known {
			l.fields[f.Name] = f.Value
		}
	}
	if b.rows[ref.Type] == nil {
		b.rows[ref.Type] = map[string]*leaf{}
	}
	b.rows[ref.Type][ref.ID] = l
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
	l, ok := b.rows[typ][id]
	if !ok {
		return web.Thing{}, false
	}
	fields := l.fields
	if b.work != nil {
		b.mu.Lock()
		fields = b.work.Entity(typ, id)
		b.mu.Unlock()
	}
	t := web.Thing{Type: typ, ID: id, Fields: make(map[string]any, len(fields)), Conflicts: l.conflicts, AsOf: b.asOf[l.scope], Touches: l.touches}
	for k, v := range fields {
		if v != nil && k != "id" {
			t.Fields[k] = b.d.masked(typ, k, v)
		}
	}
	return t, true
}

// IDs implements web.Book.
func (b *book) IDs(typ string) []string { return slices.Sorted(maps.Keys(b.rows[typ])) }

// Having implements web.Book.
func (b *book) Having(typ, field string, value any) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.having(typ, field, value))
}

// having finds by a written field. The caller holds mu, or is asked by work, which does.
func (b *book) having(typ, field string, value any) []string {
	key := [2]string{typ, field}
	at, ok := b.index[key]
	if !ok {
		at = map[any][]string{}
		for _, id := range b.IDs(typ) {
			if v := b.rows[typ][id].fields[field]; v != nil && reflect.TypeOf(v).Comparable() {
				at[v] = append(at[v], id)
			}
		}
		b.index[key] = at
	}
	if n, ok := value.(float64); ok && n == float64(int64(n)) && len(at[value]) == 0 {
		value = int64(n) // rules know doubles alone
	}
	return at[value]
}

// Entity implements rules.Reader.
func (b *book) Entity(typ, id string) (map[string]any, bool) {
	l, ok := b.rows[typ][id]
	if !ok {
		return nil, false
	}
	return l.fields, true
}

// Where implements rules.Reader.
func (b *book) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	ids := b.having(typ, field, value)
	return func(yield func(string, map[string]any) bool) {
		for _, id := range ids {
			if !yield(id, b.rows[typ][id].fields) {
				return
			}
		}
	}
}

// All implements rules.Reader.
func (b *book) All(typ string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for _, id := range b.IDs(typ) {
			if !yield(id, b.rows[typ][id].fields) {
				return
			}
		}
	}
}
