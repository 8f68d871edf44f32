package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"otor/internal/durable"
)

// upgradeOf names the file that says which steps the database had taken when the copy
// was made, before its tables began to change, until they all have. Older programs
// wrote the highest number alone.
func upgradeOf(path string) string { return path + ".upgrade" }

// unmark says that all of a change was made.
func unmark(path string) error {
	if err := os.Remove(upgradeOf(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyOf names the copy of a database that has taken these steps.
func copyOf(path string, steps []int64) string {
	return fmt.Sprintf("%s.before-%d", path, slices.Max(steps))
}

// copied reports whether the copy from before a change is there that went on since it
// was made. The highest number tells nothing of that: steps may come out of order.
func copied(path string, applied []int64) bool {
	b, err := os.ReadFile(upgradeOf(path))
	if err != nil {
		return false
	}
	var steps []int64
	for word := range strings.FieldsSeq(string(b)) {
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return false
		}
		steps = append(steps, v)
	}
	if len(steps) == 0 {
		return false
	}
	if _, err := os.Lstat(copyOf(path, steps)); err != nil {
		return false
	}
	if len(steps) == 1 && steps[0] != 0 { // an older program's mark
		return steps[0] < slices.Max(applied)
	}
	return lacks(steps, applied) && !lacks(applied, steps)
}

// lacks reports whether one of the others is not among the steps.
func lacks(steps, others []int64) bool {
	return slices.ContainsFunc(others, func(v int64) bool { return !slices.Contains(steps, v) })
}

// copyBefore keeps the database as it was before its tables are changed, beside
// it, so that the older program can be put back. Copies of earlier changes go. A
// change that was cut short or failed half way goes on from where it is, and the
// copy stays the one from before all of it.
func (s *Store) copyBefore(ctx context.Context, c *conn, applied []int64) error {
	if copied(s.path, applied) {
		return nil
	}
	name := copyOf(s.path, applied)
	tmp := name + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := newFile(tmp); err != nil {
		return err
	}
	if err := errors.Join(copyTo(ctx, c, tmp), syncFile(tmp)); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(name)); err != nil {
		return err
	}
	dir := filepath.Dir(s.path)
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		old := filepath.Join(dir, n.Name())
		if old != name && strings.HasPrefix(old, s.path+".before-") {
			if err := os.Remove(old); err != nil {
				return err
			}
		}
	}
	s.log.InfoContext(ctx, "database copied before its tables are changed", "path", name)
	slices.Sort(applied)
	return durable.WriteFile(upgradeOf(s.path), []byte(strings.Trim(fmt.Sprint(slices.Compact(applied)), "[]")+"\n"), 0o600)
}
