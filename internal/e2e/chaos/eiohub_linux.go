package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"otor/internal/e2e"
	"otor/internal/e2e/disk"
)

// eioHub lets the disk fail from some write or flush on, under a hub into which two
// devices drain: it gives no receipt for what is not on that disk, and on another
// disk, with what the failed one still holds, the devices bring it all together.
func eioHub(t *T) {
	for range errorsIn {
		d := t.disk(96 << 20)
		h := e2e.NewHub(t, filepath.Join(d.Mount, "hub"), "--demo-numbers", "--max-store", "16MiB")
		h.Start(t)
		var fleet []*e2e.Agent
		for i := range 2 {
			a := h.Enrol(t, fmt.Sprintf("D-%d", 101+i))
			a.MustPut(t, t.Site.Records(t, t.Seed+uint64(i), 100), "--demo-numbers") //nolint:gosec // 0 or 1
			a.Start(t)
			fleet = append(fleet, a)
		}
		e2e.Eventually(t, "some to be at the hub", func() bool { return received(t, fleet) > 20 })
		f := disk.Failure{Write: 1 + t.R.IntN(100), With: syscall.EIO}
		if t.R.IntN(2) == 0 {
			f = disk.Failure{Flush: 1 + t.R.IntN(30), With: syscall.EIO}
		}
		if t.Control == drops {
			f = disk.Failure{Write: f.Write + f.Flush} // it says that all is well, and keeps nothing
		}
		d.Fail(f)
		t.drainOnto(d, fleet, f)
		if h.Ended(0) {
			t.Logf("the hub ended by itself: %+v", f)
		}
		h.Kill()
		for _, a := range fleet {
			a.Kill()
		}
		t.Faults++
		im, err := d.Now(filepath.Join(t.TempDir(), "after"))
		if err != nil {
			t.Fatal(err)
		}
		disk := t.TempDir() // another one, on which is what the failed one still holds
		err = os.CopyFS(disk, os.DirFS(im.Mount))
		if err := errors.Join(err, im.Close()); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(disk, "hub")
		t.receiptsOn(dir, fleet)
		if t.Failed() {
			return
		}
		t.refilled(dir, fleet, "--journal", filepath.Join(disk, "hub-journal"))
	}
}

// drainOnto has devices save and drain until the disk has failed, and a while longer:
// until the hub has said of some more entries that it has them, or says nothing more.
func (t *T) drainOnto(d *disk.Disk, fleet []*e2e.Agent, f disk.Failure) {
	t.Helper()
	more := func(seed int) {
		for _, a := range fleet {
			a.MustPut(t, t.Site.Records(t, t.Seed+uint64(seed), 20), "--demo-numbers") //nolint:gosec // small
		}
	}
	for i := 0; !d.Failed(); i++ {
		if i == 200 {
			t.Fatalf("the disk never failed: %+v", f)
		}
		more(100 + i)
		time.Sleep(50 * time.Millisecond)
	}
	before := received(t, fleet)
	for i := range 6 {
		more(400 + i)
		time.Sleep(250 * time.Millisecond)
		if received(t, fleet) > before+60 {
			return
		}
	}
}

// received counts the entries that devices have receipts for.
func received(t *T, fleet []*e2e.Agent) (n uint64) {
	t.Helper()
	for _, a := range fleet {
		for _, l := range a.Status(t).Lanes {
			n += uint64(l.Received)
		}
	}
	return n
}

// receiptsOn wants what devices have receipts for in a database that nobody serves.
func (t *T) receiptsOn(dir string, fleet []*e2e.Agent) {
	t.Helper()
	var known []at
	for _, a := range fleet {
		dev, err := t.Site.Open(a.Dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range dev.Store().Chains() {
			for _, r := range st.Received {
				for seq := r.First; seq <= r.Last; seq++ {
					known = append(known, at{st.Chain.At(seq), 0})
				}
			}
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
	t.ledgerAfterCut(dir, known, 0)
}
