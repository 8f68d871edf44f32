// Package yardstick holds what the store's speed is measured against: a bare
// file to which records are appended and synced one by one, and Badger with one
// synced transaction a record, as it is used out of the box.
//
//   - [File] is the bare file, [Badger] the bare database.
package yardstick

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// File is a file that is synced after each record.
type File struct{ f *os.File }

// OpenFile makes an empty file in dir.
func OpenFile(dir string) (*File, error) {
	f, err := os.CreateTemp(dir, "bare-*.log")
	if err != nil {
		return nil, fmt.Errorf("open the bare file: %w", err)
	}
	return &File{f}, nil
}

// Append writes one record and returns once it is on the disk.
func (y *File) Append(record []byte) error {
	if _, err := y.f.Write(record); err != nil {
		return fmt.Errorf("append to the bare file: %w", err)
	}
	if err := datasync(y.f); err != nil {
		return fmt.Errorf("sync the bare file: %w", err)
	}
	return nil
}

// Close removes the file.
func (y *File) Close() error { return errors.Join(y.f.Close(), os.Remove(y.f.Name())) }

// Badger saves records with so many writers, each record in a synced
// transaction of its own, in a new database below dir, and returns what it took
// from the first record to the last.
func Badger(ctx context.Context, dir string, writers int, records [][]byte) (took time.Duration, err error) {
	dir = filepath.Join(dir, "bare-badger")
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		return 0, fmt.Errorf("open the bare database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close(), os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var saving sync.WaitGroup
	began := time.Now()
	for range writers {
		saving.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(records)) {
					return
				}
				err := db.Update(func(t *badger.Txn) error { return t.Set(fmt.Appendf(nil, "entry-%012d", i), records[i]) })
				if err != nil {
					cancel(fmt.Errorf("save in the bare database: %w", err))
				}
			}
		})
	}
	saving.Wait()
	return time.Since(began), context.Cause(ctx)
}
