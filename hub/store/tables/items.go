package tables

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

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
// from a place, perhaps those that somebody took on, or back from it, and all. What else is asked for is looked at in each.
const (
	itemsOfEntry  = "SELECT " + itemListed + " FROM items WHERE id IN (SELECT item FROM item_entries WHERE entry = ?) ORDER BY opened_at, id"
	itemsOfEntity = "SELECT " + itemListed + " FROM items WHERE entity_type = ? AND entity = ? ORDER BY opened_at, id"
	itemsAfter    = "SELECT " + itemListed + " FROM items WHERE state = 'open' AND kind = ? AND (opened_at, id) > (?, ?) ORDER BY opened_at, id LIMIT ?"
	itemsOwned    = "SELECT " + itemListed + " FROM items WHERE state = 'open' AND kind = ? AND owner = ? AND (opened_at, id) > (?, ?) ORDER BY opened_at, id LIMIT ?"
	itemsBefore   = "SELECT " + itemListed + " FROM items WHERE state = 'open' AND kind = ? AND (opened_at, id) < (?, ?) ORDER BY opened_at DESC, id DESC LIMIT ?"
	itemsAll      = "SELECT " + itemListed + " FROM items WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR kind = ?2) ORDER BY opened_at, id"
)

// ItemTexts are the texts by which items are listed in places, for those who look at
// how a database means to answer them.
func ItemTexts() []string {
	return []string{itemsOfEntry, itemsOfEntity, itemsAfter, itemsBefore, itemsOwned}
}

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
		if q.Owner != "" {
			return itemsOwned, []any{q.Kind, q.Owner, after.OpenedAt, after.ID, limit}
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
			case q.Owner != "" && it.Owner != q.Owner:
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
	kindsOpen   = "SELECT i.kind, '', count(*), min(i.opened_at) FROM items i WHERE i.state = 'open' GROUP BY i.kind ORDER BY i.kind"
	kindsScoped = "SELECT i.kind, coalesce(e.scopes, ''), count(*), min(i.opened_at) FROM items i LEFT JOIN entities e ON e.type = i.entity_type AND e.name = i.entity" +
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
			out = append(out, store.OpenKind{Kind: r.Text(0), Scopes: splitLines(r.Text(1)), N: uint64(r.Int64(2)), Oldest: r.Int64(3)}) //nolint:gosec // a count
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
