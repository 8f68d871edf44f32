package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"otor/hub/store"
	"otor/hub/store/tables"
	"otor/internal/durable"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are the steps; a test puts others in their place.
var migrations fs.FS = embedded

// prepare looks at the database and brings its tables up to date. Programs that
// start at the same time take turns.
func (s *Store) prepare(ctx context.Context, l *link) (err error) {
	l.Watch(ctx)
	defer l.Watch(context.Background())
	if err := s.fit(ctx, l); err != nil {
		return err
	}
	if err := l.simple(ctx, fmt.Sprintf("SELECT pg_advisory_lock(%d)", writers)); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, l.simple(context.WithoutCancel(ctx), fmt.Sprintf("SELECT pg_advisory_unlock(%d)", writers)))
	}()
	applied, err := s.inspect(l)
	if err != nil {
		return err
	}
	if err := s.migrate(ctx, applied); err != nil {
		return err
	}
	return s.mark()
}

// fit refuses a server that could not keep what is promised, and warns of one
// whose owner has switched that off.
func (s *Store) fit(ctx context.Context, l *link) error {
	settings := make(map[string]string)
	err := l.Each("SELECT name, setting FROM pg_settings WHERE name IN ('server_encoding', 'server_version_num', 'fsync', 'full_page_writes')", nil,
		func(r tables.Row) error { settings[r.Text(0)] = r.Text(1); return nil })
	if err != nil {
		return err
	}
	if settings["server_encoding"] != "UTF8" {
		return fmt.Errorf("%w: the encoding of %s is %s; make a database with createdb --encoding UTF8 --template template0",
			store.ErrForeign, s.server.name, settings["server_encoding"])
	}
	if v := settings["server_version_num"]; len(v) < 6 || v < "130000" {
		return fmt.Errorf("%w: %s is run by PostgreSQL of version number %s; version 13 or later is needed", store.ErrForeign, s.server.name, v)
	}
	for _, name := range []string{"fsync", "full_page_writes"} {
		if settings[name] != "on" {
			s.opts.Log.WarnContext(ctx, "the database loses what it has confirmed when the power goes: a setting of the server is off", "setting", name)
		}
	}
	return nil
}

// inspect refuses a database of somebody else's, or an emptied one, and lists the
// steps that it has taken.
func (s *Store) inspect(l *link) (applied []int64, err error) {
	var all, ours, goosed int64
	err = l.Each("SELECT count(*), count(*) FILTER (WHERE relname IN ('chains', 'entries', 'epoch')), count(*) FILTER (WHERE relname = 'goose_db_version')"+
		" FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace = current_schema()::regnamespace", nil,
		func(r tables.Row) error { all, ours, goosed = r.Int64(0), r.Int64(1), r.Int64(2); return nil })
	switch {
	case err != nil:
		return nil, err
	case all == 0:
		if _, err := os.Lstat(s.opts.Mark); s.opts.Mark != "" && err == nil {
			return nil, fmt.Errorf("%w: %s is empty, but this hub has used it before; restore a backup, or, to start over with nothing, delete %s",
				store.ErrDamaged, s.server.name, s.opts.Mark)
		}
		return nil, nil
	case ours != 3 || goosed != 1:
		if ours == 0 && all == goosed {
			break // a hub that was stopped before the first step
		}
		return nil, fmt.Errorf("%w: %s holds tables of another program; make a database for the hub alone", store.ErrForeign, s.server.name)
	}
	err = l.Each("SELECT version_id FROM goose_db_version WHERE is_applied", nil, func(r tables.Row) error {
		applied = append(applied, r.Int64(0))
		return nil
	})
	return applied, err
}

// migrate takes the steps that are missing, and refuses tables of a newer program.
func (s *Store) migrate(ctx context.Context, applied []int64) error {
	known, err := migrationVersions()
	if err != nil {
		return err
	}
	for _, v := range applied {
		if v != 0 && !slices.Contains(known, v) { // a newer program's may have a lower number
			return fmt.Errorf("%w: %s has tables of version %d, which this program does not know; run the newer hub, or restore a backup from before the upgrade",
				store.ErrNewer, s.server.name, v)
		}
	}
	if !slices.ContainsFunc(known, func(v int64) bool { return !slices.Contains(applied, v) }) {
		return nil
	}
	db := stdlib.OpenDB(*s.server.cfg)
	defer db.Close() //nolint:errcheck // its transactions have ended, in one way or the other
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
		goose.WithAllowOutofOrder(true)) // numbers are given out in ranges: a lower one may come later
	if err != nil {
		return err
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("change the tables of %s: %w", s.server.name, err)
	}
	s.opts.Log.InfoContext(ctx, "database migrated", "database", s.server.name, "from", slices.Max(append(applied, 0)), "to", slices.Max(known), "steps", len(done))
	return nil
}

// migrationVersions lists the steps that this program knows.
func migrationVersions() ([]int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(names))
	for i, name := range names {
		if out[i], err = goose.NumericComponent(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mark sets the mark, once, after the database is whole.
func (s *Store) mark() error {
	if s.opts.Mark == "" {
		return nil
	}
	if _, err := os.Lstat(s.opts.Mark); err == nil {
		return nil
	}
	words := "The hub of this folder keeps its database in " + s.server.name + ". If that is empty, the hub refuses to\n" +
		"start over. To start with an empty database on purpose, delete this file.\n"
	return durable.WriteFile(s.opts.Mark, []byte(words), 0o600)
}
