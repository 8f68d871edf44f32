package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/store"
	"otor/hub/broker"
	hubledger "otor/hub/ledger"
	"otor/hub/ledger/journal"
	hubstore "otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/e2e/disk"
)

// mountRows need a disk of their own.
func mountRows() []Row {
	return []Row{
		{Name: "power-agent", Fault: "power cut of the agent", Least: images, Root: true, Controls: []Control{{noSync, isGone}, {lies, isGone}}, Trial: powerAgent},
		{Name: "power-hub", Fault: "power cut of the hub", Least: images, Root: true, Controls: []Control{{noSync, isGone}, {lies, isGone}}, Trial: powerHub},
		{Name: "full-agent", Fault: "full disk of the agent", Least: sizes, Root: true, Controls: []Control{{taken, isGone}}, Trial: fullAgent},
		{Name: "full-hub", Fault: "full disk of the hub", Least: hubSizes, Root: true, Controls: []Control{{noDedup, twice}}, Trial: fullHub},
		{Name: "eio-agent", Fault: "I/O error under the agent", Least: errorsIn, Root: true, Controls: []Control{{drops, isGone}}, Trial: eioAgent},
		{Name: "eio-hub", Fault: "I/O error under the hub", Least: errorsIn, Root: true, Controls: []Control{{drops, isGone}}, Trial: eioHub},
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

// powerAgent records what put writes, and then cuts the power at many places of
// that record: what was printed before a cut is there after it.
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
	var known []at
	for range 2 {
		p := e2e.StartPut(t, program, env, a.Dir, t.Site.Records(t, t.Seed, 4_000), "--demo-numbers")
		known = append(known, follow(t, p, d, 150+t.R.IntN(350))...)
		p.Kill()
	}
	end := d.Events()
	id, err := enrol.Load(a.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for range images {
		t.cut(d, begin+t.R.IntN(end-begin+1), func(im *disk.Image) {
			t.lookAfterCut(filepath.Join(im.Mount, "agent"), id, known, im.Events)
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

func (t *T) lookAfterCut(dir string, id *enrol.Identity, known []at, event int) {
	t.Helper()
	s, err := store.Open(dir, store.Options{Key: id.StoreKey(), Device: id.Device, Incarnation: id.Incarnation})
	if err != nil {
		for _, k := range known {
			if k.event <= event {
				t.Errorf("after %d events the store does not open: %v", event, err)
				return
			}
		}
		return // nothing was promised yet
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Error(err)
	}
	for _, f := range s.Findings() {
		t.Errorf("after %d events: %s", event, f)
	}
	for _, k := range known {
		if k.event > event {
			break
		}
		t.Checked++
		if _, err := s.Get(k.x); err != nil {
			t.Errorf("after %d events: %s, printed after %d, is gone: %v", event, k.x, k.event, err)
			return
		}
	}
}

// powerHub records what a hub writes while two devices drain into it, and then
// cuts the power at many places: what devices had receipts for before a cut is in
// the database after it.
func powerHub(t *T) {
	d := t.disk(96 << 20)
	h := e2e.NewHub(t, filepath.Join(d.Mount, "hub"), "--demo-numbers", "--max-store", "16MiB")
	switch t.Control {
	case noSync:
		h.Program, h.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=no-sync"}
	case lies:
		d.Lie()
	}
	h.Start(t)
	var fleet []*e2e.Agent
	for i := range 2 {
		fleet = append(fleet, h.Enrol(t, fmt.Sprintf("D-%d", 101+i)))
	}
	begin := d.Events()
	ops := t.operators(h.Dir, d.Events)
	var known []at
	for i, a := range fleet {
		known = append(known, t.drain(a, d, t.Seed+uint64(i), 150)...) //nolint:gosec // 0 or 1
	}
	ops.Stop()
	end := d.Events()
	h.Kill()
	told := ops.Told()
	if len(told) == 0 {
		t.Fatal("no operator was told that anything is done")
	}
	for i := range images {
		last := i == images-1
		t.cut(d, begin+t.R.IntN(end-begin+1), func(im *disk.Image) {
			t.ledgerAfterCut(filepath.Join(im.Mount, "hub"), known, im.Events)
			t.actsAfterCut(filepath.Join(im.Mount, "hub"), told, im.Events)
			if last && t.Control == "" {
				t.refilled(filepath.Join(im.Mount, "hub"), fleet)
			}
		})
	}
}

// actsAfterCut wants the acts of which an operator was told before the cut in the
// database and in the journal, and no other story in one than in the other.
func (t *T) actsAfterCut(dir string, told []act, event int) {
	t.Helper()
	keys, err := broker.HubKey(dir, time.Now())
	if err != nil {
		t.Errorf("after %d events: %v", event, err)
		return
	}
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		return // said already
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	checked, hashes, err := hubledger.CheckRows(s.Facts(t.Context(), hubstore.FactQuery{}), keys.Public())
	if err != nil {
		t.Errorf("after %d events the facts are not as they were signed: %v", event, err)
		return
	}
	var facts []fact
	j, _, err := journal.Open(dir+"-journal", false, func(signed []byte) error {
		f, err := hubledger.Read(signed, keys.Public())
		if n := uint64(len(facts)); err == nil && n < checked.Facts && f.Hash != hashes[n] {
			err = fmt.Errorf("fact %d is another one in the database", n+1)
		}
		facts = append(facts, fact{f.Kind, f.Subject})
		return err
	})
	if err != nil {
		t.Errorf("after %d events the journal: %v", event, err)
		return
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	n := 0
	for n < len(told) && told[n].event <= event {
		n++
	}
	t.actsAmong(facts, told[:n])
	if checked.Facts > uint64(len(facts)) {
		t.Errorf("after %d events the database has %d facts, and the journal %d", event, checked.Facts, len(facts))
		return
	}
	t.actsAmong(facts[:checked.Facts], told[:n])
}

// drain captures n records, a few at a time, and notes which seqs receipts
// cover, with what the disk had seen by then.
func (t *T) drain(a *e2e.Agent, on *disk.Disk, seed uint64, n int) (known []at) {
	t.Helper()
	dev, err := t.Site.Open(a.Dir, func(c *device.Config) { c.MaxEntries = 10; c.MinPause, c.MaxPause = 50*time.Millisecond, time.Second })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = dev.Run(ctx) })
	defer func() {
		cancel()
		running.Wait()
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}()
	running.Go(func() {
		src := t.Site.source(seed)
		for range n {
			r := src.Next()
			if _, err := dev.Capture(ctx, capture.Request{Form: r.Form.ID, EntityType: r.Form.Entity, Entity: r.Entity, Actor: r.Actor, Fields: r.Fields}); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	through := make(map[dot.Chain]dot.Seq)
	for deadline := time.Now().Add(e2e.Patience); len(known) < n; time.Sleep(time.Millisecond) {
		states := dev.Store().Chains()
		event := on.Events() // read after the receipts: never too early
		for _, st := range states {
			for seq := through[st.Chain] + 1; seq <= st.Received.Through(); seq++ {
				known = append(known, at{st.Chain.At(seq), event})
			}
			through[st.Chain] = st.Received.Through()
		}
		if time.Now().After(deadline) || t.Failed() {
			t.Fatalf("receipts for %d entries came, in vain waited for %d", len(known), n)
		}
	}
	return known
}

func (t *T) ledgerAfterCut(dir string, known []at, event int) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		t.Errorf("after %d events the database does not open: %v", event, err)
		return
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("after %d events: %v", event, err)
	}
	have := make(map[dot.Dot]bool)
	for e, err := range s.Entries(t.Context(), hubstore.EntryQuery{}) {
		if err != nil {
			t.Errorf("after %d events: %v", event, err)
			return
		}
		have[e.Dot] = true
	}
	for _, k := range known {
		if k.event > event {
			continue
		}
		t.Checked++
		if !have[k.x] {
			t.Errorf("after %d events: %s, of which a device had a receipt after %d, is gone", event, k.x, k.event)
			return
		}
	}
}

// refilled starts a hub on what the power cut left: devices bring back what it
// lacks, and everything is there once.
func (t *T) refilled(dir string, fleet []*e2e.Agent, flags ...string) {
	t.Helper()
	h := e2e.NewHub(t, dir, append(flags, "--demo-numbers", "--max-store", "16MiB")...)
	h.ListenLike(fleet[0].NATS(t))
	h.Start(t)
	printed := make(map[dot.Dot]bool)
	for _, a := range fleet {
		for _, e := range a.Log(t) {
			printed[e.Dot] = true
		}
		a.Sync(t)
	}
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Errorf("after a power cut and a contact: %s", p)
	}
	h.Kill()
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
		t.lookAfterCut(filepath.Join(im.Mount, "agent"), id, known, im.Events)
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
