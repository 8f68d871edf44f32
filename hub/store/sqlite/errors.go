package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"otor/hub/store"
	"otor/hub/store/tables"
	"otor/internal/durable"
)

// explain puts an error of SQLite into words that the operator can act on, and
// into the contract's errors. Errors of other kinds pass through.
func explain(ctx context.Context, path string, err error) error {
	if err == nil {
		return nil
	}
	code, isSQLite := errors.AsType[sqlite3.ErrorCode](err)
	if code == sqlite3.IOERR {
		// The driver loses the system's reason when a later call succeeds: ask the disk.
		if reason := probe(filepath.Dir(path)); reason != nil {
			err = fmt.Errorf("%w: %w", err, reason)
		}
	}
	switch {
	case ctx.Err() != nil && (code == sqlite3.INTERRUPT || code == sqlite3.BUSY):
		return ctx.Err()
	case code == sqlite3.FULL, durable.Full(err):
		return fmt.Errorf("%w: no space left in %s; free some and start the hub again, nothing that was acknowledged is lost (%w)",
			store.ErrFull, filepath.Dir(path), err)
	case code == sqlite3.READONLY, errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %s cannot be written; give the hub's user the right to write in its folder (%w)",
			store.ErrReadOnly, path, err)
	case code == sqlite3.NOTADB:
		return fmt.Errorf("%w: %s is not a hub's database, or its first page is damaged; name another --data folder, or restore a backup (%w)",
			store.ErrForeign, path, err)
	case code == sqlite3.CORRUPT, errors.Is(err, tables.ErrDamagedRow):
		return fmt.Errorf("%w: %s; keep a copy of the file, then restore the newest backup: devices send again what it lacks (%w)",
			store.ErrDamaged, path, err)
	case isSQLite && code == sqlite3.BUSY:
		return fmt.Errorf("%w: another program keeps %s locked; close it and try again (%w)", store.ErrLocked, path, err)
	}
	return err
}

// probeSize is what must fit into the folder for it not to count as full, in
// bytes: more than one ingest writes.
const probeSize = 4 << 20

// probe gives the system's reason why nothing can be written into dir, nil if
// something can.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeSize))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}
