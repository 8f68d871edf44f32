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
	marks []mark                 // how far chains go in it
}

// mark says how far a chain goes in a backup.
type mark struct {
	hubstore.Watermark
	joined bool       // all up to there took its effect
	digest entry.Hash // of that
}

// keptBackups is how many an office keeps at least; here it is at most as well.
const keptBackups = 2

// backUp copies the hub's database, as an office does at night. As far as the second-newest
// copy has a chain, and the newest has the same there, it is archived (L8).
func (w *world) backUp(ctx context.Context) error {
	h := w.hub
	if h.life == nil || !h.life.ledger.alive() {
		return nil
	}
	h.backups++
	marks, err := h.marks(ctx)
	if err != nil {
		return err
	}
	b := &backup{dir: filepath.Join(w.cfg.Dir, fmt.Sprintf("backup-%d", h.backups)), notes: maps.Clone(h.notes), came: w.arrivedBy(), given: maps.Clone(h.given), marks: marks}
	if w.cfg.Control == EarlyArchive && len(h.kept) > 0 {
		return h.archive(ctx, b.marks) // nothing was copied
	}
	if err := copyDatabase(b.dir, h.path); err != nil {
		return err
	}
	h.kept = append(h.kept, b)
	w.did("hub", nil, "backup")
	if len(h.kept) < keptBackups {
		return nil
	}
	promise, err := h.inBoth(ctx, h.kept[len(h.kept)-keptBackups])
	if err != nil {
		return err
	}
	var gone []error
	for ; len(h.kept) > keptBackups; h.kept = h.kept[1:] {
		gone = append(gone, os.RemoveAll(h.kept[0].dir))
	}
	return errors.Join(h.archive(ctx, promise), errors.Join(gone...))
}

// marks says how far chains go in the hub's database.
func (h *hub) marks(ctx context.Context) (out []mark, err error) {
	lanes, err := h.life.ledger.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range lanes {
		m := mark{Watermark: hubstore.Watermark{Chain: n.Chain, Through: n.Received.Through()}, joined: n.Joined == 0}
		if m.Through > 0 {
			if m.digest, err = h.digest(ctx, m.Watermark); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func (h *hub) digest(ctx context.Context, m hubstore.Watermark) (entry.Hash, error) {
	all, err := h.life.ledger.Compare(ctx, m.Chain, []lane.Range{lane.Run(1, m.Through)})
	if err != nil {
		return entry.Hash{}, err
	}
	return all[0], nil
}

// inBoth is what a backup has that the database, of which another was just made, has as well.
func (h *hub) inBoth(ctx context.Context, second *backup) (out []mark, err error) {
	for _, m := range second.marks {
		if !m.joined || m.Through == 0 {
			continue
		}
		now, err := h.digest(ctx, m.Watermark)
		if err != nil {
			return nil, err
		}
		if now == m.digest {
			out = append(out, m)
		}
	}
	return out, nil
}

// archive lets the hub tell devices what is in two backups by now, as its keeper of
// backups does.
func (h *hub) archive(ctx context.Context, marks []mark) error {
	water := make([]hubstore.Watermark, len(marks))
	for i, m := range marks {
		water[i] = m.Watermark
	}
	err := h.life.ledger.Archive(ctx, water)
	if errors.Is(err, errAway) || err != nil && !h.life.ledger.alive() {
		return nil
	}
	return err
}

// checkPruned asks that what a device removed is in both backups that are kept: the hub may be
// put back to either (L8). Of a chain's old forms the new ones count.
func (w *world) checkPruned(d *device, st store.ChainState) {
	if len(w.hub.kept) < keptBackups {
		if len(st.Pruned) > 0 {
			w.violate("L8: %s removed %s of %s, and the hub has %d backups", d.name, st.Pruned, st.Chain, len(w.hub.kept))
		}
		return
	}
	through := dot.MaxSeq
	for _, b := range w.hub.kept {
		var has dot.Seq
		for _, m := range b.marks {
			if m.Chain == st.Chain {
				has = m.Through
			}
		}
		through = min(through, has)
	}
	for _, r := range st.Pruned {
		if last := min(r.Last, st.Stays()); r.First <= last && last > through {
			w.violate("L8: %s removed %s of %s, of which the hub's backups have all up to %d", d.name, r, st.Chain, through)
		}
	}
}

// putBack stops the hub and puts a backup, mostly the newest, in place of its database. When the
// stream's server stops with it every device says hello again; when that is
// another's, connections stand, and the hub must call. What the operators wrote
// since is gone: their journal is another's affair. What devices wrote must come
// back by itself.
func (w *world) putBack(unplug bool) error {
	h := w.hub
	if len(h.kept) == 0 {
		return nil
	}
	of := h.kept[len(h.kept)-1]
	if w.dice.is(0.4) {
		of = h.kept[0]
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
	if err := errors.Join(os.RemoveAll(h.path), os.RemoveAll(dir), copyDatabase(dir, of.dir)); err != nil {
		return err
	}
	h.path, h.notes, h.given = dir, maps.Clone(of.notes), maps.Clone(of.given)
	w.mu.Lock()
	clear(w.committed)
	w.arrived = maps.Clone(of.came)
	for _, f := range w.forged {
		f.aside = false
	}
	w.speaks = receipt.Epoch{}
	w.mu.Unlock()
	w.did("hub", func(n *Work) { n.Rollbacks++ }, "put back to %s", filepath.Base(of.dir))
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
