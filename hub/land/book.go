package land

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/rules"
)

// book holds entities by type as they are asked for, for one working out. It is a
// [rules.Reader]. It is used by one goroutine.
type book struct {
	ctx    context.Context
	cfg    Config
	sheets map[string]*sheet
	held   int
	err    error // the database's trouble, which rules cannot tell
	work   *rules.Work
	sat    int // entities that work was asked for
	// stamped has when each entity was written last read as well.
	stamped bool
}

// sheet is all entities of a type.
type sheet struct {
	ids    []string // sorted
	of     map[string]leaf
	fields map[string]map[any][]string // by field and value: ids
}

type leaf struct {
	fields  map[string]any
	row     store.Entity // without its state
	changed time.Time
	by      dot.Dot
}

// maxSat bounds what is kept of derived values.
const maxSat = 4096

func newBook(ctx context.Context, cfg Config) *book {
	return &book{ctx: ctx, cfg: cfg, sheets: make(map[string]*sheet)}
}

// sheet reads a type, once.
func (b *book) sheet(typ string) *sheet {
	if sh := b.sheets[typ]; sh != nil {
		return sh
	}
	sh := &sheet{of: make(map[string]leaf), fields: make(map[string]map[any][]string)}
	b.sheets[typ] = sh
	if b.err != nil || typ == "" {
		return sh
	}
	for row, err := range b.cfg.Entities.EntitiesOf(b.ctx, typ) {
		var fields map[string]any
		if err == nil {
			fields, err = b.cfg.Fields(row)
		}
		if b.held++; b.held > mostEntities {
			err = fmt.Errorf("%w: more than %d", ErrTooMany, mostEntities)
		}
		if err != nil {
			b.err = err
			return sh
		}
		if fields == nil {
			continue
		}
		l := leaf{fields: fields}
		if b.stamped {
			l.changed, l.by = stamp(row)
		}
		l.row, l.row.State = row, nil
		sh.ids, sh.of[row.Ref.ID] = append(sh.ids, row.Ref.ID), l
	}
	slices.Sort(sh.ids)
	return sh
}

// Entity implements rules.Reader.
func (b *book) Entity(typ, id string) (map[string]any, bool) {
	l, ok := b.sheet(typ).of[id]
	return l.fields, ok
}

// All implements rules.Reader.
func (b *book) All(typ string) iter.Seq2[string, map[string]any] {
	sh := b.sheet(typ)
	return sh.some(sh.ids)
}

// Where implements rules.Reader.
func (b *book) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	sh := b.sheet(typ)
	return sh.some(sh.having(field, value))
}

func (sh *sheet) some(ids []string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for _, id := range ids {
			if !yield(id, sh.of[id].fields) {
				return
			}
		}
	}
}

// having finds by a written field.
func (sh *sheet) having(field string, value any) []string {
	by := sh.fields[field]
	if by == nil {
		by = make(map[any][]string)
		for _, id := range sh.ids {
			if v := plain(sh.of[id].fields[field]); v != nil {
				by[v] = append(by[v], id)
			}
		}
		sh.fields[field] = by
	}
	return by[plain(value)]
}

// plain makes every number a double, as rules see them; nil for what cannot be looked up.
func plain(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case nil:
		return nil
	}
	if !reflect.TypeOf(v).Comparable() {
		return nil
	}
	return v
}

// derived gives all fields of an entity, those that the pack derives among them.
func (b *book) derived(set *rules.Set, typ, id, day string) map[string]any {
	if b.sat++; b.work == nil || b.sat > maxSat {
		b.work, b.sat = set.Sit(b, day), 0
	}
	return b.work.Entity(typ, id)
}
