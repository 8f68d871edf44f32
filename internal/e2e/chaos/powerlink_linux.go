package chaos

import (
	"errors"
	"path/filepath"

	"otor/agent/enrol"
	"otor/agent/store"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/e2e/disk"
	"otor/internal/entry"
)

// had says that the hub had an entry of these bytes when a disk had seen so much.
type had struct {
	at
	hash     entry.Hash
	archived int // what the disk had seen before that went into backups; it may be pruned after it
}

// linked lets an agent run on a disk that drains what was put and what is put to it,
// pulls, hears that all is archived, and prunes. It says what was printed and what the
// hub had, and when.
func (t *T) linked(hub *e2e.Hub, a *e2e.Agent, d *disk.Disk) (known []at, sent []had) {
	t.Helper()
	a.Flags = []string{"--keep", "1s"}
	a.Start(t)
	put := func(seed uint64) {
		p := e2e.StartPut(t, "", nil, a.Dir, t.Site.Records(t, seed, 100), "--demo-numbers")
		known = append(known, follow(t, p, d, 100)...)
		p.Ended(t)
	}
	put(t.Seed + 1)
	seen := make(map[dot.Dot]bool)
	note := func() {
		for _, e := range hub.Entries(t, "--device", string(a.Status(t).Device)) {
			if !seen[e.Dot] {
				seen[e.Dot] = true
				sent = append(sent, had{at: at{x: e.Dot}, hash: e.Hash})
			}
		}
		event := d.Events() // read after the hub's answer: never too early
		for i := range sent {
			if sent[i].event == 0 {
				sent[i].event = event
			}
		}
	}
	note() // in the middle of the draining
	a.Sync(t)
	note()
	backups := filepath.Join(t.TempDir(), "backups")
	for i := range sent {
		sent[i].archived = d.Events()
	}
	for range 2 { // what both have may go
		hub.Do(t, "backup", backups).Want(t, cli.OK)
	}
	e2e.Eventually(t, "the archived entries to go", func() bool {
		a.Sync(t)
		n := uint64(0)
		for _, l := range a.Status(t).Lanes {
			n += l.Pruned
		}
		return n > 0
	})
	put(t.Seed + 2) // life goes on, and the power goes after a pruning as well
	a.Kill()
	return known, sent
}

func (t *T) lookAfterCut(dir string, id *enrol.Identity, known []at, sent []had, event int) {
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
		if _, err := s.Get(k.x); err != nil && !errors.Is(err, store.ErrPruned) {
			t.Errorf("after %d events: %s, printed after %d, is gone: %v", event, k.x, k.event, err)
			return
		}
	}
	t.sentAfterCut(s, sent, event)
}

// What images are to show: entries that the hub has, and others that it has in its
// archive and that are gone from here.
const (
	sentIn   = "sent"
	prunedIn = "pruned"
)

// sentAfterCut wants what the hub had before the cut with the same bytes, or pruned
// where the hub had said before that it is archived.
func (t *T) sentAfterCut(s *store.Store, sent []had, event int) {
	t.Helper()
	for _, h := range sent {
		if h.event > event {
			continue
		}
		t.Checked++
		it, err := s.Get(h.x)
		switch {
		case err == nil && it.Raw.Hash() == h.hash:
			t.Met(sentIn, 1)
		case errors.Is(err, store.ErrPruned) && event >= h.archived:
			t.Met(prunedIn, 1)
		case err == nil:
			t.Errorf("after %d events: %s, which the hub had after %d, has other bytes than there", event, h.x, h.event)
			return
		default:
			t.Errorf("after %d events: %s, which the hub had after %d, is gone: %v", event, h.x, h.event, err)
			return
		}
	}
}
