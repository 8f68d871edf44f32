package store

import (
	"context"
	"fmt"
	"time"

	"otor/internal/durable"
)

// Reclaim gives the space of removed rows back to the disk. Badger keeps what was
// deleted until its tables are merged, which it does for writing's sake and not for
// space's: of a store of a few MB never. Nor does it say "merge now", except when a
// prefix of keys is dropped. So a row is written for no other end than to be dropped.
//
// Nobody reads or writes while the newest tables are merged, a fraction of a second
// as a rule; the rest goes on beside them. Both need room for a second copy of the
// tables: without it Reclaim does nothing and reports false.
func (s *Store) Reclaim(ctx context.Context) (done bool, err error) {
	act := func() error { done, err = s.mergeNewest(); return s.fatalOnly(err) }
	if sent := s.send(ctx, &request{act: act}); sent != nil {
		err = sent
	}
	if err == nil && done {
		err = s.db.Flatten(1)
	}
	if err != nil {
		return false, fmt.Errorf("reclaim space of %s: %w", s.dir, err)
	}
	return done, nil
}

// Owed is how many bytes of entries were pruned since Reclaim.
func (s *Store) Owed() (n int64) {
	for _, st := range s.Chains() {
		n += st.pruning.owed
	}
	return n
}

// mergeNewest runs on the committer: Badger refuses writes meanwhile.
func (s *Store) mergeNewest() (bool, error) {
	z, err := s.Sizes()
	if err != nil {
		return false, err
	}
	free, err := durable.Free(s.dir)
	if err != nil {
		return false, err
	}
	if free < uint64(z.Tables+z.Logs)+2*floor { //nolint:gosec // sizes of files
		return false, nil
	}
	start := time.Now()
	if err := s.write([]row{{dropKey, s.box.seal(dropKey, nil)}}); err != nil {
		return false, s.fail(err)
	}
	if err := s.db.DropPrefix(dropKey); err != nil {
		return false, s.fail(err) // what became of the newest rows is known by opening again
	}
	for _, st := range s.Chains() {
		if p := st.pruning; p.owed > 0 {
			p.owed = 0
			if err := s.savePruned(st.Chain, p, nil); err != nil {
				return false, err
			}
		}
	}
	s.log.Info("the store's newest tables were merged", "took", time.Since(start))
	return true, nil
}
