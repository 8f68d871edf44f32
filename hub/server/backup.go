package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"otor/hub/backup"
	"otor/hub/broker"
	"otor/hub/ledger"
	"otor/hub/ledger/journal"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/webui"
)

// openCopy opens a copy of the database, as a hub opens its own.
func openCopy(ctx context.Context, path string) (store.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{Scratch: true})
}

// backupOrder is the body of POST backup.
type backupOrder struct {
	Dir  string `json:"dir"` // absolute, on the hub's machine
	Keep int    `json:"keep"`
}

// Backup makes a verified backup of the hub below dir and keeps so many.
func (o *Office) Backup(ctx context.Context, dir string, keep int) (backup.Made, error) {
	if !filepath.IsAbs(dir) {
		return backup.Made{}, &webui.Refusal{Code: "bad_request", What: "the folder for backups must be a whole path", Which: dir, Do: "write it from the root on"}
	}
	if keep < backup.LeastKept {
		return backup.Made{}, &webui.Refusal{Code: "bad_request", What: "at least 2 backups must be kept, since what is archived rests on the second-newest", Do: "say --keep 2 or more"}
	}
	if passing(dir) {
		return backup.Made{}, &webui.Refusal{Code: "bad_request", What: "what this hub writes there goes when it ends, and nobody else sees it", Which: dir, Do: "name a folder on another disk"}
	}
	made, err := o.keeper.Make(ctx, dir, keep)
	if durable.Full(err) {
		err = errors.Join(store.ErrFull, err)
	}
	if no, ok := refusedFolder(err); ok {
		return made, no
	}
	if err != nil {
		return made, err
	}
	// A journal that has this fact is newer than the backup: by it a restore knows
	// that the journal was not put back together with the database.
	_, err = o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindBackedUp, Subject: filepath.Base(made.Path), Body: backedUpFact{
		Path: made.Path, Number: made.Number, Entries: made.Entries, Epoch: o.epochs.Epoch().String(),
	}}, nil)
	if err != nil {
		made.Warning = strings.TrimPrefix(fmt.Sprintf("%s; the backup is good, but it could not be recorded: %v", made.Warning, err), "; ")
	}
	return made, nil
}

// Backup does what [Office.Backup] does.
func (c *Client) Backup(ctx context.Context, dir string, keep int) (backup.Made, error) {
	return ask[backup.Made](ctx, c, http.MethodPost, "backup", nil, backupOrder{dir, keep})
}

// Recovered says what a restore came to.
type Recovered struct {
	backup.Restored
	Journal  string         `json:"journal"`  // its folder
	Replayed map[string]int `json:"replayed"` // facts that it brought back, by kind
	// InDoubt are devices of which the hub does not know whether it has revoked
	// them since: they may send and are told nothing until they are confirmed.
	InDoubt []dot.Device `json:"in_doubt"`
}

// Restore puts a backup into an empty data folder, cfg.Dir, and then brings back
// from the journal what the hub has decided since. cfg.Journal is the journal's
// folder, which must have one; when it is empty that is the one beside the data,
// if it is there. Of the rest of cfg only Forms, Domain, Zone, Demo and Log count:
// decisions about entities are brought about as the hub itself would.
func Restore(ctx context.Context, from string, cfg Config, acceptLoss bool) (out Recovered, err error) {
	data, asked := cfg.Dir, cfg.Journal
	if asked != "" {
		there, err := journal.Exists(asked)
		if err != nil {
			return out, err
		}
		if !there {
			return out, fmt.Errorf("%w in %s: leave --journal out to restore without it; devices then may only send until they are confirmed", journal.ErrMissing, asked)
		}
	}
	target := backup.Target{Photos: photosIn, Open: openCopy, Reserve: sqlite.Reserve, Place: sqlite.Place, Note: func(data string, m backup.Manifest) error {
		r := restoration{Backup: from, Made: m.Made.Format(time.RFC3339)}
		if _, err := rand.Read(r.ID[:]); err != nil {
			return err
		}
		return writeNote(filepath.Join(data, restoreNote), r)
	}}
	if out.Restored, err = backup.Restore(ctx, target, from, data, acceptLoss); err != nil {
		return out, err
	}
	if err := out.replay(ctx, cfg); err != nil {
		return out, fmt.Errorf("the backup is in %s, but what was decided since is not: %w", data, err)
	}
	return out, nil
}

// replay opens database and journal as a hub's start does.
func (r *Recovered) replay(ctx context.Context, cfg Config) (err error) {
	s := &Server{cfg: cfg}
	s.cfg.fill()
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.openStore(ctx); err != nil {
		return err
	}
	photos, err := openPhotos(cfg.Dir, cfg.Photos)
	if err == nil {
		err = missPhotos(ctx, s.store, photos)
	}
	if err != nil {
		return err
	}
	key, err := broker.HubKey(cfg.Dir, time.Now())
	if err != nil {
		return err
	}
	if err := s.openLedger(ctx, key); err != nil {
		return err
	}
	r.Journal, r.Replayed, r.InDoubt = s.ledger.Dir(), s.ledger.Opened().Replayed, []dot.Device{}
	doubts, err := s.store.Doubts(ctx, "")
	for _, d := range doubts {
		r.InDoubt = append(r.InDoubt, d.Device)
	}
	return err
}
