package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"otor/agent/store"
	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// backup is an older copy of the hub's database.
type backup struct {
	dir   string
	notes map[dot.Dot]entry.Hash // confirmed when it was made
	came  map[entry.Was]bool     // arrived by then
	given map[dot.Chain]lane.Set // sealed by then
	marks []hubstore.Watermark   // how far chains go in it
}

// backUp copies the hub's database, as an office does at night.
func (w *world) backUp(ctx context.Context) error {
	h := w.hub
	if h.life == nil || !h.life.ledger.alive() {
		return nil
	}
	h.backups++
	lanes, err := h.life.ledger.Lanes(ctx)
	if err != nil {
		return err
	}
	b := &backup{dir: filepath.Join(w.cfg.Dir, fmt.Sprintf("backup-%d", h.backups)), notes: maps.Clone(h.notes), came: w.arrivedBy(), given: maps.Clone(h.given)}
	for _, n := range lanes {
		b.marks = append(b.marks, hubstore.Watermark{Chain: n.Chain, Through: n.Received.Through()})
	}
	if w.cfg.Control == EarlyArchive && h.backup != nil {
		return h.archive(ctx, b.marks) // nothing was copied
	}
	if err := copyDatabase(b.dir, h.path); err != nil {
		return err
	}
	var promise []hubstore.Watermark
	if h.backup != nil {
		promise = h.backup.marks
	}
	old := h.backup
	h.backup = b
	w.did("hub", nil, "backup")
	if old == nil {
		return h.archive(ctx, promise)
	}
	return errors.Join(h.archive(ctx, promise), os.RemoveAll(old.dir))
}

// archive lets the hub tell devices what is in two backups by now, as its keeper of
// backups does.
func (h *hub) archive(ctx context.Context, marks []hubstore.Watermark) error {
	err := h.life.ledger.Archive(ctx, marks)
	if errors.Is(err, errAway) || err != nil && !h.life.ledger.alive() {
		return nil
	}
	return err
}

// checkPruned asks that what a device removed is in the backup that the hub would be
// put back to. Of a chain's old forms the new ones count.
func (w *world) checkPruned(d *device, st store.ChainState) {
	if w.hub.backup == nil {
		if len(st.Pruned) > 0 {
			w.violate("L8: %s removed %s of %s, and the hub has no backup", d.name, st.Pruned, st.Chain)
		}
		return
	}
	var through dot.Seq
	for _, m := range w.hub.backup.marks {
		if m.Chain == st.Chain {
			through = m.Through
		}
	}
	for _, r := range st.Pruned {
		if last := min(r.Last, st.Stays()); r.First <= last && last > through {
			w.violate("L8: %s removed %s of %s, of which the hub's backup has all up to %d", d.name, r, st.Chain, through)
		}
	}
}

// putBack stops the hub and puts the backup in place of its database. When the
// stream's server stops with it every device says hello again; when that is
// another's, connections stand, and the hub must call. What the operators wrote
// since is gone: their journal is another's affair. What devices wrote must come
// back by itself.
func (w *world) putBack(unplug bool) error {
	h := w.hub
	if h.backup == nil {
		return nil
	}
	if unplug {
		w.unplug()
	}
	if h.life != nil {
		h.life.ledger.crash()
		if err := h.bury(w.dice.about(10 * time.Second)); err != nil {
			return err
		}
	}
	dir := filepath.Join(w.cfg.Dir, fmt.Sprintf("hub-%d-%d", h.lives, h.backups))
	if err := errors.Join(os.RemoveAll(h.path), os.RemoveAll(dir), copyDatabase(dir, h.backup.dir)); err != nil {
		return err
	}
	h.path, h.notes, h.given = dir, maps.Clone(h.backup.notes), maps.Clone(h.backup.given)
	w.mu.Lock()
	clear(w.committed)
	w.arrived = maps.Clone(h.backup.came)
	for _, f := range w.forged {
		f.aside = false
	}
	w.speaks = receipt.Epoch{}
	w.mu.Unlock()
	w.did("hub", func(n *Work) { n.Rollbacks++ }, "put back")
	return nil
}

// unplug takes the stream's server away, and every connection with it.
func (w *world) unplug() {
	w.alerts.serve(false)
	w.records.serve(false)
	for _, d := range w.devices {
		d.hangUp()
	}
}

// speak notes the epoch that the hub speaks from. After it was put back, what
// devices hold of older epochs may be more than it has, until it notices.
func (w *world) speak(e receipt.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.speaks = e
}

// checkReceived holds what a device believes against what the hub has
// committed, in the epoch that both go by.
func (w *world) checkReceived(d string, st store.ChainState) {
	w.mu.Lock()
	same := st.Epoch == w.speaks && !st.Epoch.IsZero()
	w.mu.Unlock()
	if same && !w.has(st.Chain, st.Received) {
		w.violate("I1: %s takes %s %s for received, of which the hub has committed less", d, st.Chain, st.Received)
	}
}

// checkRegained asks that all that devices said was missing came back.
func (w *world) checkRegained(ctx context.Context, l *ledger) error {
	losses, err := l.Losses(ctx, false)
	if err != nil {
		return err
	}
	for _, n := range losses {
		if n.Chain.Device != hostileName && w.isPlain(n.Chain.Device) {
			w.violate("%s %s was noted as missing and did not come back: %d are left", n.Chain, n.Run, n.Left)
		}
	}
	return nil
}
