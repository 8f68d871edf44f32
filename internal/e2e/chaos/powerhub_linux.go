package chaos

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"otor/agent/capture"
	"otor/agent/device"
	"otor/hub/broker"
	hubledger "otor/hub/ledger"
	"otor/hub/ledger/journal"
	hubstore "otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/e2e/disk"
)

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
