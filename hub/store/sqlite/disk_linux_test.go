package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
)

// smallDisk mounts a file system of so many KiB. It needs root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		if slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), "root") {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("needs root to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestRefusesAFullDisk(t *testing.T) {
	refuses(t, filepath.Join(smallDisk(t, "64k"), "hub.db"), store.ErrFull)
}

// TestDiskFillsUp: the entry that no longer fits is refused in plain words,
// those before it stay, and with room again the same store goes on.
func TestDiskFillsUp(t *testing.T) {
	dir := smallDisk(t, "5m")
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2500<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var seq dot.Seq = 1
	for ; seq < 10_000; seq++ {
		if err = put(s, t, seq); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("after %d entries: %v", seq-1, err)
	}
	t.Log(err)
	totals, err := s.Totals(t.Context())
	if err != nil || totals.Entries != int64(seq-1) {
		t.Errorf("%d entries, want %d: %v", totals.Entries, seq-1, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := put(s, t, seq); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again := open(t, dir)
	defer again.Close() //nolint:errcheck // only read from
	if totals, err := again.Totals(t.Context()); err != nil || totals.Entries != int64(seq) {
		t.Errorf("after reopening %d entries, want %d: %v", totals.Entries, seq, err)
	}
}

func TestRefusesAReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, "4m")
	path := filepath.Join(dir, "hub.db")
	s := open(t, dir)
	if err := errors.Join(put(s, t, 1), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, store.ErrReadOnly)
	refuses(t, filepath.Join(dir, "another.db"), store.ErrReadOnly)
}

func TestRefusesAReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // the folder must be enterable
		t.Fatal(err)
	}
	refuses(t, filepath.Join(dir, "hub.db"), store.ErrReadOnly)
}
