package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/pack"
	"otor/internal/webui"
	"otor/internal/wire"
)

// Several hubs work on one database as long as that is PostgreSQL: each takes in
// what arrives, answers devices and shows pages. What one of them decides the
// others learn from the ledger, which each of them reads every followEvery.
const followEvery = time.Second

// natsNote is the file of the hub's folder that says which NATS servers elsewhere
// it works with.
const natsNote = "nats.json"

// servers is what nats.json holds.
type servers struct {
	Servers []string `json:"servers"`
}

// natsServers are the NATS servers elsewhere: those asked for, else those of the
// last time.
func natsServers(dir string, asked []string) ([]string, error) {
	var last servers
	path := filepath.Join(dir, natsNote)
	if _, err := readNote(path, &last); err != nil && (len(asked) == 0 || !errors.Is(err, ErrNote)) {
		return nil, err
	}
	if len(asked) == 0 || slices.Equal(asked, last.Servers) {
		return last.Servers, nil
	}
	return asked, writeNote(path, servers{asked})
}

// leader is a database that gives one of the hubs that work on it a lead, for as
// long as its connection lasts.
type leader interface {
	Lead(ctx context.Context) (bool, error)
}

// shared reports whether other hubs may work on the database.
func (s *Server) shared() bool { _, ok := s.store.(leader); return ok }

// keysFit refuses to make keys for a hub whose database knows others.
func (s *Server) keysFit(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, "keys")); err == nil || !s.shared() {
		return nil // whether they are the right ones the ledger finds out
	}
	for _, err := range s.store.Facts(ctx, store.FactQuery{Limit: 1}) {
		if err != nil {
			return err
		}
		return &webui.Refusal{
			Code: "keys_missing", What: "the database belongs to a hub, and this folder does not have that hub's keys", Which: s.cfg.Dir,
			Do: "copy the folder keys from the folder of another hub of this database, or from a backup",
		}
	}
	return nil
}

// follow learns what other hubs did, until ctx ends.
func (s *Server) follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var seen int64
	var stopPhotos context.CancelFunc
	for {
		if err := s.followOnce(ctx, &seen); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("what other hubs did is not known yet", "err", err)
		}
		leads, err := s.store.(leader).Lead(ctx) //nolint:errcheck // it is shared
		if err != nil {
			leads = false
		}
		s.leads.Store(leads)
		switch {
		case leads && stopPhotos == nil:
			if stopPhotos, err = s.servePhotos(ctx); err != nil {
				s.cfg.Log.Warn("photos are not taken in yet", "err", err)
			}
		case !leads && stopPhotos != nil:
			stopPhotos()
			stopPhotos = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// servePhotos takes photos in. Their pieces gather in one hub's folder, so one hub
// does it.
func (s *Server) servePhotos(ctx context.Context) (context.CancelFunc, error) {
	ctx, stop := context.WithCancel(ctx)
	if err := s.broker.ServeUntil(ctx, wire.BlobAny, s.blob); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// followOnce learns once; seen is the number of entries at the last time.
func (s *Server) followOnce(ctx context.Context, seen *int64) error {
	more, err := s.ledger.Follow(ctx)
	err = errors.Join(err, s.epochs.Refresh(ctx)) // whatever became of the facts
	totals, countErr := s.store.Totals(ctx)
	if more || totals.Entries != *seen {
		*seen = totals.Entries
		s.land.Changed() // another hub may have taken them in
		s.bell.Ring()
	}
	return errors.Join(err, countErr)
}

// heardPack works with a pack that another hub published, and takes up what waited
// for it here.
func (s *Server) heardPack(ctx context.Context, f ledger.Fact) error {
	var b packFact
	if err := f.Decode(&b); err != nil || s.cfg.Packs == nil {
		return err
	}
	e, err := pack.OpenEdition(b.Signed, s.key.Public())
	if err != nil {
		return err
	}
	p, err := e.Load(func(x pack.Piece) ([]byte, error) { return s.store.Piece(ctx, store.PieceHash(x)) })
	if err != nil {
		return err
	}
	s.cfg.Packs.Put(p)
	if _, err := s.ingest.Replay(ctx, s.store); err != nil { // what comes after it, revocations too, does not wait for this
		s.cfg.Log.Error("entries that wait for their form stay set aside until somebody has them judged again, or the hub starts anew", "err", err)
	}
	return nil
}
