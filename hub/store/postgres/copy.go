package postgres

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/hub/store/tables"
)

// Snapshot copies the database of one moment into a file, as a database that the
// hub's other implementation opens.
func (s *Store) Snapshot(ctx context.Context, file string) error {
	if s.opts.File == nil {
		return fmt.Errorf("copy the database: %s can be copied by pg_dump alone", s.server.name)
	}
	to, err := s.opts.File(ctx, file)
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	_, err = tables.Move(ctx, s.Store, to.Tables(), nil)
	return errors.Join(err, to.Close())
}

// Check looks for damage: it reads every row of every table, and has the server
// compare rows with those that they name.
func (s *Store) Check(ctx context.Context) error {
	return s.Read(ctx, "check the database", func(l tables.Link) error {
		return errors.Join(readAll(l), orphans(l))
	})
}

// Glance reads every row.
func (s *Store) Glance(ctx context.Context) error {
	return s.Read(ctx, "look through the database", readAll)
}

// readAll reads all that tables hold, also what lies apart from their rows.
func readAll(l tables.Link) error {
	all, err := l.(*link).Tables() //nolint:errcheck // this package made it
	if err != nil {
		return err
	}
	for _, t := range all {
		if _, err := tables.Read(l, t); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return nil
}

// orphans finds rows that name what is not there: constraints forbid them, and
// damage does not ask.
func orphans(l tables.Link) error {
	var of []string
	err := l.Each("SELECT c.conrelid::regclass::text || ' ' || a.attname || ' ' || c.confrelid::regclass::text || ' ' || b.attname FROM pg_constraint c"+
		" JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]"+
		" WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace", nil,
		func(r tables.Row) error { of = append(of, r.Text(0)); return nil })
	if err != nil {
		return err
	}
	for _, words := range of {
		var from, column, to, key string
		if _, err := fmt.Sscan(words, &from, &column, &to, &key); err != nil {
			return err
		}
		found := false
		sql := fmt.Sprintf("SELECT 1 FROM %s f WHERE f.%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s t WHERE t.%s = f.%s) LIMIT 1", from, column, to, key, column)
		if err := l.Each(sql, nil, func(tables.Row) error { found = true; return nil }); err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: a row of %s names what is not in %s", store.ErrDamaged, from, to)
		}
	}
	return nil
}
