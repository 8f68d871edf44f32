package tables

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

const entityColumns = "id, type, name, rev, scopes, disputed, state"

func scanEntity(s Row) (id int64, e store.Entity) {
	return s.Int64(0), store.Entity{
		Ref: entry.Ref{Type: s.Text(1), ID: s.Text(2)}, Rev: uint64(s.Int64(3)), //nolint:gosec // was such when it was stored
		Scopes: splitLines(s.Text(4)), Disputed: splitLines(s.Text(5)), State: blob(s, 6),
	}
}

func joinLines(words []string) (string, error) {
	var b strings.Builder
	for _, w := range words {
		if w == "" || strings.Contains(w, "\n") {
			return "", fmt.Errorf("%q is empty or has a newline", w)
		}
		b.WriteString(w)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// entitiesAtOnce is how many entities one statement reads, where there are about so many.
const entitiesAtOnce = 32

var (
	entitySQL   = entitiesSQL(1)
	entitiesAll = entitiesSQL(entitiesAtOnce)
)

// entitiesSQL reads n entities by type and name, a row for each of their parents
// and one for an entity without any.
func entitiesSQL(n int) string {
	return "SELECT e.id, e.type, e.name, e.rev, e.scopes, e.disputed, e.state, p.parent_type, p.parent" +
		" FROM (VALUES " + strings.Repeat("(?, ?), ", n-1) + "(?, ?)) AS wanted CROSS JOIN entities e" +
		" LEFT JOIN entity_parents p ON p.child = e.id WHERE e.type = wanted.column1 AND e.name = wanted.column2 ORDER BY p.parent_type, p.parent"
}

// Entities reads entities.
func (t *tx) Entities(refs []entry.Ref) (out []store.Entity, err error) {
	err = t.do("read entities as part of", dot.Chain{}, func() error {
		n := entitiesAtOnce
		if len(refs) < n/4 {
			n = 1
		}
		for some := range slices.Chunk(refs, n) {
			found, err := t.w.entities(some)
			if err != nil {
				return fmt.Errorf("entity %s and others: %w", some[0], err)
			}
			for _, ref := range some {
				e := found[ref]
				if e != nil {
					out = append(out, *e)
					t.parents[ref] = e.Parents
				} else {
					t.parents[ref] = nil
				}
			}
		}
		return nil
	})
	return out, err
}

// entities reads one, or at most entitiesAtOnce.
func (c *conn) entities(refs []entry.Ref) (map[entry.Ref]*store.Entity, error) {
	sql, n := entitiesAll, entitiesAtOnce
	if len(refs) == 1 {
		sql, n = entitySQL, 1
	}
	args := make([]any, 2*n)
	for i := range args {
		args[i] = ""
	}
	for i, ref := range refs {
		if !slices.Contains(refs[:i], ref) {
			args[2*i], args[2*i+1] = ref.Type, ref.ID
		}
	}
	found := make(map[entry.Ref]*store.Entity, len(refs))
	return found, c.each(sql, args, func(s Row) error {
		ref := entry.Ref{Type: s.Text(1), ID: s.Text(2)}
		e := found[ref]
		if e == nil {
			_, x := scanEntity(s)
			e = &x
			found[ref] = e
		}
		if parent := (entry.Ref{Type: s.Text(7), ID: s.Text(8)}); parent.Type != "" {
			e.Parents = append(e.Parents, parent)
		}
		return nil
	})
}

// SaveEntities writes entities.
func (t *tx) SaveEntities(es []store.Entity) error {
	return t.do("save entities as part of", dot.Chain{}, func() error {
		for i := range es {
			if err := t.saveEntity(&es[i]); err != nil {
				return fmt.Errorf("entity %s: %w", es[i].Ref, err)
			}
		}
		return nil
	})
}

func (t *tx) saveEntity(e *store.Entity) error {
	scopes, err := joinLines(e.Scopes)
	if err != nil {
		return err
	}
	disputed, err := joinLines(e.Disputed)
	if err != nil {
		return err
	}
	if e.Ref.Type == "" || e.Ref.ID == "" {
		return fmt.Errorf("an entity has a type and an id")
	}
	var id int64
	_, err = t.w.one("INSERT INTO entities (type, name, rev, scopes, disputed, state) VALUES (?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (type, name) DO UPDATE SET rev = excluded.rev, scopes = excluded.scopes, disputed = excluded.disputed, state = excluded.state RETURNING id",
		[]any{e.Ref.Type, e.Ref.ID, int64(e.Rev), scopes, disputed, e.State}, //nolint:gosec // counts changes
		func(s Row) error { id = s.Int64(0); return nil })
	if err != nil {
		return err
	}
	had, known := t.parents[e.Ref]
	if !known {
		err = t.w.each("SELECT parent_type, parent FROM entity_parents WHERE child = ?", []any{id}, func(s Row) error {
			had = append(had, entry.Ref{Type: s.Text(0), ID: s.Text(1)})
			return nil
		})
	}
	for _, p := range had {
		if err == nil && !slices.Contains(e.Parents, p) {
			err = t.w.later("DELETE FROM entity_parents WHERE parent_type = ? AND parent = ? AND child = ?", p.Type, p.ID, id)
		}
	}
	for _, p := range e.Parents {
		if err == nil && !slices.Contains(had, p) {
			err = t.w.later("INSERT INTO entity_parents (parent_type, parent, child) VALUES (?, ?, ?)", p.Type, p.ID, id)
		}
	}
	t.parents[e.Ref] = slices.Clone(e.Parents)
	return err
}

// Dependents lists the entities whose scopes depend on another.
func (t *tx) Dependents(parent entry.Ref) (out []entry.Ref, err error) {
	err = t.do("read dependents as part of", dot.Chain{}, func() error {
		return t.w.each("SELECT e.type, e.name FROM entity_parents p JOIN entities e ON e.id = p.child WHERE p.parent_type = ? AND p.parent = ? ORDER BY e.type, e.name",
			[]any{parent.Type, parent.ID}, func(s Row) error {
				out = append(out, entry.Ref{Type: s.Text(0), ID: s.Text(1)})
				return nil
			})
	})
	return out, err
}

// Entity reads one.
func (s *Store) Entity(ctx context.Context, ref entry.Ref) (e store.Entity, err error) {
	err = s.read(ctx, "entity "+ref.String(), func(c *conn) error {
		found, err := c.entities([]entry.Ref{ref})
		switch {
		case err != nil:
			return err
		case found[ref] == nil:
			return store.ErrNotFound
		}
		e = *found[ref]
		return nil
	})
	return e, err
}

// EntitiesNamed reads entities, some at a time.
func (s *Store) EntitiesNamed(ctx context.Context, refs []entry.Ref) (out map[entry.Ref]store.Entity, err error) {
	err = s.read(ctx, "read entities", func(c *conn) error {
		out = make(map[entry.Ref]store.Entity, len(refs))
		return c.together(len(refs) > entitiesAtOnce, func() error {
			for some := range slices.Chunk(refs, entitiesAtOnce) {
				found, err := c.entities(some)
				if err != nil {
					return err
				}
				for ref, e := range found {
					out[ref] = *e
				}
			}
			return nil
		})
	})
	return out, err
}

// EntitiesOf lists entities, some at a time.
func (s *Store) EntitiesOf(ctx context.Context, kind string) iter.Seq2[store.Entity, error] {
	const some = 500
	return func(yield func(store.Entity, error) bool) {
		last := entry.Ref{Type: kind}
		which := " FROM entities WHERE (type, name) > (?, ?) ORDER BY type, name LIMIT ?"
		if kind != "" {
			which = " FROM entities WHERE type = ? AND name > ? ORDER BY name LIMIT ?"
		}
		for {
			var page []store.Entity
			err := s.read(ctx, "list entities", func(c *conn) error {
				return c.each("SELECT "+entityColumns+which,
					[]any{last.Type, last.ID, int64(some)}, func(r Row) error {
						_, e := scanEntity(r)
						page = append(page, e)
						return nil
					})
			})
			if err != nil {
				yield(store.Entity{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < some {
				return
			}
			last = page[len(page)-1].Ref
		}
	}
}

const (
	itemColumns = "id, kind, entity_type, entity, field, entries, evidence, opened_at, owner, state, closed_at, decision, decided_by, reason, times"
	// itemListed also reads the scopes of what an item is about.
	itemListed = itemColumns + ", coalesce((SELECT e.scopes FROM entities e WHERE e.type = items.entity_type AND e.name = items.entity), '')"
)

func scanItem(s Row) (it store.Item, err error) {
	it = store.Item{
		ID: s.Int64(0), Kind: s.Text(1), Entity: entry.Ref{Type: s.Text(2), ID: s.Text(3)}, Field: s.Text(4),
		Evidence: json.RawMessage(s.Text(6)), OpenedAt: s.Int64(7), Owner: s.Text(8), State: store.ItemState(s.Text(9)),
		ClosedAt: s.Int64(10), DecidedBy: s.Text(12), Reason: s.Text(13), Times: int(s.Int64(14)),
	}
	for _, line := range splitLines(s.Text(5)) {
		d, err := dot.Parse(line)
		if err != nil {
			return it, fmt.Errorf("%w: item %d: %w", ErrDamagedRow, it.ID, err)
		}
		it.Entries = append(it.Entries, d)
	}
	return it, it.Decision.UnmarshalText([]byte(s.Text(11)))
}

// ItemOf finds an item by what it is about.
func (t *tx) ItemOf(kind string, ref entry.Ref, field string) (it store.Item, ok bool, err error) {
	err = t.do("read an item as part of", dot.Chain{}, func() error {
		ok, err = t.w.one("SELECT "+itemColumns+" FROM items WHERE kind = ? AND entity_type = ? AND entity = ? AND field = ?",
			[]any{kind, ref.Type, ref.ID, field}, func(s Row) (err error) { it, err = scanItem(s); return err })
		return err
	})
	return it, ok, err
}

// PutItem writes an item.
func (t *tx) PutItem(it store.Item) (id int64, err error) {
	err = t.do("put an item as part of", dot.Chain{}, func() error {
		words := make([]string, len(it.Entries))
		for i, d := range it.Entries {
			words[i] = d.String()
		}
		entries, err := joinLines(words)
		if err != nil {
			return err
		}
		decision, err := it.Decision.MarshalText()
		if err != nil {
			return err
		}
		if it.Kind == "" || it.State == "" {
			return fmt.Errorf("an item has a kind and a state")
		}
		_, err = t.w.one("INSERT INTO items (kind, entity_type, entity, field, entries, evidence, opened_at, owner, state, closed_at, decision, decided_by, reason, times)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, entity_type, entity, field) DO UPDATE SET"+
			" entries = excluded.entries, evidence = excluded.evidence, opened_at = excluded.opened_at, owner = excluded.owner, state = excluded.state,"+
			" closed_at = excluded.closed_at, decision = excluded.decision, decided_by = excluded.decided_by, reason = excluded.reason, times = excluded.times RETURNING id",
			[]any{
				it.Kind, it.Entity.Type, it.Entity.ID, it.Field, entries, string(it.Evidence), it.OpenedAt, it.Owner, string(it.State),
				it.ClosedAt, string(decision), it.DecidedBy, it.Reason, int64(it.Times),
			},
			func(s Row) error { id = s.Int64(0); return nil })
		if err != nil {
			return err
		}
		if err := t.w.later("DELETE FROM item_entries WHERE item = ?", id); err != nil {
			return err
		}
		for _, d := range words {
			if err := t.w.later("INSERT INTO item_entries (entry, item) VALUES (?, ?) ON CONFLICT DO NOTHING", d, id); err != nil {
				return err
			}
		}
		return nil
	})
	return id, err
}

// The ways to list items: those of an entry, of an entity, the open ones of a kind on
// from a place or back from it, and all. What else is asked for is looked at in each.
const (
	itemsOfEntry  = "SELECT " + itemListed + " FROM items WHERE id IN (SELECT item FROM item_entries WHERE entry = ?) ORDER BY opened_at, id"
	itemsOfEntity = "SELECT " + itemListed + " FROM items WHERE entity_type = ? AND entity = ? ORDER BY opened_at, id"
	itemsAfter    = "SELECT " + itemListed + " FROM items WHERE state = 'open' AND kind = ? AND (opened_at, id) > (?, ?) ORDER BY opened_at, id LIMIT ?"
	itemsBefore   = "SELECT " + itemListed + " FROM items WHERE state = 'open' AND kind = ? AND (opened_at, id) < (?, ?) ORDER BY opened_at DESC, id DESC LIMIT ?"
	itemsAll      = "SELECT " + itemListed + " FROM items WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR kind = ?2) ORDER BY opened_at, id"
)

// ItemTexts are the texts by which items are listed in places, for those who look at
// how a database means to answer them.
func ItemTexts() []string { return []string{itemsOfEntry, itemsOfEntity, itemsAfter, itemsBefore} }

// itemText chooses the way that reads least.
func itemText(q store.ItemQuery) (sql string, args []any) {
	limit := int64(math.MaxInt32)
	if q.Limit > 0 {
		limit = int64(q.Limit)
	}
	switch {
	case !q.Entry.IsZero():
		return itemsOfEntry, []any{q.Entry.String()}
	case q.Entity.Type != "":
		return itemsOfEntity, []any{q.Entity.Type, q.Entity.ID}
	case q.State == store.Open && q.Kind != "" && q.Before != store.ItemPlace{}:
		return itemsBefore, []any{q.Kind, q.Before.OpenedAt, q.Before.ID, limit}
	case q.State == store.Open && q.Kind != "":
		after := q.After
		if after == (store.ItemPlace{}) {
			after.OpenedAt = longAgo
		}
		return itemsAfter, []any{q.Kind, after.OpenedAt, after.ID, limit}
	}
	return itemsAll, []any{string(q.State), q.Kind}
}

// Items lists items.
func (s *Store) Items(ctx context.Context, q store.ItemQuery) (out []store.Item, err error) {
	sql, args := itemText(q)
	behind := func(p, than store.ItemPlace) bool {
		return p.OpenedAt > than.OpenedAt || p.OpenedAt == than.OpenedAt && p.ID > than.ID
	}
	err = s.read(ctx, "list items", func(c *conn) error {
		out = nil
		return c.each(sql, args, func(r Row) error {
			it, err := scanItem(r)
			it.Scopes = splitLines(r.Text(15))
			switch {
			case q.State != "" && it.State != q.State, q.Kind != "" && it.Kind != q.Kind:
			case q.Entity.Type != "" && it.Entity != q.Entity:
			case q.After != (store.ItemPlace{}) && !behind(it.Place(), q.After), q.Before != (store.ItemPlace{}) && !behind(q.Before, it.Place()):
			default:
				out = append(out, it)
			}
			return err
		})
	})
	if q.Before != (store.ItemPlace{}) && sql != itemsBefore {
		slices.Reverse(out)
	}
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, err
}

// The ways to count open items.
const (
	kindsOpen   = "SELECT i.kind, '', count(*) FROM items i WHERE i.state = 'open' GROUP BY i.kind ORDER BY i.kind"
	kindsScoped = "SELECT i.kind, coalesce(e.scopes, ''), count(*) FROM items i LEFT JOIN entities e ON e.type = i.entity_type AND e.name = i.entity" +
		" WHERE i.state = 'open' GROUP BY 1, 2 ORDER BY 1, 2"
)

// OpenKinds counts open items.
func (s *Store) OpenKinds(ctx context.Context, byScopes bool) (out []store.OpenKind, err error) {
	sql := kindsOpen
	if byScopes {
		sql = kindsScoped
	}
	err = s.read(ctx, "count items", func(c *conn) error {
		out = nil
		return c.each(sql, nil, func(r Row) error {
			out = append(out, store.OpenKind{Kind: r.Text(0), Scopes: splitLines(r.Text(1)), N: uint64(r.Int64(2))}) //nolint:gosec // a count
			return nil
		})
	})
	return out, err
}

// Item reads one.
func (s *Store) Item(ctx context.Context, id int64) (it store.Item, err error) {
	err = s.read(ctx, fmt.Sprintf("item %d", id), func(c *conn) error {
		ok, err := c.one("SELECT "+itemColumns+" FROM items WHERE id = ?", []any{id},
			func(r Row) (err error) { it, err = scanItem(r); return err })
		if err == nil && !ok {
			return store.ErrNotFound
		}
		return err
	})
	return it, err
}
