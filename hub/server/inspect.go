package server

import (
	"context"
	"errors"

	"otor/hub/backup"
	"otor/hub/store"
	"otor/internal/dot"
)

// ledgerDamaged is the finding that the database is not what was committed.
const ledgerDamaged = "ledger_damaged"

// inspect looks through the whole database once, beside everything else: a disk
// that changed a byte says nothing of it by itself. Devices keep what is not
// archived, and backups the rest; so what is found can be brought back.
func (s *Server) inspect(ctx context.Context) error {
	now := func() int64 { return s.cfg.Now().UnixMilli() }
	err := backup.Inspect(ctx, s.store)
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		if err := s.store.ClearFinding(ctx, dot.Hub, ledgerDamaged, now()); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("finding not closed", "code", ledgerDamaged, "err", err)
		}
		return nil
	case !errors.Is(err, backup.ErrUnverified):
		s.cfg.Log.Warn("the database was not looked through", "err", err)
		return nil
	}
	s.cfg.Log.Error("the database is damaged", "err", err, "do", "restore the newest backup: devices send again what it lacks")
	err = s.store.SetFinding(ctx, store.Finding{
		Device: dot.Hub, Code: ledgerDamaged, OpenedAt: now(), UpdatedAt: now(),
		Words: "the database is damaged: " + err.Error() + "; restore the newest backup (hub restore): devices send again what it lacks",
	})
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("finding not noted", "code", ledgerDamaged, "err", err)
	}
	s.bell.Ring()
	return nil
}
