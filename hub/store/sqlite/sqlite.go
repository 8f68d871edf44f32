// Package sqlite keeps the hub's database in one SQLite file.
//
// It is the store of a hub that runs as one program on one machine. The file
// is in WAL mode with synchronous FULL: a transaction that Ingest committed is
// on the disk. A lock file beside the database keeps a second hub out. What the
// tables mean, and nearly all that is done with them, is package tables'.
//
// The driver is used directly, not through database/sql: an insert then costs
// the work of SQLite and little else (docs/adr/0002-sqlite-driver.md has the
// figures). Only the migrations, in migrations/, go through database/sql,
// because goose asks for it.
//
//   - [Store] fulfils the contract of package store; [Open] opens or makes it.
//   - conn is one connection with its statements.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/gofrs/flock"

	"otor/hub/store"
	"otor/hub/store/tables"
)

// Options are settings of a [Store].
type Options struct {
	Log *slog.Logger // nil: silent
	// Scratch says that the file is a copy already: none is kept when its tables are changed.
	Scratch bool
	// NoSync leaves syncing out: what was committed is lost on a power cut. It is
	// the negative control of the crash tests and has no other use.
	NoSync bool
}

// Store is the hub's database in one SQLite file. It is safe for concurrent use.
type Store struct {
	*tables.Store
	path    string
	log     *slog.Logger
	lock    *flock.Flock
	scratch bool

	closeOnce sync.Once
	closeErr  error
}

var _ store.Store = (*Store)(nil)

// Close waits for what runs to end, puts the log back into the database and
// lets go of the lock. Later calls give the first one's result.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		if err := errors.Join(s.Store.Close(), s.lock.Close()); err != nil {
			s.closeErr = fmt.Errorf("close database %s: %w", s.path, explain(context.Background(), s.path, err))
		}
	})
	return s.closeErr
}

// Tables is the store without what only a file has.
func (s *Store) Tables() *tables.Store { return s.Store }

// Path is the database's file.
func (s *Store) Path() string { return s.path }

// Bare removes what a closed database at path has beside it: its lock, and the
// mark that it was made.
func Bare(path string) error {
	for _, name := range []string{path + ".lock", markOf(path)} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// read runs fn on a reading connection. what names the act in errors.
func (s *Store) read(ctx context.Context, what string, fn func(c *conn) error) error {
	return s.Read(ctx, what, func(l tables.Link) error { return fn(l.(*conn)) }) //nolint:errcheck // this package made it
}

// write runs fn in one transaction of the writing connection.
func (s *Store) write(ctx context.Context, what string, fn func(c *conn) error) error {
	return s.Write(ctx, what, func(l tables.Link) error { return fn(l.(*conn)) }) //nolint:errcheck // this package made it
}

// file is the database's file as package tables asks for connections to it.
type file string

// Connect opens a connection that reads: the one that writes is made by Open,
// and does not break.
func (f file) Connect(context.Context, bool) (tables.Link, error) {
	c, err := openConn(string(f), readerPragmas)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Explain puts an error into words.
func (f file) Explain(ctx context.Context, err error) error { return explain(ctx, string(f), err) }
