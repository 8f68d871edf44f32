package journal

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
)

// failing is a file whose calls fail on demand, after they have done their work
// or before.
type failing struct {
	file
	write, sync, truncate error
}

func (f *failing) WriteAt(b []byte, at int64) (int, error) {
	if f.write != nil {
		n, err := f.file.WriteAt(b[:len(b)/2], at)
		return n, errors.Join(f.write, err)
	}
	return f.file.WriteAt(b, at)
}

func (f *failing) Sync() error { return errors.Join(f.file.Sync(), f.sync) }

func (f *failing) Truncate(n int64) error {
	if f.truncate != nil {
		return f.truncate
	}
	return f.file.Truncate(n)
}

var _ io.ReaderAt = &failing{}

func TestAFailureLeavesNoRecord(t *testing.T) {
	for name, broken := range map[string]failing{
		"disk full":          {write: syscall.ENOSPC},
		"sync fails":         {sync: syscall.EIO},
		"no way back":        {write: syscall.ENOSPC, truncate: syscall.EIO},
		"whole, no way back": {sync: syscall.EIO, truncate: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, _, err := Open(dir, true, func([]byte) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Append([]byte("before")); err != nil {
				t.Fatal(err)
			}
			broken.file = j.file
			j.file = &broken
			err = j.Append([]byte("refused"))
			if err == nil || errors.Is(err, ErrFull) != (broken.write != nil) {
				t.Fatalf("an append that fails: %v", err)
			}
			broken.write, broken.sync, broken.truncate = nil, nil, nil
			if err := j.Append([]byte("after")); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			var got []string
			j, found, err := Open(dir, false, func(b []byte) error { got = append(got, string(b)); return nil })
			if err != nil || len(got) != 2 || got[0] != "before" || got[1] != "after" || found.Cut != 0 {
				t.Errorf("%q, %+v, %v", got, found, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAJournalThatVanishedIsRefused(t *testing.T) {
	dir := t.TempDir()
	j, _, err := Open(dir, true, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	broken := failing{file: j.file, sync: syscall.EIO, truncate: syscall.EIO}
	j.file = &broken
	if err := j.Append([]byte("x")); err == nil {
		t.Fatal("appended to a broken disk")
	}
	if err := os.Remove(j.path()); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte("y")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with its file gone: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
