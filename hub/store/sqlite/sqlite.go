// Package sqlite keeps the hub's database in one SQLite file.
//
// It is the store of a hub that runs as one program on one machine. The file
// is in WAL mode with synchronous FULL: a transaction that Ingest committed is
// on the disk. One connection writes, transactions one after the other; a few
// others read beside it, each seeing the database of one moment. A lock file
// beside the database keeps a second hub out.
//
// The driver is used directly, not through database/sql: an insert then costs
// the work of SQLite and little else (docs/adr/0002-sqlite-driver.md has the
// figures). Only the migrations, in migrations/, go through database/sql,
// because goose asks for it.
//
// What the tables hold stands in the migrations. Three choices carry the speed
// and the size: the ledger's primary key is the arrival number, so that new
// rows go to the end of the file; a chain is a small number, so that the unique
// index over (chain, seq) costs a few bytes an entry; and words that many
// entries share (form, actor, code) are numbers of the terms table.
//
//   - [Store] fulfils the contract of package store; [Open] opens or makes it.
//   - tx is one ingest's view of it; conn one connection with its statements.
//   - names remembers the numbers of chains and terms.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/gofrs/flock"

	"otor/hub/store"
	"otor/internal/dot"
)

// maxReaders bounds the connections that read.
const maxReaders = 4

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
	path    string
	log     *slog.Logger
	lock    *flock.Flock
	scratch bool

	// writer holds the writing connection while nobody uses it.
	writer chan *writer
	// readers holds maxReaders connections while nobody uses them; nil stands
	// for one that was not opened yet.
	readers chan *conn

	onPublish atomic.Pointer[func(scopes []string)]

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
	closeErr  error
}

var _ store.Store = (*Store)(nil)

// writer is the writing connection. Whoever took it from Store.writer owns it
// and what it remembers.
type writer struct {
	*conn
	chains *names[dot.Chain]
	terms  *names[string]
}

// Close waits for what runs to end, puts the log back into the database and
// lets go of the lock. Later calls give the first one's result.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		var errs []error
		for range maxReaders {
			if c := <-s.readers; c != nil {
				errs = append(errs, c.close())
			}
		}
		errs = append(errs, (<-s.writer).close(), s.lock.Close())
		if err := errors.Join(errs...); err != nil {
			s.closeErr = fmt.Errorf("close database %s: %w", s.path, explain(context.Background(), s.path, err))
		}
	})
	return s.closeErr
}

// read runs fn on a reading connection. what names the act in errors.
func (s *Store) read(ctx context.Context, what string, fn func(c *conn) error) (err error) {
	var c *conn
	select {
	case <-s.closing:
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	default:
	}
	select {
	case c = <-s.readers:
	case <-s.closing:
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	defer func() { s.readers <- c }()
	if c == nil {
		if c, err = openConn(s.path, readerPragmas); err != nil {
			return fmt.Errorf("%s: %w", what, explain(ctx, s.path, err))
		}
	}
	c.db.SetInterrupt(ctx)
	defer c.db.SetInterrupt(context.Background())
	if err := fn(c); err != nil {
		return fmt.Errorf("%s: %w", what, explain(ctx, s.path, err))
	}
	return nil
}

// write runs fn in one transaction of the writing connection and commits it
// durably when fn returns nil. On an error, a panic, or when ctx ends before
// the commit began, nothing is kept.
func (s *Store) write(ctx context.Context, what string, fn func(w *writer) error) error {
	var w *writer
	select {
	case <-s.closing:
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	default:
	}
	select {
	case w = <-s.writer:
	case <-s.closing:
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	defer func() { s.writer <- w }()
	if err := w.transact(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", what, explain(ctx, s.path, err))
	}
	return nil
}

func (w *writer) transact(ctx context.Context, fn func(w *writer) error) (err error) {
	committed := false
	w.db.SetInterrupt(ctx)
	defer func() {
		w.db.SetInterrupt(context.Background())
		if committed {
			w.chains.keep()
			w.terms.keep()
			return
		}
		// Also when fn panics. Some errors have rolled back already.
		w.chains.forget()
		w.terms.forget()
		if !w.db.GetAutocommit() {
			err = errors.Join(err, w.exec("ROLLBACK"))
		}
	}()
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := fn(w); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.db.SetInterrupt(context.Background()) // a commit that has begun is finished
	if err := w.exec("COMMIT"); err != nil {
		return err
	}
	committed = true
	return nil
}
