package store

import (
	"os"
	"path/filepath"

	"otor/internal/durable"
)

// Space that is kept so that a full disk can still be opened, and the least
// that opening needs: Badger writes its logs into tables and makes new logs.
const (
	ballastSize = 16 << 20
	openFloor   = 8 << 20
)

// seeToSpace gives the ballast up when the disk is full, and lays it in again
// when there is plenty.
func (s *Store) seeToSpace() error {
	if err := s.makeRoom(floor); err != nil {
		return err
	}
	free, err := durable.Free(s.dir)
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
	free, err := durable.Free(s.dir)
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
