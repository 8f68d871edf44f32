package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"otor/internal/cli"
	"otor/internal/e2e"
)

// tmpfs mounts a small file system of its own. That needs root, whose writes
// no file mode would stop.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	e2e.Need(t, "root", os.Geteuid() == 0, "mounting a small disk needs root")
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	e2e.Need(t, "root", err == nil, "a small disk cannot be mounted here")
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// fill leaves about leave bytes free in dir, and returns the file that took the rest.
func fill(t *testing.T, dir string, leave uint64) string {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	free := fs.Bavail * uint64(fs.Bsize) //nolint:unconvert // its type differs between architectures
	name := filepath.Join(dir, "photos")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 64<<10); free > leave; {
		n := min(free-leave, uint64(len(block)))
		if _, err := f.Write(block[:n]); err != nil {
			if leave == 0 {
				return name // full is full
			}
			t.Fatal(err)
		}
		free -= n
	}
	return name
}

// TestReadOnlyFolder: exit 4, and nothing that was saved is touched.
func TestReadOnlyFolder(t *testing.T) {
	disk := tmpfs(t, "128m")
	h := e2e.StartHub(t)
	a := e2e.NewAgent(t, filepath.Join(disk, "agent"))
	a.Do(t, "enrol", h.Invite(t, "D-101").Code, "--hub", h.URL).Want(t, cli.OK)
	before := a.MustPut(t, water+water, "--form", "water_check")
	remount(t, disk, syscall.MS_RDONLY)
	for _, args := range [][]string{{"put", "--form", "water_check"}, {"run", "--http", "127.0.0.1:0"}, {"status"}, {"sync", "--timeout", "5s"}, {"doctor"}} {
		e := a.Do(t, append(args, "--json")...).Want(t, cli.Storage).Trouble(t)
		if e.Code != "read_only" || e.Do == "" || !strings.Contains(e.Which+e.What, a.Dir) {
			t.Errorf("%v: %+v", args, e)
		}
	}
	inv := h.Invite(t, "D-102")
	fresh := e2e.NewAgent(t, filepath.Join(disk, "fresh"))
	fresh.Do(t, "enrol", inv.Code, "--hub", h.URL).Want(t, cli.Storage).Words(t, fresh.Dir)
	other := e2e.NewHub(t, filepath.Join(disk, "hub"))
	other.Do(t, "serve", "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0").Want(t, cli.Storage).Words(t, disk)
	remount(t, disk, 0)
	guard(t, a, before)
	fresh.Do(t, "enrol", inv.Code, "--hub", h.URL).Want(t, cli.OK) // the code was not spent
}

// TestReadOnlyHub: a hub whose folder became read-only says so and keeps what it has.
func TestReadOnlyHub(t *testing.T) {
	disk := tmpfs(t, "128m")
	h := e2e.NewHub(t, filepath.Join(disk, "hub"), "--max-store", "32MiB")
	h.Start(t)
	a := h.Enrol(t, "D-101")
	a.MustPut(t, water, "--form", "water_check")
	a.Sync(t)
	h.Stop(t)
	remount(t, disk, syscall.MS_RDONLY)
	for _, args := range [][]string{{"serve", "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, {"status"}, {"device", "add", "D-2", "--scope", "a"}} {
		e := h.Do(t, append(args, "--json")...).Want(t, cli.Storage).Trouble(t)
		if e.Do == "" || !strings.Contains(e.Which+e.What, h.Dir) {
			t.Errorf("%v: %+v", args, e)
		}
	}
	remount(t, disk, 0)
	if n := len(h.Entries(t)); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// TestFullDisk: below the floor captures are refused with exit 4, and a folder
// without any space left still opens, loses nothing, and works again afterwards.
func TestFullDisk(t *testing.T) {
	disk := tmpfs(t, "160m")
	h := e2e.StartHub(t)
	a := e2e.NewAgent(t, filepath.Join(disk, "agent"))
	a.Do(t, "enrol", h.Invite(t, "D-101").Code, "--hub", h.URL).Want(t, cli.OK)
	before := a.MustPut(t, strings.Repeat(water, 5), "--form", "water_check")

	a.Start(t)
	photos := fill(t, disk, 4<<20)
	e2e.Eventually(t, "captures to be refused on the full disk", func() bool {
		r, saved := a.Put(t, water, "--form", "water_check")
		before = append(before, saved...)
		if r.Exit == cli.OK {
			return false
		}
		r.Want(t, cli.Storage).Words(t, "disk_full", "nothing that was saved is lost")
		return true
	})
	a.Kill()

	fill(t, disk, 0)
	r, saved := a.Put(t, water, "--form", "water_check")
	if r.Want(t, cli.Storage); len(saved) != 0 {
		t.Errorf("saved on a full disk: %s", r)
	}
	inv := h.Invite(t, "D-102")
	fresh := e2e.NewAgent(t, filepath.Join(disk, "fresh"))
	fill(t, disk, 0)
	fresh.Do(t, "enrol", inv.Code, "--hub", h.URL).Want(t, cli.Storage).Words(t, fresh.Dir)
	e2e.NewHub(t, filepath.Join(disk, "hub")).Do(t, "serve", "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0").Want(t, cli.Storage)

	if err := os.Remove(photos); err != nil {
		t.Fatal(err)
	}
	guard(t, a, before)
	before = append(before, a.MustPut(t, water, "--form", "water_check")...)
	a.Sync(t)
	if n := len(h.Entries(t)); n != len(before) {
		t.Errorf("the hub has %d entries, %d were saved", n, len(before))
	}
}
