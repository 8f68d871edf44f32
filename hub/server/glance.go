package server

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/backup"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/merge"
)

// databaseDamaged is the finding that pages of the database, or entries in it,
// are not as they should be.
const databaseDamaged = "database_damaged"

// glance looks through the database once, while the hub works, and says so when
// it is damaged. The hub goes on: what it can still read and write is better
// than nothing, and devices keep their entries until they are archived.
func (s *Server) glance(ctx context.Context) {
	err := s.store.Glance(ctx)
	if err == nil {
		// A disk that changed a byte of an entry says nothing of it: hashes and heads do.
		err = backup.Inspect(ctx, s.store)
	}
	if err == nil {
		err = s.glanceAtStates(ctx)
	}
	now := s.cfg.Now().UnixMilli()
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		err = s.store.ClearFinding(ctx, dot.Hub, databaseDamaged, now)
	case errors.Is(err, store.ErrDamaged), errors.Is(err, backup.ErrUnverified):
		s.cfg.Log.Error("the database is damaged; stop the hub, keep its folder, and restore the newest backup: devices send again what it lacks", "err", err)
		err = s.store.SetFinding(ctx, store.Finding{
			Device: dot.Hub, Code: databaseDamaged, OpenedAt: now, UpdatedAt: now,
			Words: fmt.Sprintf("%v; stop the hub, keep its folder, and restore the newest backup with the journal", err),
		})
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("the database was not looked through, or what was found was not noted", "err", err)
	}
	s.bell.Ring()
}

// glanceAtStates looks whether the states of entities can be read, and which are too large
// to be sent to devices. Errors: [store.ErrDamaged].
func (s *Server) glanceAtStates(ctx context.Context) error {
	var largest store.Entity
	for e, err := range s.store.EntitiesOf(ctx, "") {
		if err != nil {
			return err
		}
		if _, err := merge.Decode(e.State); err != nil {
			return fmt.Errorf("entity %s: %w: %w", e.Ref, store.ErrDamaged, err)
		}
		if len(e.State) > len(largest.State) {
			largest = e
		}
	}
	now, size := s.cfg.Now().UnixMilli(), len(largest.State)
	if size <= feed.MaxBody {
		return s.store.ClearFinding(ctx, dot.Hub, reconcile.UnsentFinding, now)
	}
	return s.store.SetFinding(ctx, store.Finding{
		Device: dot.Hub, Code: reconcile.UnsentFinding, Value: int64(size), OpenedAt: now, UpdatedAt: now, Words: reconcile.UnsentWords(largest.Ref, size),
	})
}
