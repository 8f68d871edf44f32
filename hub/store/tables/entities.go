package tables

import (
	"context"
	"fmt"
	"iter"
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
