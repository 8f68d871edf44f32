package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/hlc"
	"otor/internal/lane"
)

// Space that is kept so that a full disk can still be opened, and the least
// that opening needs: Badger writes its logs into tables and makes new logs.
const (
	ballastSize = 16 << 20
	openFloor   = 8 << 20
)

// Open opens the store in dir, or makes it. It repairs what a crash may leave,
// sets damaged files apart, and verifies what the hub has not received; what is
// wrong is in [Store.Findings] and the rest stays usable. Errors: [ErrLocked],
// [ErrFull], [ErrReadOnly], [ErrWrongKey], and [ErrDamaged] for what cannot be
// opened without guessing.
func Open(dir string, o Options) (_ *Store, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Store{
		dir: dir, o: o, log: o.Log, queue: make(chan *request, queueSize),
		chains: make(map[dot.Chain]*ChainState), watchers: make(map[chan struct{}]struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(s.explain(err), s.release())
		}
	}()
	if s.box, err = newBox(o.Key); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	rescue, unlisted, err := s.openFiles()
	if err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	if _, err := s.Verify(context.Background(), Unsent, nil); err != nil {
		return nil, err
	}
	s.settleRescue(rescue, unlisted)
	s.committed.Go(s.commitLoop)
	return s, nil
}

// explain gives a file error its words.
func (s *Store) explain(err error) error {
	for _, known := range []error{ErrLocked, ErrFull, ErrReadOnly, ErrDamaged, ErrWrongKey} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch {
	case isNoSpace(err):
		free, _ := diskFree(s.dir) // 0 when even that cannot be read
		return fmt.Errorf("%w: %w", errFull(s.dir, free), err)
	case isReadOnly(err):
		return fmt.Errorf("%w: %s: %w: make the folder writable for this user, or use another --data folder", ErrReadOnly, s.dir, err)
	default:
		return fmt.Errorf("open store %s: %w", s.dir, err)
	}
}

// enter makes the folder, takes the lock and sees to the space.
func (s *Store) enter() (err error) {
	if s.o.ReadOnly {
		if _, err := os.Stat(filepath.Join(s.dbDir(), badger.ManifestFilename)); err != nil {
			return err
		}
		s.lock, err = lockDir(s.dir, true)
		return err
	}
	if err := durable.MkdirAll(s.dbDir(), 0o700); err != nil {
		return err
	}
	if s.lock, err = lockDir(s.dir, false); err != nil {
		return err
	}
	return s.seeToSpace()
}

// seeToSpace gives the ballast up when the disk is full, and lays it in again
// when there is plenty.
func (s *Store) seeToSpace() error {
	if err := s.makeRoom(floor); err != nil {
		return err
	}
	free, err := diskFree(s.dir)
	switch {
	case err != nil:
		return err
	case free < openFloor:
		return errFull(s.dir, free)
	}
	if ballast := s.ballast(); fileSize(ballast) != ballastSize && free > 4*ballastSize {
		if err := layBallast(ballast); err != nil {
			_ = os.Remove(ballast)
			s.log.Warn("no space could be kept for a full disk", "err", err)
		}
	}
	return nil
}

func (s *Store) ballast() string { return filepath.Join(s.dir, "ballast") }

// makeRoom gives the ballast up when less than least bytes are free.
func (s *Store) makeRoom(least uint64) error {
	if s.o.ReadOnly {
		return nil
	}
	free, err := diskFree(s.dir)
	if err != nil || free >= least || fileSize(s.ballast()) == 0 {
		return err
	}
	s.log.Warn("the disk is full: giving up the space kept for that", "free", free)
	return os.Remove(s.ballast())
}

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// openBadger opens the database. A panic over damaged files is an error.
func (s *Store) openBadger() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damaged(s.dbDir(), fmt.Sprint(r), "keep the folder, move it away and enrol again")
		}
	}()
	lines := &badgerLog{log: s.log}
	s.db, err = badger.Open(badgerOptions(s.dbDir(), s.o, lines))
	if errors.Is(err, badger.ErrTruncateNeeded) {
		return fmt.Errorf("%w: %s was not closed in order and must be opened for writing once", ErrReadOnly, s.dir)
	}
	if err != nil {
		s.db = nil
		if isNoSpace(err) || isReadOnly(err) {
			return err
		}
		return damaged(s.dbDir(), err.Error(), "keep the folder, move it away and enrol again")
	}
	for _, line := range lines.ignored {
		s.note(Finding{Code: CodeFileDamaged, What: line, Which: s.dbDir(), Do: "see the findings on entries"})
	}
	return nil
}

// begin readies the current incarnation: its lanes, its tails file, the clock.
func (s *Store) begin() error {
	var latest hlc.Time
	for _, st := range s.chains {
		if st.LastHLC.Compare(latest) > 0 {
			latest = st.LastHLC
		}
	}
	s.clock = hlc.NewClock(latest)
	if s.o.ReadOnly {
		return nil
	}
	tails, err := openTails(s.dir, s.o.Incarnation)
	if err != nil {
		return err
	}
	s.tails = tails
	for _, l := range dot.Lanes() {
		c := dot.Chain{Device: s.o.Device, Incarnation: s.o.Incarnation, Lane: l}
		st := s.chains[c]
		if st.Last == 0 {
			continue
		}
		// A crash between commit and note leaves the file behind; it catches up here.
		if err := s.tails.write(c, tail{st.Last, st.Head, st.LastHLC}); err != nil {
			return err
		}
	}
	return nil
}

// settleRescue decides on what openFiles set apart: without a finding nothing
// of it was needed. A table that the MANIFEST does not name is what a crash may
// leave; with entries missing it may hold them.
func (s *Store) settleRescue(dir string, unlisted []string) {
	if dir == "" {
		return
	}
	if len(s.Findings()) == 0 {
		if err := os.RemoveAll(dir); err != nil {
			s.log.Warn("copies made before opening are left", "dir", dir, "err", err)
		}
		return
	}
	for _, name := range unlisted {
		s.note(Finding{
			Code: CodeFileExtra, Which: filepath.Join(s.dbDir(), name), What: "the database's list of files does not name it",
			Do: "it was set apart in " + dir + " and may hold entries that are missing",
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.findings {
		if f.Code != CodeFileDamaged && f.Code != CodeFileExtra {
			s.findings[i].Do += "; the files as they were are in " + dir
		}
	}
}

// openFiles examines the files, repairs, and opens Badger. rescue is the folder
// with what Badger would have rewritten or deleted, "" when there was nothing.
func (s *Store) openFiles() (rescue string, unlisted []string, err error) {
	ex, err := examine(s.dbDir())
	if err != nil {
		return "", nil, err
	}
	s.fresh = ex.fresh
	if s.o.ReadOnly {
		if len(ex.bad) > 0 {
			return "", nil, damaged(filepath.Join(s.dbDir(), ex.bad[0].name), ex.bad[0].what, "open the store for writing once: that sets it apart")
		}
		return "", nil, s.openBadger()
	}
	if len(ex.bad) > 0 || len(ex.unlisted) > 0 || len(ex.logs) > 0 {
		if rescue, err = s.setApart(ex); err != nil {
			return "", nil, fmt.Errorf("set damaged files of %s apart: %w", s.dbDir(), err)
		}
	}
	if err := s.openBadger(); err != nil {
		return "", nil, err
	}
	return rescue, ex.unlisted, durable.SyncDir(s.dbDir())
}

// setApart copies what Badger would rewrite or delete, moves what it must not
// see, and takes bad tables out of the MANIFEST.
func (s *Store) setApart(ex examination) (rescue string, err error) {
	root := filepath.Join(s.dir, "apart")
	if err := durable.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	rescue, err = os.MkdirTemp(root, s.o.Now().UTC().Format("20060102-150405-*"))
	if err != nil {
		return "", err
	}
	copies := ex.logs
	if len(ex.bad) > 0 {
		copies = append(copies, badger.ManifestFilename)
	}
	var need int64
	for _, name := range copies {
		need += fileSize(filepath.Join(s.dbDir(), name))
	}
	if free, err := diskFree(s.dir); err != nil || free < uint64(need)+2*floor {
		s.log.Warn("too little space for copies of the logs", "free", free, "need", need)
	} else if err := copyFiles(rescue, s.dbDir(), copies); err != nil {
		return "", err
	}
	for _, name := range ex.unlisted {
		if err := os.Rename(filepath.Join(s.dbDir(), name), filepath.Join(rescue, name)); err != nil {
			return "", err
		}
	}
	if len(ex.listed) > 0 {
		if err := dropFromManifest(s.dbDir(), ex.listed); err != nil {
			return "", err
		}
	}
	for _, f := range ex.bad {
		if !f.gone {
			if err := os.Rename(filepath.Join(s.dbDir(), f.name), filepath.Join(rescue, f.name)); err != nil {
				return "", err
			}
		}
		s.note(Finding{
			Code: CodeFileDamaged, What: f.what, Which: filepath.Join(s.dbDir(), f.name),
			Do: "it was set apart in " + rescue + "; the entries that it held are listed when they are missing",
		})
	}
	return rescue, durable.SyncDir(s.dbDir())
}

// load reads the rows and finds out where each chain ends.
func (s *Store) load() error {
	outside, unused, err := readTails(s.dir)
	if err != nil {
		return err
	}
	found := make(map[dot.Chain]*evidence)
	err = s.view(func(txn *badger.Txn) error {
		if err := s.loadFormat(txn); err != nil {
			return err
		}
		return s.loadRows(txn, found)
	})
	if err != nil {
		return err
	}
	for c, t := range outside {
		at(found, c).outside = &t
	}
	for _, l := range dot.Lanes() {
		c := dot.Chain{Device: s.o.Device, Incarnation: s.o.Incarnation, Lane: l}
		at(found, c).unused = unused[laneOf{c.Incarnation, l}]
	}
	for c, ev := range found {
		st := s.judge(c, ev)
		s.chains[c] = st
		if ev.highest < st.Last {
			s.note(entriesLost(c, lane.NewSet(lane.Run(ev.highest+1, st.Last))))
		}
	}
	return nil
}

// loadFormat checks that the key is the right one, and marks a new store.
func (s *Store) loadFormat(txn *badger.Txn) error {
	item, err := txn.Get(formatKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		if s.o.ReadOnly {
			return nil
		}
		if !s.fresh {
			s.note(Finding{Code: CodeRowDamaged, Which: fmt.Sprintf("row %x", formatKey), What: "it is missing", Do: "nothing: it was written again"})
		}
		value, err := s.box.sealRow(formatKey, formatRow{formatVersion, s.o.Device})
		if err != nil {
			return err
		}
		return s.write([]row{{formatKey, value}})
	}
	if err != nil {
		return err
	}
	var f formatRow
	err = item.Value(func(v []byte) error { return s.box.openRow(formatKey, v, &f) })
	switch {
	case errors.Is(err, errSealed):
		return fmt.Errorf("%w: %s was made with another key: unlock with the right passphrase, or put the key file back", ErrWrongKey, s.dir)
	case err != nil:
		return damaged(s.dir, "its format row: "+err.Error(), "keep the folder, move it away and enrol again")
	case f.Version != formatVersion:
		return fmt.Errorf("store %s has format %d and this program knows format %d: use a newer program", s.dir, f.Version, formatVersion)
	case f.Device != s.o.Device:
		return fmt.Errorf("store %s belongs to device %s and not to %s: use another --data folder", s.dir, f.Device, s.o.Device)
	}
	return nil
}
