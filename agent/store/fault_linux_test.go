package store_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"otor/agent/store"
	"otor/internal/dot"
)

// TestAcknowledgedMeansSynced looks at the kernel's own account of the
// database's logs: after an acknowledgement no page of them may be waiting to
// be written. The control is the same store without syncing, which must show
// unwritten pages; a power cut at that moment would take the entry along.
func TestAcknowledgedMeansSynced(t *testing.T) {
	for name, c := range map[string]struct{ noSync, dirty bool }{
		"synced":                   {false, false},
		"control: without syncing": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var st unix.Statfs_t
			if err := unix.Statfs(dir, &st); err != nil {
				t.Fatal(err)
			}
			if st.Type == unix.TMPFS_MAGIC {
				t.Skip("a memory file system never writes its pages out")
			}
			o := options()
			o.NoSync = c.noSync
			s := open(t, dir, o)
			seen := false
			for range 20 {
				put(t, s, dot.Record, 1)
				kb, mapped := unwritten(t, dir)
				if !mapped {
					t.Fatal("no log of the database is mapped")
				}
				seen = seen || kb > 0
				if kb > 0 && !c.dirty {
					t.Fatalf("%d kB of the log were not written when the entry was acknowledged", kb)
				}
			}
			if seen != c.dirty {
				t.Fatal("the control lost nothing: this test would not notice a missing sync")
			}
		})
	}
}

// unwritten sums the dirty kilobytes of the mapped logs of the store in dir.
func unwritten(t *testing.T, dir string) (kb int, mapped bool) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip("the kernel keeps no account of mapped pages")
	}
	defer f.Close()
	ours := false
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			ours = strings.HasPrefix(fields[len(fields)-1], dir) && strings.HasSuffix(line, ".mem")
			mapped = mapped || ours
		case ours && (fields[0] == "Shared_Dirty:" || fields[0] == "Private_Dirty:"):
			n := 0
			for _, r := range fields[1] {
				n = n*10 + int(r-'0')
			}
			kb += n
		}
	}
	return kb, mapped
}

// smallDisk mounts a memory file system of that many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	needs(t, "root", os.Geteuid() == 0)
	dir := t.TempDir()
	if err := unix.Mount("otor", dir, "tmpfs", 0, "size="+size); err != nil {
		needs(t, "root", false)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "96m")
	dir := filepath.Join(disk, "store")
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 20)
	filler := filepath.Join(disk, "photos")
	fillDisk(t, filler, s, 12<<20)

	_, err := s.Append(t.Context(), visit(t, 1))
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "nothing that was saved is lost") {
		t.Fatalf("append on a full disk: %v", err)
	}
	if s.Err() != nil {
		t.Fatalf("a full disk that was noticed in time broke the store: %v", s.Err())
	}
	wholeChain(t, s, chain)
	// Space comes back: it goes on without reopening.
	remove(t, filler)
	saved = append(saved, put(t, s, dot.Record, 5)...)

	// Full to the last byte, and the program starts again.
	fillDisk(t, filler, s, 0)
	if err := s.Close(); err != nil {
		t.Logf("close on a full disk: %v", err)
	}
	s = open(t, dir, options()) // the ballast makes room
	if f := s.Findings(); len(f) != 0 {
		t.Fatal(f)
	}
	for i, r := range wholeChain(t, s, chain) {
		if r.Hash() != saved[i].Hash {
			t.Fatalf("%s came back with other content", saved[i].Dot)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// Full again, and no ballast is left: refused in words, and nothing touched.
	remove(t, filler)
	o := options()
	fillDiskTo(t, filler, disk, 1<<20)
	if _, err := os.Stat(filepath.Join(dir, "ballast")); err == nil {
		remove(t, filepath.Join(dir, "ballast"))
		fillDiskTo(t, filepath.Join(disk, "more"), disk, 1<<20)
	}
	before := listing(t, dir)
	if _, err := store.Open(dir, o); !errors.Is(err, store.ErrFull) {
		t.Fatalf("open on a full disk: %v", err)
	}
	if listing(t, dir) != before {
		t.Fatal("files changed on a full disk")
	}
	remove(t, filler)
	wholeChain(t, open(t, dir, options()), chain)
}

func fillDisk(t *testing.T, path string, s *store.Store, leave uint64) {
	t.Helper()
	fillDiskTo(t, path, filepath.Dir(path), leave)
	if free, err := s.DiskFree(); err != nil || free > leave+1<<20 {
		t.Fatalf("%d bytes are free, %v", free, err)
	}
}

// fillDiskTo writes a file until about that much is left.
func fillDiskTo(t *testing.T, path, disk string, leave uint64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	for chunk := make([]byte, 64<<10); ; {
		if err := unix.Statfs(disk, &st); err != nil {
			t.Fatal(err)
		}
		if st.Bavail*uint64(st.Bsize) <= leave {
			return
		}
		if _, err := f.Write(chunk); err != nil {
			return
		}
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t, "96m")
	dir := filepath.Join(disk, "store")
	s := open(t, dir, options())
	put(t, s, dot.Record, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		if err := unix.Mount("otor", disk, "tmpfs", unix.MS_REMOUNT|flags, "size=96m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	_, err := store.Open(dir, options())
	if !errors.Is(err, store.ErrReadOnly) || !strings.Contains(err.Error(), dir) {
		t.Errorf("open on a read-only disk: %v", err)
	}
	remount(0)
	wholeChain(t, open(t, dir, options()), chain)
}
