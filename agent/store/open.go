package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
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
		feeds: make(map[string]*feedState), formDrafts: make(map[string]draftState), blobs: make(map[entry.Hash]BlobRef),
		jammed: make(chan struct{}), pruneFrom: make(map[dot.Chain]dot.Seq), changes: changeLog{floor: 1},
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
	if o.Repair {
		if err := s.rebuildManifest(); err != nil {
			return nil, err
		}
	}
	apart, err := s.openFiles()
	if err != nil {
		return nil, err
	}
	if err := s.upgrade(); err != nil {
		return nil, err
	}
	if err := s.askLife(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	s.recall()
	if _, err := s.Verify(context.Background(), Unsent, nil); err != nil {
		return nil, err
	}
	s.settleRescue(apart)
	if err := s.resumeMoves(); err != nil {
		return nil, err
	}
	s.committed.Go(s.commitLoop)
	if err := s.keepFindings(context.Background()); err != nil {
		s.log.Warn("the findings are known to this run alone", "err", err)
	}
	return s, nil
}

// explain gives a file error its words.
func (s *Store) explain(err error) error {
	for _, known := range []error{ErrLocked, ErrFull, ErrReadOnly, ErrFails, ErrDamaged, ErrWrongKey, ErrNewer} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch {
	case durable.Full(err):
		free, _ := durable.Free(s.dir) // 0 when even that cannot be read
		return fmt.Errorf("%w: %w", errFull(s.dir, free), err)
	case errors.Is(err, syscall.EIO):
		return errFails(s.dir, err)
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

// openBadger opens the database. A panic over damaged files is an error.
func (s *Store) openBadger() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damaged(s.dbDir(), fmt.Sprint(r), "keep the folder, move it away and enrol again")
		}
	}()
	lines := &badgerLog{log: s.log, stuck: s.jam}
	s.db, err = badger.Open(badgerOptions(s.dbDir(), s.o, lines))
	if errors.Is(err, badger.ErrTruncateNeeded) {
		return fmt.Errorf("%w: %s was not closed in order and must be opened for writing once", ErrReadOnly, s.dir)
	}
	if err != nil {
		s.db = nil
		if durable.Full(err) || isReadOnly(err) || errors.Is(err, syscall.EIO) {
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
	s.current, s.origin = s.o.Incarnation, s.o.Origin
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

// load reads the rows and finds out where each chain ends.
func (s *Store) load() error {
	outside, unused, err := readTails(s.dir)
	if err != nil {
		return err
	}
	found := make(map[dot.Chain]*evidence)
	err = s.view(func(txn *badger.Txn) error {
		if err := s.loadFormat(txn, len(outside) == 0 && len(unused) == 0); err != nil {
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
		if st.blank() && c.Incarnation != s.o.Incarnation {
			continue // a life that was begun and never captured in
		}
		s.chains[c] = st
		if ev.highest < st.Last {
			if lost := st.present(lane.Run(ev.highest+1, st.Last)); len(lost) > 0 {
				s.note(entriesLost(c, lost))
			}
		}
	}
	return nil
}

// loadFormat checks that the key is the right one, and marks a new store. The
// power may go after Badger made its files and before the mark is there: then
// there is no row at all, and no tails file, which is made after it.
func (s *Store) loadFormat(txn *badger.Txn, noTails bool) error {
	item, err := txn.Get(formatKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		if s.o.ReadOnly {
			return nil
		}
		if !s.fresh && !(noTails && empty(txn)) {
			s.note(Finding{Code: CodeRowDamaged, Which: fmt.Sprintf("row %x", formatKey), What: "it is missing", Do: "nothing: it was written again"})
		}
		value, err := s.box.sealRow(formatKey, formatRow{newest(), s.o.Device})
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
	case f.Version != newest():
		return fmt.Errorf("%w: %s has format %d, this program knows %d; nothing was changed, use the newer program", ErrNewer, s.dir, f.Version, newest())
	case f.Device != s.o.Device:
		return fmt.Errorf("store %s belongs to device %s and not to %s: use another --data folder", s.dir, f.Device, s.o.Device)
	}
	return nil
}

// empty reports whether the database has no row.
func empty(txn *badger.Txn) bool {
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false
	it := txn.NewIterator(opts)
	defer it.Close()
	it.Rewind()
	return !it.Valid()
}
