package server

import (
	"context"
	"fmt"
	"time"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/merge"
)

// indexAtOnce bounds the entries, or entities, that one transaction gives their words:
// what devices send does not wait long for it.
const indexAtOnce = 200

// index gives what an older hub took in the words by which it is found. It goes on
// where it was when the hub stopped; a database of this program's own has nothing left.
func (s *Server) index(ctx context.Context) {
	for !s.leads.Load() { // of several hubs one does it
		if !wait(ctx, time.Second) {
			return
		}
	}
	for wait := firstRetry; ; wait = min(2*wait, longestWait) {
		n, err := s.indexRest(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if n > 0 {
				s.cfg.Log.Info("what an older hub took in can be searched now", "indexed", n)
			}
			return
		}
		s.cfg.Log.Error("what an older hub took in is not all found by a search yet", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *Server) indexRest(ctx context.Context) (n int, err error) {
	u, err := s.store.Unindexed(ctx)
	if err != nil {
		return 0, err
	}
	for u.After < u.Last {
		some, err := s.indexEntries(ctx, &u)
		if n += some; err != nil {
			return n, err
		}
	}
	if !u.Entities {
		return n, nil
	}
	some, err := s.indexEntities(ctx, &u)
	return n + some, err
}

// indexEntries gives the next entries their words.
func (s *Server) indexEntries(ctx context.Context, u *store.Unindexed) (n int, err error) {
	var some []store.Entry
	next := *u
	for e, err := range s.store.Entries(ctx, store.EntryQuery{After: u.After, Limit: indexAtOnce, WithRaw: true}) {
		if err != nil {
			return 0, err
		}
		if e.Number > u.Last {
			break
		}
		some, next.After = append(some, e.Entry), e.Number
	}
	if len(some) < indexAtOnce {
		next.After = u.Last
	}
	cfg := s.ingestConfig()
	err = s.store.Ingest(ctx, func(tx store.Tx) error {
		for i := range some {
			e := &some[i]
			words := ingest.Describe(e.Dot, e.Raw, e.DeviceTime-e.CorrectedTime, cfg).Words
			if err := tx.AddWords(e.Dot, words); err != nil {
				return err
			}
		}
		return tx.SetUnindexed(next)
	})
	if err != nil {
		return 0, fmt.Errorf("index entries above number %d: %w", u.After, err)
	}
	*u = next
	return len(some), nil
}

// indexEntities gives entities their words. Those that change meanwhile get them
// anyway: they are read once more in the transaction.
func (s *Server) indexEntities(ctx context.Context, u *store.Unindexed) (n int, err error) {
	words, ok := s.cfg.Domain.(reconcile.Finding)
	if !ok {
		return 0, nil
	}
	var refs []entry.Ref
	put := func(over bool) error {
		next := *u
		next.Entities = !over
		if len(refs) > 0 {
			next.AfterRef = refs[len(refs)-1]
		}
		err := s.store.Ingest(ctx, func(tx store.Tx) error {
			rows, err := tx.Entities(refs)
			if err != nil {
				return err
			}
			for _, row := range rows {
				state, err := merge.Decode(row.State)
				if err != nil {
					s.cfg.Log.Error("the state of an entity cannot be read; it is found by its id alone", "entity", row.Ref.String(), "err", err)
					state = merge.New(row.Ref)
				}
				if err := tx.SetEntityWords(row.Ref, reconcile.EntityWords(words, s.cfg.Domain.Type(row.Ref.Type), row.Ref, state)); err != nil {
					return err
				}
			}
			return tx.SetUnindexed(next)
		})
		if err != nil {
			return fmt.Errorf("index entities behind %s: %w", u.AfterRef, err)
		}
		n, refs, *u = n+len(refs), refs[:0], next
		return nil
	}
	for row, err := range s.store.EntitiesOf(ctx, "") {
		if err != nil {
			return n, err
		}
		if row.Ref.Type < u.AfterRef.Type || row.Ref.Type == u.AfterRef.Type && row.Ref.ID <= u.AfterRef.ID {
			continue
		}
		if refs = append(refs, row.Ref); len(refs) == indexAtOnce {
			if err := put(false); err != nil {
				return n, err
			}
		}
	}
	return n, put(true)
}

// indexing reports whether a search does not find all yet.
func (o *Office) indexing(ctx context.Context) (bool, error) {
	u, err := o.store.Unindexed(ctx)
	_, found := o.domain.(reconcile.Finding)
	return u.After < u.Last || u.Entities && found, err
}
