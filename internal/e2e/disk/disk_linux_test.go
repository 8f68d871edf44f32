package disk_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"otor/internal/e2e/disk"
)

func newDisk(t *testing.T) *disk.Disk {
	t.Helper()
	if ok, why := disk.Have(); !ok {
		if slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), "root") {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	d, err := disk.New(t.TempDir(), 32<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// put writes a file, and syncs it and its folder when told to.
func put(t *testing.T, dir string, i int, sync bool) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Repeat(fmt.Sprintf("%08d", i), 1000)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if !sync {
		return
	}
	d, err := os.Open(dir)
	if err == nil {
		err = d.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
}

// there counts the files up to n that are there whole.
func there(t *testing.T, dir string, n int) (whole int) {
	t.Helper()
	for i := range n {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)))
		if err == nil && string(b) == strings.Repeat(fmt.Sprintf("%08d", i), 1000) {
			whole++
		}
	}
	return whole
}

// What was synced before the cut is there after it, at any cut; what was not
// synced is lost some time; and a disk that lies about flushes is noticed.
func TestPowerCut(t *testing.T) {
	for name, c := range map[string]struct{ sync, lie, loses bool }{
		"synced":                        {sync: true},
		"control: not synced":           {loses: true},
		"control: flushes mean nothing": {sync: true, lie: true, loses: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			if c.lie {
				d.Lie()
			}
			var at []int // events when file i was done
			for i := range 20 {
				put(t, d.Mount, i, c.sync)
				at = append(at, d.Events())
			}
			if c.sync && at[19] == at[0] {
				t.Fatal("nothing that was written came by here")
			}
			r := rand.New(rand.NewPCG(1, 2))
			lost := 0
			for i := range 12 {
				cut := at[0] + r.IntN(at[19]-at[0]+1)
				im, err := d.After(cut, r, filepath.Join(t.TempDir(), "after"))
				if err != nil {
					if c.loses {
						lost++ // not even the file system is whole
						continue
					}
					t.Fatal(err)
				}
				done := 0
				for done < len(at) && at[done] <= cut {
					done++
				}
				if whole := there(t, im.Mount, done); whole < done {
					lost += done - whole
					if !c.loses {
						t.Errorf("image %d: cut after %d events, %d of %d synced files are there", i, cut, whole, done)
					}
				}
				if err := im.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if c.loses && lost == 0 {
				t.Error("nothing was ever lost: this disk shows nothing")
			}
		})
	}
}

func TestFailingDisk(t *testing.T) {
	for name, f := range map[string]disk.Failure{
		"write": {Write: 3, With: syscall.EIO}, "flush": {Flush: 2, With: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			put(t, d.Mount, 0, true)
			d.Fail(f)
			var failed error
			for i := 1; i < 20 && failed == nil; i++ {
				file, err := os.Create(filepath.Join(d.Mount, fmt.Sprint(i)))
				if err == nil {
					_, _ = file.WriteString("something")
					err = file.Sync()
					_ = file.Close()
				}
				failed = err
			}
			if failed == nil || !d.Failed() {
				t.Errorf("no write failed: %v, %v", failed, d.Failed())
			}
		})
	}
}
