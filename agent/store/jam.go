package store

import (
	"errors"
	"fmt"
	"time"
)

// A disk that fails or becomes read-only while the store is open lets Badger try
// for ever to write a table: commits then block, and so does its Close. That must
// not keep a program from telling its user, and from ending.

// jam makes the store refuse everything, and lets go of who waits for it. Badger
// calls it, from its own goroutine, once.
func (s *Store) jam(line string) {
	s.mu.Lock()
	if s.fatal == nil {
		s.fatal = errFails(s.dir, errors.New(line))
	}
	err := s.fatal
	s.mu.Unlock()
	s.log.Error("the store can no longer save", "err", err)
	close(s.jammed)
	s.signal()
}

// outcome waits for the committer's answer. On a jammed store what became of the
// request is known only by opening it again, as after a commit that failed.
func (s *Store) outcome(r *request) error {
	select {
	case <-r.done:
		return r.err
	case <-s.jammed:
	}
	select {
	case <-r.done:
		return r.err
	default:
		return s.Err()
	}
}

// unlessJammed runs wait to its end, or until the store is jammed.
func (s *Store) unlessJammed(wait func()) (done bool) {
	ended := make(chan struct{})
	go func() { defer close(ended); wait() }()
	select {
	case <-ended:
		return true
	case <-s.jammed:
	}
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// closeBadger closes the database, or leaves it as after a crash when it cannot
// be closed; nothing that was acknowledged is only in memory.
func (s *Store) closeBadger() (err error) {
	if !s.readers.end(maxReading) {
		return errors.New("the database is still read and was left as after a crash; nothing that was saved is lost")
	}
	if s.unlessJammed(func() { err = s.db.Close() }) {
		return err
	}
	return errors.Join(s.Err(), errors.New("the database was left as after a crash; nothing that was saved is lost"))
}

// maxReading is how long Close waits for who reads.
const maxReading = 10 * time.Second

func errFails(dir string, err error) error {
	return fmt.Errorf("%w: %s: %w: check the disk or memory card, then start the program again; nothing that was saved is lost", ErrFails, dir, err)
}
