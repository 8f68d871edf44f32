// Package tables keeps the hub's database in the tables of an SQL database: what
// SQLite and PostgreSQL have in common.
//
// Nearly all of a store is the same whichever database it is on: the texts of the
// statements, what a row means, what one transaction does. It stands here, once,
// over a small interface, and the rooms sqlite and postgres hold what differs:
// how a connection is made, how tables come to be, how errors are told, how
// copies are taken. The statements are written so that both databases read them
// (docs/adr/0021-one-set-of-statements.md).
//
// One connection writes, transactions one after the other; a few others read
// beside it, each seeing the database of one moment. What one hub does that way
// within its process, several do by a lock that the implementation takes when a
// writing transaction begins.
//
// What the tables hold stands in the migrations of both rooms, which make the
// same columns. Three choices carry the speed and the size: the ledger's primary
// key is the arrival number, so that new rows go to the end; a chain is a small
// number, so that the unique index over (chain, seq) costs a few bytes an entry;
// and words that many entries share (form, actor, code) are numbers of the terms
// table.
//
//   - [Store] fulfils the contract of package store, but for what concerns files.
//   - [Database] makes connections; a [Link] is one of them; a [Row] is a row.
//   - tx is one ingest's view of it; names remembers the numbers of chains and terms.
package tables

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"otor/hub/store"
	"otor/internal/dot"
)

// Errors by which an implementation and this package understand one another.
var (
	// ErrTaken is wrapped when a row exists already that may exist once.
	ErrTaken = errors.New("there is such a row already")
	// ErrDamagedRow marks a row that no version of this program has written.
	ErrDamagedRow = errors.New("row does not make sense")
)

// maxReaders bounds the connections that read.
const maxReaders = 4

// Database makes connections and puts errors into words.
type Database interface {
	// Connect opens a connection. The one that writes is asked for once at a time.
	Connect(ctx context.Context, writes bool) (Link, error)
	// Explain puts an error into words that the operator can act on, and into the
	// contract's errors. Errors of other kinds pass through.
	Explain(ctx context.Context, err error) error
}

// Link is one connection. It is used by one goroutine at a time. The texts of
// statements are constants of this package, so their number is bounded; their
// parameters are ? in order, or ?1 and so on. Arguments are nil, int64, string or
// []byte; no bytes at all are NULL.
type Link interface {
	// Exec runs a statement that gives no rows; changed counts those that it touched.
	Exec(sql string, args []any) (changed int64, err error)
	// Later does what Exec does, within a transaction, at once or before whatever comes
	// next; an error may be told then. The arguments may change afterwards.
	Later(sql string, args []any) error
	// Each calls row for every row of a query, until row fails.
	Each(sql string, args []any, row func(Row) error) error
	// Watch has the end of ctx end what runs from now on.
	Watch(ctx context.Context)
	// Begin begins a transaction: one that sees the database of one moment, or one
	// that writes, alone among all that write.
	Begin(writes bool) error
	// End ends the transaction, if one is open still.
	End(commit bool) error
	// Alive is false once the connection is of no more use.
	Alive() bool
	Close() error
}

// Row is a row of a query, as long as it is looked at. Columns count from 0.
type Row interface {
	Null(col int) bool
	Int64(col int) int64
	Text(col int) string
	// Bytes are valid until the next row; nil where there are none.
	Bytes(col int) []byte
}

// Store is the hub's database in SQL tables. It is safe for concurrent use.
type Store struct {
	db Database

	// writer holds the writing connection while nobody uses it.
	writer chan *writer
	// readers holds maxReaders connections while nobody uses them; nil stands
	// for one that is not open.
	readers chan *conn

	onPublish atomic.Pointer[func(scopes []string)]

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
	closeErr  error
}

// New makes a store over a database whose tables are there. link, which may be
// nil, is the connection that writes; the store closes it.
func New(db Database, link Link) *Store {
	s := &Store{db: db, writer: make(chan *writer, 1), readers: make(chan *conn, maxReaders), closing: make(chan struct{})}
	w := new(writer)
	w.connect(nil)
	if link != nil {
		w.conn = &conn{Link: link}
	}
	s.writer <- w
	for range maxReaders {
		s.readers <- nil
	}
	return s
}

// writer is the writing connection. Whoever took it from Store.writer owns it
// and what it remembers.
type writer struct {
	*conn  // nil: not open
	chains *names[dot.Chain]
	terms  *names[string]
	args   []any // of the statement that is being put together
}

// connect makes c, which may be nil, the connection that writes. Another one may lead to
// a database that has fallen back meanwhile, where other chains and terms have the numbers
// that are remembered: they are looked up anew.
func (w *writer) connect(c *conn) {
	if c == nil || c != w.conn {
		w.chains, w.terms = newNames[dot.Chain](), newNames[string]()
	}
	w.conn = c
}

// Close waits for what runs to end and closes the connections. Later calls give
// the first one's result.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		var errs []error
		for range maxReaders {
			if c := <-s.readers; c != nil {
				errs = append(errs, c.Close())
			}
		}
		if w := <-s.writer; w.conn != nil {
			errs = append(errs, w.Close())
		}
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// Read runs fn on a reading connection. what names the act in errors.
func (s *Store) Read(ctx context.Context, what string, fn func(Link) error) error {
	return s.read(ctx, what, func(c *conn) error { return fn(c.Link) })
}

// Write runs fn in one transaction of the writing connection and commits it
// durably when fn returns nil.
func (s *Store) Write(ctx context.Context, what string, fn func(Link) error) error {
	return s.write(ctx, what, func(w *writer) error { return fn(w.Link) })
}

// take waits for something that channel holds.
func take[T any](ctx context.Context, closing <-chan struct{}, from <-chan T) (v T, err error) {
	select {
	case <-closing:
		return v, store.ErrClosed
	default:
	}
	select {
	case v = <-from:
		return v, nil
	case <-closing:
		return v, store.ErrClosed
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// living gives a connection that is of use: c, or a new one in its place.
func (s *Store) living(ctx context.Context, c *conn, writes bool) (*conn, error) {
	if c != nil && c.Alive() {
		return c, nil
	}
	if c != nil {
		_ = c.Close() // it is lost
	}
	l, err := s.db.Connect(ctx, writes)
	if err != nil {
		return nil, err
	}
	return &conn{Link: l}, nil
}

func (s *Store) read(ctx context.Context, what string, fn func(c *conn) error) error {
	c, err := take(ctx, s.closing, s.readers)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { s.readers <- c }()
	if c, err = s.living(ctx, c, false); err != nil {
		return fmt.Errorf("%s: %w", what, s.db.Explain(ctx, err))
	}
	c.Watch(ctx)
	defer c.Watch(context.Background())
	if err := fn(c); err != nil {
		return fmt.Errorf("%s: %w", what, s.db.Explain(ctx, err))
	}
	return nil
}

// write runs fn in one transaction of the writing connection and commits it
// durably when fn returns nil. On an error, a panic, or when ctx ends before
// the commit began, nothing is kept. A connection that breaks during the commit
// leaves open whether it was: it counts as an error, and whoever asks again
// finds out.
func (s *Store) write(ctx context.Context, what string, fn func(w *writer) error) error {
	w, err := take(ctx, s.closing, s.writer)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { s.writer <- w }()
	c, err := s.living(ctx, w.conn, true)
	w.connect(c)
	if err == nil {
		err = w.transact(ctx, fn)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, s.db.Explain(ctx, err))
	}
	return nil
}

func (w *writer) transact(ctx context.Context, fn func(w *writer) error) (err error) {
	committed := false
	w.Watch(ctx)
	defer func() {
		w.Watch(context.Background())
		if committed {
			w.chains.keep()
			w.terms.keep()
			return
		}
		// Also when fn panics.
		w.chains.forget()
		w.terms.forget()
		err = errors.Join(err, w.End(false))
	}()
	if err := w.Begin(true); err != nil {
		return err
	}
	if err := fn(w); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.Watch(context.Background()) // a commit that has begun is finished
	if err := w.End(true); err != nil {
		return err
	}
	committed = true
	return nil
}
