package sim

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"otor/internal/durable"
)

// A crash leaves what was synced and, of what was written since, anything. The
// image of a folder is therefore made from its files as they are, and what no
// acknowledgement vouches for is then changed: a log is cut, the unsynced tails
// file is put back to an older one.

// ballast is the file that a store keeps for a full disk. It is copied as a hole.
const ballast = "ballast"

// copyTree copies a folder and what is below it. Zeros at the end of a file
// become a hole. Locks, and copies that the store itself has set apart, stay behind.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case e.IsDir() && rel == "apart":
			return fs.SkipDir
		case e.IsDir():
			return os.MkdirAll(target, 0o700)
		case rel == "lock" || rel == "pid" || strings.HasSuffix(rel, ".lock"):
			return nil
		}
		return copyFile(target, path, rel == ballast)
	})
}

func copyFile(to, from string, hole bool) error {
	if hole {
		fi, err := os.Stat(from)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(to, nil, 0o600), os.Truncate(to, fi.Size()))
	}
	size, err := durable.CopyUsed(to, from, 0o600)
	if err != nil {
		return err
	}
	return os.Truncate(to, size)
}

// written gives the bytes in use of each log of a store: up to the last that is not zero.
func written(dir string) (map[string]int64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "db", "*.mem"))
	if err != nil {
		return nil, err
	}
	out := make(map[string]int64, len(names))
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		used, err := durable.Used(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		out[filepath.Base(name)] = used
	}
	return out, nil
}

// tear zeroes each log of the image from a byte on that lies between what was
// in use before a commit and after it. It says whether it cut anything.
func tear(image string, before, after map[string]int64, d dice) (bool, error) {
	cut := false
	for _, name := range slices.Sorted(maps.Keys(after)) {
		end := after[name]
		from, ok := before[name]
		if !ok || end <= from {
			continue
		}
		at := from + d.Int64N(end-from+1)
		if at == end {
			continue // all of it made it
		}
		path := filepath.Join(image, "db", name)
		fi, err := os.Stat(path)
		if err != nil {
			return cut, err
		}
		if err := errors.Join(os.Truncate(path, at), os.Truncate(path, fi.Size())); err != nil {
			return cut, err
		}
		cut = true
	}
	return cut, nil
}

// copyDatabase copies the hub's database with its log. The log comes second:
// what is added meanwhile is then at most a torn end.
func copyDatabase(to, from string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"hub.db", "hub.db-wal", "hub.db.made"} {
		err := copyFile(filepath.Join(to, name), filepath.Join(from, name), false)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
