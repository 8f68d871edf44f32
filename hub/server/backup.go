package server

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"syscall"

	"otor/hub/backup"
	"otor/hub/store"
	"otor/hub/store/sqlite"
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
	made, err := o.keeper.Make(ctx, dir, keep)
	if errors.Is(err, syscall.ENOSPC) {
		err = errors.Join(store.ErrFull, err)
	}
	return made, err
}

// Backup does what [Office.Backup] does.
func (c *Client) Backup(ctx context.Context, dir string, keep int) (backup.Made, error) {
	return ask[backup.Made](ctx, c, http.MethodPost, "backup", nil, backupOrder{dir, keep})
}

// Restore puts a backup into an empty data folder.
func Restore(ctx context.Context, from, data string, acceptLoss bool) (backup.Restored, error) {
	return backup.Restore(ctx, backup.Target{Open: openCopy, Reserve: sqlite.Reserve, Place: sqlite.Place}, from, data, acceptLoss)
}
