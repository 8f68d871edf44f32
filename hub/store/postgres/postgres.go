// Package postgres keeps the hub's database in PostgreSQL.
//
// It is the store of an office that wants several hub programs to work together,
// or has a database that others care for. What the tables mean, and nearly all
// that is done with them, is package tables'; here are connections, the making of
// the tables, words for errors, copies.
//
// Writers take turns: a transaction that writes begins by taking one lock of the
// database, whichever program it runs in (docs/adr/0022-writers-take-turns.md).
// So entities are merged, duplicates found and feed numbers given as by one
// writer, and no transaction fails because of another.
//
// Texts are kept as UTF-8 ordered by bytes. What PostgreSQL takes for no text (a
// NUL, bytes that are not UTF-8) is escaped, exactly both ways: see [escape].
//
//   - [Store] fulfils the contract of package store; [Open] opens it.
//   - link is one connection with its statements.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"otor/hub/store"
	"otor/hub/store/tables"
)

// Options are settings of a [Store].
type Options struct {
	Log *slog.Logger // nil: silent
	// Mark is a file that says, once it is there, that a hub of this folder has
	// used the database: an empty one is then refused. Empty: nothing says so.
	Mark string
	// File makes a new database in a file, into which Snapshot copies. nil:
	// Snapshot is refused.
	File func(ctx context.Context, path string) (File, error)
}

// File is a database in a file that a snapshot is written into.
type File interface {
	Tables() *tables.Store
	Close() error
}

// Store is the hub's database in PostgreSQL. It is safe for concurrent use.
type Store struct {
	*tables.Store
	server *server
	opts   Options
}

var _ store.Store = (*Store)(nil)

// server is where the database is, as package tables asks for connections to it.
type server struct {
	cfg  *pgx.ConnConfig
	name string // for people: host, port and database, no secrets
}

// connectTimeout is how long one attempt to connect may take.
const connectTimeout = 10 * time.Second

// IsAddress reports whether a text is meant as the address of a PostgreSQL database.
func IsAddress(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// parse reads the address of a database. Its errors repeat nothing of it: it may
// hold a password.
func parse(address string) (*server, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil || !IsAddress(address) {
		return nil, fmt.Errorf("the address of the database cannot be read; write postgres://USER@HOST:PORT/NAME, with a password in PGPASSWORD or a pgpass file, %w",
			errors.New("and percent-encode signs such as @ : / within its parts"))
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.DialFunc = dialer().DialContext
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 5 * time.Second}
	}
	maps.Copy(cfg.RuntimeParams, map[string]string{
		// A commit is on the disk when it returns, whatever the database's own default is.
		"synchronous_commit":          "on",
		"client_encoding":             "UTF8",
		"standard_conforming_strings": "on",
		// A program that stands still within a transaction keeps the others waiting.
		"idle_in_transaction_session_timeout": "60000",
		// A hub whose machine is gone lets go of its locks soon, not after the system's two hours.
		"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": "30000",
	})
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "otor hub"
	}
	where := net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	if strings.HasPrefix(cfg.Host, "/") {
		where = cfg.Host
	}
	return &server{cfg: cfg, name: cfg.Database + " on " + where}, nil
}

// Name names a database by its address, without its secrets.
func Name(address string) string {
	if s, err := parse(address); err == nil {
		return "postgres " + s.name
	}
	return "postgres"
}

// Open opens the database at an address (postgres://USER@HOST/NAME), and brings
// its tables up to date. Errors wrap [store.ErrAway], [store.ErrDenied],
// [store.ErrReadOnly], [store.ErrFull], [store.ErrForeign], [store.ErrNewer] or
// [store.ErrDamaged] where one of them is the case.
func Open(ctx context.Context, address string, opts Options) (*Store, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	at, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{server: at, opts: opts}
	l, err := at.connect(ctx)
	if err == nil {
		if err = errors.Join(l.share(ctx), s.prepare(ctx, l)); err != nil {
			err = errors.Join(err, l.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", at.Explain(ctx, err))
	}
	s.Store = tables.New(at, l)
	return s, nil
}

// Connect opens a connection. The one that writes says that a hub works here.
func (s *server) Connect(ctx context.Context, writes bool) (tables.Link, error) {
	l, err := s.connect(ctx)
	if err == nil && writes {
		if err = l.share(ctx); err != nil {
			err = errors.Join(err, l.Close())
		}
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (s *server) connect(ctx context.Context) (*link, error) {
	c, err := pgconn.ConnectConfig(ctx, &s.cfg.Config)
	if err != nil {
		return nil, err
	}
	return newLink(c), nil
}

// Alone keeps other hubs out until the store is closed; [store.ErrLocked] when one
// works on the database.
func (s *Store) Alone(ctx context.Context) error {
	return s.Write(ctx, "have the database alone", func(l tables.Link) error {
		return lock(l, "SELECT CASE WHEN pg_try_advisory_lock(?) THEN 1 ELSE 0 END",
			fmt.Errorf("%w: hub programs work on %s; stop them all", store.ErrLocked, s.server.name))
	})
}

// share says that a hub works on the database.
func (l *link) share(ctx context.Context) error {
	l.Watch(ctx)
	defer l.Watch(context.Background())
	return lock(l, "SELECT CASE WHEN pg_try_advisory_lock_shared(?) THEN 1 ELSE 0 END",
		fmt.Errorf("%w: it is being moved; wait until that is done", store.ErrLocked))
}

func lock(l tables.Link, sql string, refused error) error {
	var got int64
	err := l.Each(sql, []any{int64(working)}, func(r tables.Row) error { got = r.Int64(0); return nil })
	if err == nil && got == 0 {
		err = refused
	}
	return err
}

// Tables is the store without what only PostgreSQL has.
func (s *Store) Tables() *tables.Store { return s.Store }

// Close waits for what runs to end and closes the connections.
func (s *Store) Close() error {
	if err := s.Store.Close(); err != nil {
		return fmt.Errorf("close database: %w", s.server.Explain(context.Background(), err))
	}
	return nil
}
