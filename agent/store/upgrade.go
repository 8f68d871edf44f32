package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/durable"
)

// upgrades lead from one format of the rows to the next: the first from format 1 to 2.
// A step may be cut short anywhere, and runs again then: what it did before must not
// matter. The format is the first one still.
var upgrades []func(*Store) error

// newest is the format of this program.
func newest() uint32 { return uint32(1 + len(upgrades)) } //nolint:gosec // a handful

// upgradeFile says, from before the first step of an upgrade until after its last, of which
// format the copy is that was made before it.
const upgradeFile = "upgrade"

// beforeOf is the folder of the database as it was in that format.
func (s *Store) beforeOf(format uint32) string { return fmt.Sprintf("%s.before-%d", s.dbDir(), format) }

// format reads which format the rows have; the newest in a store that was just made.
func (s *Store) format() (version uint32, err error) {
	err = s.view(func(txn *badger.Txn) error {
		item, err := txn.Get(formatKey)
		if errors.Is(err, badger.ErrKeyNotFound) {
			version = newest()
			return nil
		}
		if err != nil {
			return err
		}
		var f formatRow
		err = item.Value(func(v []byte) error { return s.box.openRow(formatKey, v, &f) })
		version = f.Version
		return err
	})
	return version, err
}

// upgrade brings the rows of an older program to this one's format. The files are copied
// first, with the database closed, so that the older program can be put back.
func (s *Store) upgrade() error {
	from, err := s.format()
	if err != nil || from == 0 || from > newest() {
		return nil //nolint:nilerr // what is wrong with that row is said by load
	}
	if from == newest() {
		return s.unmark() // a crash may have left it: the next upgrade has a copy of its own
	}
	if s.o.ReadOnly {
		return fmt.Errorf("%w: %s has the rows of an older program: start the agent once, so that it brings them up to date", ErrReadOnly, s.dir)
	}
	before, err := s.copyBefore(from)
	if err != nil {
		return fmt.Errorf("copy %s before its rows are brought from format %d to %d: %w; nothing was changed", s.dbDir(), from, newest(), err)
	}
	for v := from; v < newest(); v++ {
		value, err := s.box.sealRow(formatKey, formatRow{v + 1, s.o.Device})
		if err == nil {
			err = upgrades[v-1](s)
		}
		if err == nil {
			err = s.write([]row{{formatKey, value}})
		}
		if err != nil {
			return fmt.Errorf("bring the rows of %s from format %d to %d: %w; as they were before they are in %s", s.dbDir(), v, newest(), err, s.beforeOf(before))
		}
	}
	if err := s.unmark(); err != nil {
		return err
	}
	s.log.Info("rows of an older program were brought up to date", "from", from, "to", newest(), "copy", s.beforeOf(before))
	return nil
}

// unmark says that an upgrade is done.
func (s *Store) unmark() error {
	if s.o.ReadOnly {
		return nil
	}
	if err := os.Remove(filepath.Join(s.dir, upgradeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyBefore copies the files as they are before an upgrade. One that was cut short or
// failed goes on from where it is, and the copy stays the one from before all of it.
// Copies of earlier upgrades go. before is the format that the copy has.
func (s *Store) copyBefore(format uint32) (before uint32, err error) {
	note := filepath.Join(s.dir, upgradeFile)
	if b, err := os.ReadFile(note); err == nil {
		if from, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil && uint32(from) <= format {
			if _, err := os.Stat(s.beforeOf(uint32(from))); err == nil {
				return uint32(from), nil
			}
		}
	}
	if err := s.closeBadger(); err != nil {
		return format, err
	}
	s.db, s.readers = nil, readers{}
	if err := s.copyFilesBefore(format); err != nil {
		return format, err
	}
	if err := durable.WriteFile(note, []byte(strconv.FormatUint(uint64(format), 10)+"\n"), 0o600); err != nil {
		return format, err
	}
	return format, s.openBadger()
}

func (s *Store) copyFilesBefore(format uint32) error {
	files, err := os.ReadDir(s.dbDir())
	if err != nil {
		return err
	}
	var names []string
	var need int64
	for _, f := range files {
		if f.Type().IsRegular() && f.Name() != "LOCK" {
			names, need = append(names, f.Name()), need+fileSize(filepath.Join(s.dbDir(), f.Name()))
		}
	}
	if free, err := durable.Free(s.dir); err == nil && free < uint64(need)+2*floor { //nolint:gosec // sizes
		return fmt.Errorf("%w: %d MB are needed", errFull(s.dir, free), (uint64(need)+2*floor)>>20) //nolint:gosec // as above
	}
	to := s.beforeOf(format)
	tmp := to + ".new"
	if err := errors.Join(os.RemoveAll(tmp), copyFiles(tmp, s.dbDir(), names)); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	for _, name := range names {
		if err := syncFile(filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	if err := durable.SyncDir(tmp); err != nil {
		return err
	}
	old, err := filepath.Glob(s.dbDir() + ".before-*")
	if err != nil {
		return err
	}
	for _, o := range old {
		if o != tmp {
			if err := os.RemoveAll(o); err != nil {
				return err
			}
		}
	}
	return errors.Join(os.Rename(tmp, to), durable.SyncDir(s.dir))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
