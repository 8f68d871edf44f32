package e2e_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// The power is cut by copying the disk, not the folder. The agent's folder lies
// on an ext4 file system in a file; the copy of that file has what the file
// system has written to its disk by then, and nothing of what only lies in
// memory. Mounting the copy replays its journal, as after a real power cut.

// disk is an ext4 file system in a file.
type disk struct{ image, mount string }

func newDisk(t *testing.T) *disk {
	t.Helper()
	_, noTools := exec.LookPath("mkfs.ext4")
	e2e.Need(t, "root", os.Geteuid() == 0 && noTools == nil, "mounting a disk image needs root and mkfs.ext4")
	d := &disk{image: filepath.Join(t.TempDir(), "disk.img")}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(128 << 20)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	sh(t, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	d.attach(t)
	return d
}

func (d *disk) attach(t *testing.T) {
	t.Helper()
	d.mount = t.TempDir()
	// A long commit interval: what is not synced stays in memory meanwhile.
	sh(t, "mount", "-o", "loop,commit=300", d.image, d.mount)
	t.Cleanup(func() { sh(t, "umount", d.mount) })
}

// cut returns the disk as it is after a power cut now.
func (d *disk) cut(t *testing.T) *disk {
	t.Helper()
	after := &disk{image: filepath.Join(t.TempDir(), "after.img")}
	sh(t, "cp", "--sparse=always", d.image, after.image)
	after.attach(t)
	return after
}

func sh(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// TestPowerCut cuts the power while put runs: every printed dot is there
// afterwards. The control leaves syncing out and must be found out.
func TestPowerCut(t *testing.T) {
	cuts := 8
	if testing.Short() {
		cuts = 2
	}
	t.Run("promise", func(t *testing.T) {
		for i := range cuts {
			if lost, printed := powerCut(t, uint64(i), "", nil); len(lost) > 0 {
				t.Errorf("cut %d: %d of %d printed entries are gone, the first %s", i, len(lost), printed, lost[0])
			}
		}
	})
	t.Run("control", func(t *testing.T) {
		program := e2e.Control(t, "agent")
		lost, printed := powerCut(t, 1, program, []string{"OTOR_CONTROL=no-sync"})
		t.Logf("without syncing %d of %d printed entries are gone", len(lost), printed)
		if len(lost) == 0 {
			t.Error("an agent that does not sync was not found out")
		}
	})
}

// powerCut returns what was printed and is gone after the cut.
func powerCut(t *testing.T, seed uint64, program string, env []string) (lost []dot.Dot, printed int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 9))
	d := newDisk(t)
	hub := e2e.StartHub(t)
	a := e2e.NewAgent(t, filepath.Join(d.mount, "agent"))
	a.Do(t, "enrol", hub.Invite(t, "D-101").Code, "--hub", hub.URL).Want(t, cli.OK)
	put := e2e.StartPut(t, program, env, a.Dir, records(t, seed, 5_000), "--demo-numbers")
	put.Await(t, 100+r.IntN(1_500))
	time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
	if err := put.Process().Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	dots := settledDots(put)
	after := d.cut(t)
	put.Kill()
	b := e2e.NewAgent(t, filepath.Join(after.mount, "agent"))
	have := make(map[dot.Dot]bool)
	if log := b.Do(t, "log", "--limit", "0", "--json"); log.Exit == cli.OK {
		for _, e := range e2e.Lines[struct {
			Dot dot.Dot `json:"dot"`
		}](t, log.Out) {
			have[e.Dot] = true
		}
	} else if program == "" {
		t.Fatalf("the folder does not open after a power cut: %s", log)
	}
	for _, x := range dots {
		if !have[x] {
			lost = append(lost, x)
		}
	}
	return lost, len(dots)
}

// settledDots reads what a stopped put had printed: its pipe runs empty.
func settledDots(put *e2e.Stream) []dot.Dot {
	for n := -1; ; {
		dots := put.Printed()
		if len(dots) == n {
			return dots
		}
		n = len(dots)
		time.Sleep(50 * time.Millisecond)
	}
}
