package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/pressly/goose/v3"

	"otor/hub/store"
	"otor/hub/store/tables"
	"otor/internal/durable"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are the steps; a test puts others in their place.
var migrations fs.FS = embedded

const (
	// applicationID marks the file as a hub's database: "otor".
	applicationID = 0x6f746f72
	// magic is how every SQLite file begins.
	magic = "SQLite format 3\x00"
)

// Settings of a connection. The page size counts only when the file is made.
// 2,000 pages of 8 KiB: the log is put back every 16 MiB. Deleted content is
// overwritten, so that an erased private part is not found in the file.
var (
	writerPragmas = []string{
		"PRAGMA busy_timeout = 10000",
		"PRAGMA page_size = 8192",
		"PRAGMA synchronous = FULL",
		"PRAGMA foreign_keys = ON",
		"PRAGMA secure_delete = ON",
		"PRAGMA wal_autocheckpoint = 2000",
		"PRAGMA journal_size_limit = 67108864",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -16384",
	}
	readerPragmas = []string{
		"PRAGMA busy_timeout = 10000",
		"PRAGMA query_only = ON",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -4096",
	}
)

// Open opens the database at path, or makes it, and brings its tables up to
// date. Errors wrap [store.ErrLocked], [store.ErrReadOnly], [store.ErrFull],
// [store.ErrForeign], [store.ErrNewer] or [store.ErrDamaged] where one of them is the case.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	s := &Store{log: opts.Log, scratch: opts.Scratch}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := s.open(ctx, opts); err != nil {
		return nil, fmt.Errorf("open database: %w", explain(ctx, s.path, err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, opts Options) (err error) {
	if err := durable.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	var c *conn
	defer func() {
		if err != nil {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err := inspect(s.path); err != nil {
		return err
	}
	if c, err = openConn(s.path, writerPragmas); err != nil {
		return err
	}
	if opts.NoSync {
		if err := c.exec("PRAGMA synchronous = OFF"); err != nil {
			return err
		}
	}
	if err := claim(c, s.path); err != nil {
		return err
	}
	if err := s.migrate(ctx, c); err != nil {
		return err
	}
	if err := mark(s.path); err != nil {
		return err
	}
	s.Store = tables.New(file(s.path), c)
	return nil
}

// takeLock keeps a second hub out. The lock file stays; the lock on it ends
// with the process, however it ends.
func (s *Store) takeLock() error {
	s.lock = flock.New(s.path+".lock", flock.SetPermissions(0o600))
	ok, err := s.lock.TryLock()
	if err == nil && !ok {
		err = fmt.Errorf("%w: another hub is running on %s; stop it, or name another --data folder", store.ErrLocked, s.path)
	}
	if err != nil {
		return errors.Join(err, s.lock.Close())
	}
	return nil
}

// markOf names the file that says: a database was made here. Without it an
// empty or missing database could not be told from a new one, and a hub that
// lost its ledger would start over in silence.
func markOf(path string) string { return path + ".made" }

// mark sets the mark, once, after the database is whole.
func mark(path string) error {
	if _, err := os.Lstat(markOf(path)); err == nil {
		return nil
	}
	words := "A hub made its database " + filepath.Base(path) + " in this folder. If that file is gone or empty, the hub refuses to start\n" +
		"over. To start with an empty database on purpose, delete this file as well.\n"
	return durable.WriteFile(markOf(path), []byte(words), 0o600)
}

// inspect refuses what SQLite would misread: another kind of file, or an
// emptied database, which it would take for a new one. A database that is to
// be made gets its file here, readable by its owner alone.
func inspect(path string) error {
	head, err := firstBytes(path, len(magic))
	switch {
	case err != nil:
		if fi, statErr := os.Stat(path); statErr == nil && fi.IsDir() {
			return fmt.Errorf("%w: %s is a folder, not a database; name another --data folder", store.ErrForeign, path)
		}
		return err
	case string(head) == magic:
		return nil
	case len(head) > 0:
		return fmt.Errorf("%w: %s is not a hub's database, or its first page is damaged; name another --data folder, or restore a backup",
			store.ErrForeign, path)
	}
	_, err = os.Lstat(markOf(path))
	log, logErr := os.Stat(path + "-wal")
	if err == nil || (logErr == nil && log.Size() > 0) {
		return fmt.Errorf("%w: %s is empty or missing, but a hub has used it before; restore a backup, or, to start over with nothing, delete %s, %s-wal and %s",
			store.ErrDamaged, path, path, path, markOf(path))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// firstBytes reads up to n bytes of a file that must be writable. A file that
// is missing has none.
func firstBytes(path string, n int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	return io.ReadAll(io.LimitReader(f, int64(n)))
}

// openConn opens a connection. The log gets the mode and owner of the database.
func openConn(path string, pragmas []string) (*conn, error) {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "modeof=" + url.PathEscape(path)}
	if !filepath.IsAbs(name.Path) || name.Path[0] != '/' {
		name.Path = "/" + name.Path // C:/data
	}
	db, err := sqlite3.OpenFlags(name.String(), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return nil, err
	}
	c := &conn{db: db, stmts: make(map[string]*sqlite3.Stmt)}
	for _, p := range pragmas {
		if err := db.Exec(p); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", p, err), c.Close())
		}
	}
	return c, nil
}

// claim marks a new database as a hub's, and refuses somebody else's.
func claim(c *conn, path string) error {
	var id, tables int64
	if err := scanInt(c, "PRAGMA application_id", &id); err != nil {
		return err
	}
	if err := scanInt(c, "SELECT count(*) FROM sqlite_schema", &tables); err != nil {
		return err
	}
	switch {
	case id == applicationID:
	case id == 0 && tables == 0:
		if err := c.db.Exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: %s belongs to another program; name another --data folder", store.ErrForeign, path)
	}
	mode := ""
	_, err := c.one("PRAGMA journal_mode = WAL", nil, func(s *sqlite3.Stmt) error { mode = s.ColumnText(0); return nil })
	if err == nil && mode != "wal" {
		err = fmt.Errorf("%s: this file system cannot keep a write-ahead log (journal mode stays %q); put the hub's data on a local disk", path, mode)
	}
	return err
}

// migrate brings the tables up to date, and refuses those of a newer program.
func (s *Store) migrate(ctx context.Context, c *conn) error {
	known, err := migrationVersions()
	if err != nil {
		return err
	}
	applied, err := appliedVersions(c)
	if err != nil {
		return err
	}
	newest, version := slices.Max(known), slices.Max(append(applied, 0))
	for _, v := range applied {
		if v != 0 && !slices.Contains(known, v) { // a newer program's may have a lower number
			return fmt.Errorf("%w: %s has tables of version %d, which this program does not know; run the newer hub, or restore a backup from before the upgrade",
				store.ErrNewer, s.path, v)
		}
	}
	if !lacks(applied, known) {
		return unmark(s.path) // a crash may have left it: the next change has a copy of its own
	}
	if len(applied) > 0 && !s.scratch {
		if err := s.copyBefore(ctx, c, applied); err != nil {
			return fmt.Errorf("copy %s before its tables are changed: %w", s.path, err)
		}
	}
	db, err := driver.Open(s.path)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // its transactions have ended, in one way or the other
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
		goose.WithAllowOutofOrder(true)) // numbers are given out in ranges: a lower one may come later
	if err != nil {
		return err
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s from version %d to %d: %w; as it was before it is beside it (%s.before-*)", s.path, version, newest, err, filepath.Base(s.path))
	}
	if err := unmark(s.path); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "database migrated", "path", s.path, "from", version, "to", newest, "steps", len(done))
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

// appliedVersions lists the steps that a database has taken. It is read without
// goose, which wants a connection of its own and asks several times.
func appliedVersions(c *conn) ([]int64, error) {
	var known int64
	if err := scanInt(c, "SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'", &known); err != nil || known == 0 {
		return nil, err
	}
	var out []int64
	err := c.each("SELECT version_id FROM goose_db_version WHERE is_applied = 1", nil, func(st *sqlite3.Stmt) error {
		out = append(out, st.ColumnInt64(0))
		return nil
	})
	return out, err
}

// scanInt reads a single number. The statement is not kept.
func scanInt(c *conn, sql string, into *int64) error {
	st, _, err := c.db.Prepare(sql)
	if err != nil {
		return err
	}
	defer st.Close() //nolint:errcheck // gives Step's error once more
	if st.Step() {
		*into = st.ColumnInt64(0)
	}
	return st.Err()
}
