package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"otor/hub/store"
	"otor/internal/durable"
)

// copyPages is how many pages are copied between two looks at the context.
const copyPages = 512

// Snapshot copies the database into a new file. The connection's view of the
// database stands still meanwhile, so writers neither wait nor make it begin anew.
func (s *Store) Snapshot(ctx context.Context, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if err := newFile(file); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	err = s.read(ctx, "copy the database", func(c *conn) error {
		return c.snapshot(func() error {
			// A transaction sees nothing yet until it reads.
			if err := scanInt(c, "SELECT count(*) FROM epoch", new(int64)); err != nil {
				return err
			}
			return copyTo(ctx, c, file)
		})
	})
	if err != nil {
		return err
	}
	if err := syncFile(file); err != nil {
		return fmt.Errorf("copy the database: %w", explain(ctx, file, err))
	}
	return nil
}

// newFile makes an empty file that its owner alone reads.
func newFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func copyTo(ctx context.Context, c *conn, file string) (err error) {
	to := url.URL{Scheme: "file", Path: filepath.ToSlash(file)}
	if to.Path[0] != '/' {
		to.Path = "/" + to.Path // C:/data
	}
	b, err := c.db.BackupInit("main", to.String())
	if err != nil {
		return explain(ctx, file, err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for {
		done, err := b.Step(copyPages)
		if err != nil {
			return explain(ctx, file, err)
		}
		if done {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func syncFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(file)))
}

// Check has SQLite look through the whole file.
func (s *Store) Check(ctx context.Context) error {
	return s.read(ctx, "check the database", func(c *conn) error {
		if err := c.pragmaCheck("PRAGMA integrity_check(1)"); err != nil {
			return err
		}
		words := ""
		found, err := c.one("PRAGMA foreign_key_check", nil, func(r *sqlite3.Stmt) error { words = r.ColumnText(0); return nil })
		if err == nil && found {
			err = fmt.Errorf("%w: a row of %s names what is not there", store.ErrDamaged, words)
		}
		return err
	})
}

// Glance has SQLite look at every page and row, and not compare rows with indexes.
func (s *Store) Glance(ctx context.Context) error {
	return s.read(ctx, "look through the database", func(c *conn) error { return c.pragmaCheck("PRAGMA quick_check(1)") })
}

func (c *conn) pragmaCheck(pragma string) error {
	words := ""
	_, err := c.one(pragma, nil, func(r *sqlite3.Stmt) error { words = r.ColumnText(0); return nil })
	if err == nil && words != "ok" {
		err = fmt.Errorf("%w: %s", store.ErrDamaged, words)
	}
	return err
}

// Reserve says that a database belongs at path. Until one is put there, no hub
// opens or makes one.
func Reserve(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, errors.Join(err, store.ErrExists))
	}
	return mark(path)
}

// Place copies a snapshot to a reserved path; it is there whole or not at all.
func Place(snapshot, path string) error {
	from, err := os.Open(snapshot)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // only read
	tmp := path + ".restoring"
	to, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = to.ReadFrom(from)
	if err := errors.Join(err, to.Sync(), to.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
