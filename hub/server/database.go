package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/hub/store/sqlite"
	"otor/hub/store/tables"
	"otor/internal/durable"
	"otor/internal/webui"
)

// The files of the hub's folder about its database. databaseNote may hold a
// password, like the keys beside it: it is for its owner alone.
const (
	databaseFile = "hub.db"        // the database itself, on SQLite
	databaseNote = "database.json" // where it is, on PostgreSQL
	databaseMark = "database.made" // a hub has used the one on PostgreSQL
)

// InFile is how [Migrate] is told of the database in the hub's own folder.
const InFile = "sqlite"

// located is what database.json holds.
type located struct {
	Address string `json:"address"`
}

// database is a store of which all can be copied.
type database interface {
	store.Store
	Tables() *tables.Store
}

// IsHub reports whether a hub has its folder there.
func IsHub(dir string) (bool, error) {
	for _, name := range []string{databaseFile, databaseNote} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

// databaseOf is the address of the database of the hub in dir: what is asked for,
// else where it was; "" for the file in dir.
func databaseOf(dir, asked string) (string, error) {
	var last located
	if _, err := readNote(filepath.Join(dir, databaseNote), &last); err != nil && (asked == "" || !errors.Is(err, ErrNote)) {
		return "", err
	}
	if asked == "" {
		return last.Address, nil
	}
	if !postgres.IsAddress(asked) {
		return "", &webui.Refusal{Code: "bad_database", What: "this is no address of a PostgreSQL database", Do: "write --db postgres://USER@HOST:PORT/NAME, with the password in PGPASSWORD or in a pgpass file"}
	}
	if _, err := os.Lstat(filepath.Join(dir, databaseFile)); last.Address == "" && err == nil {
		return "", &webui.Refusal{
			Code: "database_elsewhere", What: "this hub has its database in a file of its folder", Which: filepath.Join(dir, databaseFile),
			Do: "move it with hub migrate --to ADDRESS; or name an empty --data folder",
		}
	}
	return asked, nil
}

// openDatabase opens the database of the hub in dir.
func openDatabase(ctx context.Context, cfg Config) (database, error) {
	address, err := databaseOf(cfg.Dir, cfg.Database)
	if err != nil {
		return nil, err
	}
	if address == "" {
		return openFile(ctx, cfg)
	}
	s, err := postgres.Open(ctx, address, postgres.Options{Log: cfg.Log, Mark: filepath.Join(cfg.Dir, databaseMark), File: newCopy})
	if err != nil {
		return nil, err
	}
	if err := noteDatabase(cfg.Dir, address); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func openFile(ctx context.Context, cfg Config) (database, error) {
	s, err := sqlite.Open(ctx, filepath.Join(cfg.Dir, databaseFile), sqlite.Options{Log: cfg.Log, NoSync: control().NoSync})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func noteDatabase(dir, address string) error {
	var last located
	_, err := readNote(filepath.Join(dir, databaseNote), &last)
	if err != nil && !errors.Is(err, ErrNote) || last.Address == address {
		return err
	}
	return writeNote(filepath.Join(dir, databaseNote), located{address})
}

// copyFile is a database in a file that a copy is written into; nothing but the
// database stays beside it.
type copyFile struct{ *sqlite.Store }

func newCopy(ctx context.Context, path string) (postgres.File, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, store.ErrExists))
	}
	s, err := sqlite.Open(ctx, path, sqlite.Options{Scratch: true})
	if err != nil {
		return nil, err
	}
	return copyFile{s}, nil
}

// Close closes the file and removes what the store keeps beside it.
func (c copyFile) Close() error {
	path := c.Path()
	return errors.Join(c.Store.Close(), sqlite.Bare(path))
}

// Moved says what a migration came to.
type Moved struct {
	From   string          `json:"from"`
	To     string          `json:"to"`
	Tables []tables.Copied `json:"tables"`
	Rows   int64           `json:"rows"`
	Kept   string          `json:"kept,omitempty"` // where the database in the file is now
	Took   time.Duration   `json:"took"`           // nanoseconds
}

// Migrate moves the database of the hub in cfg.Dir to another place: the address
// of an empty PostgreSQL database, or [InFile]. Every row is read again there and
// compared; then the hub works there. Nothing is taken away from where it was.
// told, which may be nil, hears of each table.
func Migrate(ctx context.Context, cfg Config, to string, told func(tables.Copied)) (out Moved, err error) {
	cfg.fill()
	began := time.Now()
	was, err := databaseOf(cfg.Dir, cfg.Database)
	if err != nil {
		return out, err
	}
	if was == to || was == "" && to == InFile {
		return out, &webui.Refusal{Code: "already_there", What: "the hub's database is there already", Do: "name another place with --to"}
	}
	if to != InFile && !postgres.IsAddress(to) {
		return out, &webui.Refusal{Code: "bad_database", What: "this is no place for a database", Do: "write --to postgres://USER@HOST:PORT/NAME, or --to sqlite"}
	}
	file := filepath.Join(cfg.Dir, databaseFile)
	from, err := openDatabase(ctx, cfg)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if out.Tables, err = migrate(ctx, cfg, from, to, told); err != nil {
		return out, err
	}
	for _, t := range out.Tables {
		out.Rows += t.Rows
	}
	out.From, out.To, out.Took = placeName(file, was), placeName(file, to), time.Since(began)
	if to == InFile {
		if err := os.Rename(file+".moving", file); err != nil {
			return out, err
		}
		if err := errors.Join(removeIfThere(filepath.Join(cfg.Dir, databaseNote)), removeIfThere(filepath.Join(cfg.Dir, databaseMark))); err != nil {
			return out, err
		}
		return out, durable.SyncDir(cfg.Dir)
	}
	if err := noteDatabase(cfg.Dir, to); err != nil {
		return out, err
	}
	if was == "" {
		out.Kept = file + ".moved"
		if _, err := os.Lstat(out.Kept); err == nil { // of an earlier move
			out.Kept += "-" + time.Now().UTC().Format("20060102T150405")
		}
		if err := from.Close(); err != nil {
			return out, err
		}
		if err := sqlite.Bare(file); err != nil {
			return out, err
		}
		if err := os.Rename(file, out.Kept); err != nil {
			return out, err
		}
	}
	return out, durable.SyncDir(cfg.Dir)
}

// migrate fills the new database.
func migrate(ctx context.Context, cfg Config, from database, to string, told func(tables.Copied)) (out []tables.Copied, err error) {
	var target interface {
		Tables() *tables.Store
		Close() error
	}
	if to == InFile {
		moving := filepath.Join(cfg.Dir, databaseFile+".moving")
		// One that was killed leaves a log beside its file, and that alone is no database.
		if err := errors.Join(sqlite.Bare(moving), removeIfThere(moving), removeIfThere(moving+"-wal"), removeIfThere(moving+"-shm"), removeIfThere(filepath.Join(cfg.Dir, databaseFile+".made"))); err != nil {
			return nil, err
		}
		target, err = newCopy(ctx, moving)
	} else {
		target, err = postgres.Open(ctx, to, postgres.Options{Log: cfg.Log})
	}
	if err != nil {
		return nil, err
	}
	for _, db := range []any{from, target} {
		if p, ok := db.(*postgres.Store); ok && err == nil {
			err = p.Alone(ctx)
		}
	}
	if err == nil {
		out, err = tables.Move(ctx, from.Tables(), target.Tables(), told)
	}
	return out, errors.Join(err, target.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// placeName names where a database is, without secrets.
func placeName(file, address string) string {
	if address == "" || address == InFile {
		return file
	}
	return postgres.Name(address)
}
