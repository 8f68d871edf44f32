package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"otor/internal/durable"
	"otor/internal/entry"
)

// photosFolder is where the photos of all backups lie, by the hash of their
// content: what is there once is copied once.
const photosFolder = "photos"

// copyPhotos copies the files that to does not have yet, each under its hash in
// folders by the hash's first two digits, and returns how many it copied. A file
// that is not what its name says is passed over and counted in bad. held are the
// files that an earlier backup had copied already.
func copyPhotos(ctx context.Context, from, to string) (copied, bad int, held []entry.Hash, err error) {
	err = filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == from:
			return fs.SkipAll // no photo came yet
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !e.Type().IsRegular() || len(e.Name()) != 64:
			return nil
		}
		into := filepath.Join(to, e.Name()[:2], e.Name())
		if _, err := os.Lstat(into); err == nil {
			if h, err := hex.DecodeString(e.Name()); err == nil {
				held = append(held, entry.Hash(h))
			}
			return nil
		}
		if err := durable.MkdirAll(filepath.Dir(into), 0o700); err != nil {
			return err
		}
		half := filepath.Join(filepath.Dir(into), making+e.Name())
		if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		digest, err := copyFile(path, half)
		if err != nil {
			return errors.Join(err, os.Remove(half))
		}
		if digest != e.Name() {
			bad++
			return os.Remove(half)
		}
		if err := os.Rename(half, into); err != nil {
			return err
		}
		copied++
		return durable.SyncDir(filepath.Dir(into))
	})
	if err != nil {
		err = fmt.Errorf("copy photos: %w", err)
	}
	return copied, bad, held, err
}
