// Package durable puts small files on the disk so that they are there whole,
// or not at all, after a power cut.
//
// [WriteFile] writes beside the target, syncs, renames over it and syncs the
// folder: a reader sees the old bytes or the new ones. [MkdirAll] makes folders
// that are still there afterwards, and [SyncDir] fixes the names in one. [Full] tells
// that a disk took no more.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Full reports whether the system said that a disk or a quota is full.
func Full(err error) bool {
	return slices.ContainsFunc(fullErrors, func(e error) bool { return errors.Is(err, e) })
}

// WriteFile replaces the file at path by b, with mode, atomically and durably.
// On an error the old file is untouched.
func WriteFile(path string, b []byte, mode fs.FileMode) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+name+".*.new")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
			_ = f.Close() // a second close after a failed rename changes nothing
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil && !chmodOptional {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := replace(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// MkdirAll makes path and the folders above it, with mode, and syncs the names
// of those that it made.
func MkdirAll(path string, mode fs.FileMode) error {
	path = filepath.Clean(path)
	var made []string
	for p := path; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || p == filepath.Dir(p) {
			break
		}
		made = append(made, filepath.Dir(p))
	}
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	for _, parent := range made {
		if err := SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}
