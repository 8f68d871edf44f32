// Package storetest is the one suite that every hub database must pass.
//
// An implementation's own test is a few lines: it says how a database is
// opened, and calls [Run] and [RunControls]. Each check stands for one promise
// of the contract in package store and knows nothing of SQL. [RunControls] runs
// the same checks against databases that are broken on purpose and fails when
// no check notices: so a check that has gone blind is seen.
//
//   - [Open] opens the database that belongs to a folder.
//   - [T] is what a check reports to: a test, or a recorder that only listens.
package storetest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"otor/hub/store"
)

// Open opens the database that belongs to dir: the same one each time, with
// everything that was committed before. It fails t when it cannot.
type Open func(t *testing.T, dir string) store.Store

// T is what a check reports to.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// check is one promise of the contract.
type check struct {
	name string
	run  func(t T, w *world)
	slow bool // thousands of commits: left out with -short
}

// world is what a check works on: a database of its own.
type world struct {
	store.Store
	reopen func() store.Store
}

// again closes the database and opens it anew.
func (w *world) again(t T) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	w.Store = w.reopen()
}

func checks() []check {
	var all []check
	all = append(all, deviceChecks...)
	all = append(all, laneChecks...)
	all = append(all, lifeChecks...)
	all = append(all, ingestChecks...)
	all = append(all, holeChecks...)
	all = append(all, queryChecks...)
	all = append(all, rollbackChecks...)
	all = append(all, factChecks...)
	all = append(all, absenceChecks...)
	all = append(all, feedChecks...)
	all = append(all, noticeChecks...)
	all = append(all, blobChecks...)
	all = append(all, packChecks...)
	all = append(all, rosterChecks...)
	all = append(all, entityChecks...)
	all = append(all, operatorChecks...)
	all = append(all, watchChecks...)
	all = append(all, foundChecks...)
	return append(all, noteChecks...)
}

// Run checks an implementation against the whole contract.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			if c.slow && testing.Short() {
				t.Skip("takes thousands of commits")
			}
			runCheck(t, t, c, open, func(s store.Store) store.Store { return s })
		})
	}
}

// runCheck gives one check a database and closes it afterwards. What cannot
// even be opened fails real, whoever listens to the check.
func runCheck(real *testing.T, t T, c check, open Open, wrap func(store.Store) store.Store) {
	dir := real.TempDir()
	w := &world{reopen: func() store.Store { return wrap(open(real, dir)) }}
	w.Store = w.reopen()
	defer func() {
		if err := w.Close(); err != nil {
			real.Errorf("close: %v", err)
		}
	}()
	c.run(t, w)
}

// recorder listens to a check and fails nothing.
type recorder struct {
	ctx context.Context

	mu       sync.Mutex // owner of failures: checks complain from several goroutines
	failures []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// listen runs a check against a wrapped database and gives what it complains of.
func listen(t *testing.T, c check, open Open, wrap func(store.Store) store.Store) []string {
	r := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() { // so that Fatalf can end the check and nothing else
		defer close(done)
		runCheck(t, r, c, open, wrap)
	}()
	<-done
	return r.failures
}
