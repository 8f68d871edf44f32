package server

import (
	"context"
	"time"

	"otor/hub/ingest"
	"otor/hub/ledger"
)

// lookAgainFor is how often a hub looks for what is to be released although nothing told it
// to: another hub on the same database may have begun it, and stopped.
const lookAgainFor = 10 * time.Minute

// release goes on releasing what is held with nothing missing below it, a bounded number of
// entries a transaction, so that other devices' frames come in between. It begins with
// what a hub before this one left.
func (s *Server) release(ctx context.Context) {
	wait, troubled := firstRetry, false
	for ctx.Err() == nil {
		more, err := s.releaseSome(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.cfg.Log.Error("what was held is not released; it is tried again", "err", err)
			s.stuck.Store(true)
			s.databaseTakes(ctx, err)
			s.pause(ctx, wait)
			wait, troubled = min(2*wait, longestWait), true
			continue
		case troubled:
			s.stuck.Store(false)
			s.overcome(ctx)
			troubled = false
		}
		if wait = firstRetry; more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-s.unreleased:
		case <-time.After(lookAgainFor):
		}
	}
}

// releaseSome takes one step with every chain that has something to release. more says that
// one of them has still; the error is that of the last one that failed, after all had their turn.
func (s *Server) releaseSome(ctx context.Context) (more bool, failed error) {
	lanes, err := s.store.Lanes(ctx)
	if err != nil {
		return false, err
	}
	for _, l := range lanes {
		if ctx.Err() != nil || !ingest.Unreleased(l) {
			continue
		}
		r, err := s.ingest.Release(ctx, l.Chain)
		if err != nil {
			failed = err
			continue
		}
		more = more || r.Unreleased
		s.announce([]ingest.Result{r})
	}
	return more, failed
}

// goOn says that there is something to release.
func (s *Server) goOn() {
	select {
	case s.unreleased <- struct{}{}:
	default: // it was said
	}
}

// sealed is called after a hole was sealed.
func (s *Server) sealed(context.Context, ledger.Fact) error {
	s.goOn()
	return nil
}
