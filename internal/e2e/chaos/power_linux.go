package chaos

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"otor/agent/enrol"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/e2e/disk"
)

// mountRows need a disk of their own.
func mountRows() []Row {
	return []Row{
		{Name: "power-agent", Fault: "power cut of the agent", Least: images, Root: true, Controls: []Control{by(noSync, isGone), by(lies, isGone)}, Meets: []string{prunedIn, sentIn}, Trial: powerAgent},
		{Name: "power-hub", Fault: "power cut of the hub", Least: images, Root: true, Controls: []Control{by(noSync, isGone, noOpen), by(lies, isGone, noOpen)}, Trial: powerHub},
		{Name: "full-agent", Fault: "full disk of the agent", Least: sizes, Root: true, Controls: []Control{by(taken, isGone)}, Trial: fullAgent},
		{Name: "full-hub", Fault: "full disk of the hub", Least: hubSizes, Root: true, Controls: []Control{by(noDedup, twice)}, Trial: fullHub},
		{Name: "eio-agent", Fault: "I/O error under the agent", Least: errorsIn, Root: true, Controls: []Control{by(drops, isGone)}, Trial: eioAgent},
		{Name: "eio-hub", Fault: "I/O error under the hub", Least: errorsIn, Root: true, Controls: []Control{by(drops, isGone)}, Trial: eioHub},
	}
}

// Work of one trial.
const (
	images   = 20
	sizes    = 8
	hubSizes = 2
	errorsIn = 2
)

// at says after how many events of a disk something was known.
type at struct {
	x     dot.Dot
	event int
}

// disk makes a disk for this trial.
func (t *T) disk(size int64) *disk.Disk {
	t.Helper()
	d, err := disk.New(t.TempDir(), size)
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

// powerAgent records what put writes, and then what an agent writes that drains, pulls
// and prunes, and cuts the power at many places of that record: what was printed, and
// what the hub had, before a cut is there after it.
func powerAgent(t *T) {
	hub := t.Site.Hub()
	d := t.disk(96 << 20)
	a := e2e.NewAgent(t, filepath.Join(d.Mount, "agent"))
	a.Do(t, "enrol", hub.Invite(t, t.Site.Name()).Code, "--hub", hub.URL).Want(t, cli.OK)
	var program string
	var env []string
	switch t.Control {
	case noSync:
		program, env = e2e.Control(t, "agent"), []string{"OTOR_CONTROL=no-sync"}
	case lies:
		d.Lie()
	}
	begin := d.Events()
	// Two lives: what one leaves behind is opened and compacted by the next.
	p := e2e.StartPut(t, program, env, a.Dir, t.Site.Records(t, t.Seed, 4_000), "--demo-numbers")
	known := follow(t, p, d, 150+t.R.IntN(350))
	p.Kill()
	a.Program, a.Env = program, env
	more, sent := t.linked(hub, a, d)
	known = append(known, more...)
	end := d.Events()
	id, err := enrol.Load(a.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for range images {
		t.cut(d, begin+t.R.IntN(end-begin+1), func(im *disk.Image) {
			t.lookAfterCut(filepath.Join(im.Mount, "agent"), id, known, sent, im.Events)
		})
	}
}

// cut makes one image and looks at it. One that does not even mount is a
// problem, too: the file system was synced.
func (t *T) cut(d *disk.Disk, event int, look func(*disk.Image)) {
	t.Helper()
	t.Faults++
	dir := filepath.Join(t.TempDir(), "after")
	im, err := d.After(event, t.R, dir)
	if err != nil {
		t.Errorf("the disk after %d events: %v", event, err)
		return
	}
	look(im)
	if err := im.Close(); err != nil {
		t.Error(err)
	}
}

// follow notes each dot that put prints, with what the disk had seen by then,
// until there are n.
func follow(t *T, p *e2e.Stream, d *disk.Disk, n int) (known []at) {
	t.Helper()
	for deadline := time.Now().Add(e2e.Patience); len(known) < n; time.Sleep(200 * time.Microsecond) {
		printed := p.Printed()
		event := d.Events() // read after the dots: never too early
		for _, x := range printed[len(known):] {
			known = append(known, at{x, event})
		}
		if time.Now().After(deadline) {
			t.Fatalf("put printed %d dots, in vain waited for %d", len(known), n)
		}
	}
	return known
}

// fullAgent fills the disk under an agent, to any size, before and while it
// saves: it refuses in words or saves; when there is space again all is there.
func fullAgent(t *T) {
	hub := t.Site.Hub()
	dir := t.tmpfs("96m")
	a := e2e.NewAgent(t, filepath.Join(dir, "agent"))
	a.Do(t, "enrol", hub.Invite(t, t.Site.Name()).Code, "--hub", hub.URL).Want(t, cli.OK)
	printed := make(map[dot.Dot]bool)
	lines := t.Site.Records(t, t.Seed, 120)
	_, saved := a.Put(t, lines, "--demo-numbers")
	for _, s := range saved {
		printed[s.Dot] = true
	}
	for range sizes {
		leave := uint64(t.R.IntN(26 << 20))
		if t.R.IntN(2) == 0 { // about the bounds that the store has
			bounds := []uint64{16 << 20, 8 << 20, 1 << 20, 0}
			leave = bounds[t.R.IntN(len(bounds))] + uint64(t.R.IntN(256<<10))
		}
		suddenly := t.R.IntN(3) == 0 // under a put that runs
		photos := filepath.Join(dir, "photos")
		if suddenly {
			p := e2e.StartPut(t, "", nil, a.Dir, lines, "--demo-numbers")
			p.Await(t, 1)
			t.fill(photos, dir, leave)
			p.Ended(t)
			for _, x := range p.Printed() {
				printed[x] = true
			}
		} else {
			t.fill(photos, dir, leave)
		}
		for range 2 { // no crash loop: the second one says the same
			r, saved := a.Put(t, lines, "--demo-numbers")
			for _, s := range saved {
				printed[s.Dot] = true
			}
			switch r.Exit {
			case cli.OK:
			case cli.Storage:
				words(t, r, "nothing that was saved is lost")
			default:
				t.Errorf("%d bytes left, suddenly %t: %s", leave, suddenly, r)
			}
		}
		t.Faults++
		if err := os.Remove(photos); err != nil {
			t.Fatal(err)
		}
		if t.Control == taken {
			t.takeAway(a.Dir)
		}
		t.look(a.Dir, printed)
		if t.Failed() {
			return
		}
	}
	for _, e := range a.Log(t) {
		printed[e.Dot] = true // saved, and the process died before it said so
	}
	a.Sync(t)
	for _, p := range LedgerProblems(t, hub, []*e2e.Agent{a}, printed) {
		t.Error(p)
	}
}

// fullHub fills the disk under a hub: devices keep what it does not take, and
// when there is space again, and it was started again, all is there once.
func fullHub(t *T) {
	dir := t.tmpfs("128m")
	h := e2e.NewHub(t, filepath.Join(dir, "hub"), "--demo-numbers", "--max-store", "16MiB")
	h.Start(t)
	t.forgetful(h)
	a := h.Enrol(t, "D-101")
	printed := make(map[dot.Dot]bool)
	for i := range hubSizes {
		for _, s := range a.MustPut(t, t.Site.Records(t, t.Seed+uint64(i), 120), "--demo-numbers") { //nolint:gosec // small
			printed[s.Dot] = true
		}
		photos := filepath.Join(dir, "photos")
		t.fill(photos, dir, uint64(t.R.IntN(64))<<uint(t.R.IntN(16))) //nolint:gosec // up to 2 MB
		a.Do(t, "sync", "--timeout", "2s")
		if t.R.IntN(2) == 0 {
			h.Kill()
			if err := h.TryStart(t); err == nil {
				a.Do(t, "sync", "--timeout", "1s")
			}
		}
		h.Kill()
		t.Faults++
		if err := os.Remove(photos); err != nil {
			t.Fatal(err)
		}
		h.Start(t)
		t.receiptsHold(h, []*e2e.Agent{a})
	}
	a.Sync(t)
	resendAll(t, h, []*e2e.Agent{a})
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, []*e2e.Agent{a}, printed) {
		t.Error(p)
	}
}

// eioAgent lets the disk fail from some write or flush on, under a put: it ends
// with words, saves nothing that is not there, and is well on another disk.
func eioAgent(t *T) {
	hub := t.Site.Hub()
	for range errorsIn {
		d := t.disk(64 << 20)
		a := e2e.NewAgent(t, filepath.Join(d.Mount, "agent"))
		a.Do(t, "enrol", hub.Invite(t, t.Site.Name()).Code, "--hub", hub.URL).Want(t, cli.OK)
		id, err := enrol.Load(a.Dir)
		if err != nil {
			t.Fatal(err)
		}
		a.MustPut(t, t.Site.Records(t, t.Seed, 5), "--demo-numbers")
		f := disk.Failure{Write: 1 + t.R.IntN(150), With: syscall.EIO}
		if t.R.IntN(2) == 0 {
			f = disk.Failure{Flush: 1 + t.R.IntN(60), With: syscall.EIO}
		}
		if t.Control == drops {
			f = disk.Failure{Write: f.Write + f.Flush} // it says that all is well, and keeps nothing
		}
		d.Fail(f)
		p := e2e.StartPut(t, "", nil, a.Dir, t.Site.Records(t, t.Seed, 6_000), "--demo-numbers")
		var known []at
		for deadline := time.Now().Add(e2e.Patience); ; time.Sleep(time.Millisecond) {
			printed := p.Printed()
			for _, x := range printed[len(known):] {
				known = append(known, at{x, d.Events()})
			}
			if p.HasEnded() && len(p.Printed()) == len(known) {
				break
			}
			if t.Control == drops && len(known) > 1_000 {
				p.Kill()
			}
			if time.Now().After(deadline) {
				t.Fatal("put did not end on a disk that fails")
			}
		}
		if !d.Failed() {
			t.Fatalf("the disk never failed: %+v", f)
		}
		t.Faults++
		if exit := p.Exit(); exit == cli.OK {
			t.Errorf("put ended with %d on a disk that failed: %+v", exit, f)
		}
		r := a.Do(t, "put", "--form", "water_check")
		if r.Exit != cli.Storage && r.Exit != cli.Internal && r.Exit != cli.Integrity && r.Exit != cli.OK {
			t.Errorf("the next put: %s", r)
		}
		im, err := d.Now(filepath.Join(t.TempDir(), "after"))
		if err != nil {
			t.Fatal(err)
		}
		t.lookAfterCut(filepath.Join(im.Mount, "agent"), id, known, nil, im.Events)
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	}
}

// tmpfs mounts a small disk in memory.
func (t *T) tmpfs(size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until about that much is left on its disk.
func (t *T) fill(name, dir string, leave uint64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var fs syscall.Statfs_t
	for block := make([]byte, 1<<20); ; {
		if err := syscall.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		free := fs.Bavail * uint64(fs.Bsize) //nolint:unconvert,gosec // its type differs between architectures
		if free <= leave {
			return
		}
		if _, err := f.Write(block[:min(uint64(len(block)), free-leave)]); err != nil {
			return // full is full
		}
	}
}
