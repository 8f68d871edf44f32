package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	lifebook "otor/agent/life"
	"otor/agent/store"
	hubstore "otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
)

// image is an older copy of a device's folder.
type image struct {
	dir   string
	mark  string
	acked map[dot.Chain][]saved
}

// mostFolders bounds the folders of a run, copies and all.
const mostFolders = 6

// folders are the devices, for who is not the driver.
func (w *world) folders() []*device { return *w.all.Load() }

func (w *world) addFolder(d *device) {
	w.devices = append(w.devices, d)
	all := slices.Clone(w.devices)
	w.all.Store(&all)
}

// isPlain reports whether a device has one folder, which always was its newest.
func (w *world) isPlain(id dot.Device) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.split[id]
}

func (w *world) splitUp(id dot.Device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.split[id] = true
}

func copyOf(acked map[dot.Chain][]saved) map[dot.Chain][]saved {
	out := make(map[dot.Chain][]saved, len(acked))
	for c, all := range acked {
		out[c] = slices.Clone(all)
	}
	return out
}

// keepImage copies a folder, as a backup of the device does.
func (d *device) keepImage(ctx context.Context) error {
	if d.proc == nil {
		return nil
	}
	if err := d.stop(); err != nil {
		return err
	}
	if d.older != nil {
		if err := os.RemoveAll(d.older.dir); err != nil {
			return err
		}
	}
	d.older = &image{dir: filepath.Join(d.w.cfg.Dir, fmt.Sprintf("%s-image-%d", d.name, d.starts)), mark: d.mark, acked: copyOf(d.acked)}
	return errors.Join(copyTree(d.older.dir, d.dir), d.start(ctx))
}

// remark gives a folder another mark, unless a whole disk is copied.
func (d *device) remark(of string) {
	if d.mark = of; d.w.dice.is(0.4) {
		d.mark = fmt.Sprintf("%s %d", d.name, d.starts)
	}
}

// putFolderBack puts an older image in place of a device's folder. What was
// captured since is lost where nobody else has it.
func (w *world) putFolderBack(_ context.Context, d *device) error {
	if d.older == nil || w.oneFolder() {
		return nil
	}
	dir := filepath.Join(w.cfg.Dir, fmt.Sprintf("%s-back-%d", d.name, d.starts))
	if err := errors.Join(d.stop(), os.RemoveAll(d.dir), copyTree(dir, d.older.dir)); err != nil {
		return err
	}
	d.dir, d.acked, d.perhaps, d.received = dir, copyOf(d.older.acked), nil, make(map[dot.Chain]store.ChainState)
	d.remark(d.older.mark)
	d.downUntil = time.Now().Add(w.dice.about(5 * time.Second))
	d.older, d.drafts = nil, nil
	w.splitUp(d.id)
	w.did(d.name, func(n *Work) { n.PutBacks++ }, "put back to an older image, mark %s", d.mark)
	return nil
}

// loseBook ends a device's program, loses the book of its lives, and starts it again.
func (w *world) loseBook(ctx context.Context, d *device) error {
	if d.proc == nil || w.oneFolder() {
		return nil
	}
	if err := errors.Join(d.stop(), os.Remove(filepath.Join(d.dir, lifebook.FileName))); err != nil {
		return err
	}
	w.splitUp(d.id) // the hub has to take it for another folder
	w.did(d.name, func(n *Work) { n.Books++ }, "the book of its lives is lost")
	return d.start(ctx)
}

// wander makes the machine's mark another one at every start of a device, as on a machine
// whose system image is put back each night.
func (w *world) wander(d *device) {
	if w.oneFolder() {
		return
	}
	d.wanders = true
	w.splitUp(d.id)
}

// oneFolder says that folders stay what they are: where one device has two nobody
// knows who had seen what. So it is in some of the runs, and under the controls that are about
// that; under those that are about several folders never.
func (w *world) oneFolder() bool {
	switch w.cfg.Control {
	case Absorb, Ignore:
		return true
	case NoLink, NoRehome:
		return false
	default:
		return newDice(w.cfg.Seed, "folders").is(wholeRuns)
	}
}

// wholeRuns is the share of the runs in which no folder is copied or put back, beside those
// in which none happens to be; leastWhole is how many of many must have come out so.
const (
	wholeRuns  = 0.4
	leastWhole = 0.1
)

// copyFolder copies a device's folder to another machine, where it goes on as well.
func (w *world) copyFolder(ctx context.Context, d *device) error {
	if d.proc == nil || len(w.devices) >= mostFolders || w.oneFolder() {
		return nil
	}
	name := fmt.Sprintf("%s copy %d", d.id, len(w.devices))
	twin, err := newFolder(w, d.id, name)
	if err != nil {
		return err
	}
	twin.remark(d.mark)
	if err := d.stop(); err != nil {
		return err
	}
	twin.acked = copyOf(d.acked)
	if err := errors.Join(copyTree(twin.dir, d.dir), d.start(ctx)); err != nil {
		return err
	}
	twin.downUntil = time.Now().Add(w.dice.about(5 * time.Second))
	w.splitUp(d.id)
	w.addFolder(twin)
	w.did(d.name, func(n *Work) { n.Twins++ }, "is copied as %s, mark %s", name, twin.mark)
	return nil
}

// adopt takes entries of a chain up to a seq into the account that got there by
// re-homing: facts of this folder under other names.
func (d *device) adopt(c dot.Chain, upto dot.Seq) {
	for next := dot.Seq(len(d.acked[c])) + 1; next <= upto; next++ {
		it, err := d.proc.store.Get(c.At(next))
		if err != nil || it.Public.Was == nil {
			return // who asks says what that means
		}
		old, known := d.fact(*it.Public.Was)
		if !known {
			d.w.violate("%s has %s, re-homed from %s, which it never had", d.name, it.Dot, it.Public.Was.Dot)
			return
		}
		d.acked[c] = append(d.acked[c], saved{dot: it.Dot, hash: it.Hash, fact: *it.Public.Was, expect: old.expect})
		d.w.did(d.name, func(w *Work) { w.Rehomed++ }, "re-homed what was %s to %s", it.Public.Was.Dot, it.Dot)
	}
}

// fact finds what a folder has of a fact.
func (d *device) fact(f entry.Was) (saved, bool) {
	for _, all := range d.acked {
		for _, s := range all {
			if s.fact == f {
				return s, true
			}
		}
	}
	return saved{}, false
}

// circumstances are codes that do not follow from an entry alone.
var circumstances = map[string]bool{"chain_mismatch": true, "linked": true, "late": true}

// takesEffect reports whether an entry is the form of its fact that counts.
func takesEffect(j hubstore.Judgement) bool {
	return j.Verdict != hubstore.Held && j.Code != "linked" && j.Code != "chain_mismatch"
}

// factOf is the first form of an entry.
func factOf(e hubstore.Entry) entry.Was {
	return firstForm(e.Dot, e.Hash, e.Raw)
}

func firstForm(at dot.Dot, h entry.Hash, raw entry.Raw) entry.Was {
	if pub, err := entry.DecodePublic(raw.Public); err == nil && pub.Was != nil {
		return *pub.Was
	}
	return entry.Was{Dot: at, Hash: h}
}

// held are the facts that some folder has.
func (w *world) held() map[entry.Was]saved {
	out := make(map[entry.Was]saved)
	for _, d := range w.devices {
		for _, all := range d.acked {
			for _, s := range all {
				out[s.fact] = s
			}
		}
	}
	return out
}

// checkFacts asks that each fact that some folder has took effect at the hub
// once, whatever its names are, and any other at most once.
func (w *world) checkFacts(ledger map[dot.Dot]hubstore.Entry) {
	forms := make(map[entry.Was][]hubstore.Entry)
	for _, e := range ledger {
		if e.Dot.Device != hostileName && e.Dot.Device != dot.Hub {
			forms[factOf(e)] = append(forms[factOf(e)], e)
		}
	}
	held := w.held()
	for f, all := range forms {
		var names []string
		for _, e := range all {
			if takesEffect(e.Judgement) {
				names = append(names, fmt.Sprintf("%s %s %s", e.Dot, e.Judgement.Verdict, e.Judgement.Code))
			}
			if e.Raw.PrivateHash != all[0].Raw.PrivateHash {
				w.violate("%s and %s say that they are one fact, and are not", e.Dot, all[0].Dot)
			}
		}
		if len(names) > 1 {
			slices.Sort(names)
			w.violate("I2: what was captured as %s took effect as %s", f.Dot, strings.Join(names, " and as "))
		}
	}
	for f, s := range held {
		w.checkFact(f, s, forms[f])
	}
}

func (w *world) checkFact(f entry.Was, s saved, forms []hubstore.Entry) {
	for _, e := range forms {
		if !takesEffect(e.Judgement) {
			continue
		}
		j := e.Judgement
		late := j.Code == "late" && (w.gaveUp(e.Dot) || w.gaveUp(f.Dot))
		if !late && !s.expect.meets(j) {
			w.violate("%s was judged %s %s (%s), expected %s %s", e.Dot, j.Verdict, j.Code, j.Words, s.expect.verdict, s.expect.code)
		}
		return
	}
	w.violate("I1: what was captured as %s is on a device as %s and has no effect at the hub, which has %d forms of it", f.Dot, s.dot, len(forms))
}

// compareSplit holds one chain of a folder, of which there are others, against the
// hub's: what keeps its names is there under them.
func (w *world) compareSplit(d *device, st store.ChainState, ledger map[dot.Dot]hubstore.Entry) {
	head := entry.Genesis(st.Chain)
	for _, s := range d.acked[st.Chain][:min(int(st.Stays()), len(d.acked[st.Chain]))] { //nolint:gosec // as many as were captured
		e, ok := ledger[s.dot]
		if !ok || e.Hash != s.hash {
			w.violate("I1: %s of %s is not in the ledger as it was captured", s.dot, d.name)
			return
		}
		head = entry.Next(head, e.Raw)
	}
	if head != st.Tip() {
		w.violate("the ledger's entries of %s up to %d do not give the head that %s has", st.Chain, st.Stays(), d.name)
	}
}

// checkForks asks that forks are of devices with more than one history, and that
// those are resolved whose fact some folder still has.
func (w *world) checkForks(forks []hubstore.Fork, ledger map[dot.Dot]hubstore.Entry) {
	held, aside := w.held(), make(map[entry.Was]bool)
	for _, f := range forks {
		aside[entry.Was{Dot: f.Dot, Hash: f.Hash}] = true
		if f.Dot.Device == hostileName {
			continue
		}
		first := firstForm(f.Dot, f.Hash, f.Raw)
		_, kept := held[first]
		kept = kept && first.Dot == f.Dot // a form between the first and the last stays open: see docs/reliability.md
		switch {
		case w.isPlain(f.Dot.Device):
			w.violate("%s has a fork (%s)", f.Dot, f.Code)
		case kept && f.ResolvedAt == 0:
			w.violate("%s was set aside (%s), came in under another name, and is not resolved", f.Dot, f.Code)
		}
	}
	for at := range w.arrived {
		if e, ok := ledger[at.Dot]; (!ok || e.Hash != at.Hash) && !aside[at] {
			w.violate("L4: %s came with other bytes than the ledger has, and is not kept aside", at.Dot)
		}
	}
}

// arrive notes what came of devices with more than one history.
func (w *world) arrive(frame []byte) {
	f, err := batch.Open(frame)
	if err != nil {
		return
	}
	raws, err := f.Entries()
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, raw := range raws {
		w.arrived[entry.Was{Dot: f.Header.Chain.At(f.Header.Run.First + dot.Seq(i)), Hash: raw.Hash()}] = true
	}
}

// tidy does what is left to operators once devices have sent all they have: it
// gives up what went down with a folder that was put back. left says what it did.
func (w *world) tidy(ctx context.Context) (left string, err error) {
	gaps, err := w.hub.life.ledger.Gaps(ctx, false)
	if err != nil {
		return "", err
	}
	for _, g := range gaps {
		if w.isPlain(g.Chain.Device) {
			continue
		}
		left = "a hole was sealed"
		if err := w.hub.seal(ctx, g); err != nil {
			return left, err
		}
	}
	return left, nil
}

// uplinkOnly says why a life may not pull, as the hub's server does.
func (l *life) uplinkOnly(ctx context.Context, d dot.Device, i dot.Incarnation) (string, error) {
	if twin, err := l.ledger.UplinkOnly(ctx, d, i); err != nil || twin {
		return "it is a copy", err
	}
	return "", nil
}

// confirmTwins lets an operator confirm the copies that are live.
func (h *hub) confirmTwins(ctx context.Context) error {
	l := h.current()
	if l == nil {
		return nil
	}
	lives, err := l.ledger.Lives(ctx, "")
	if err != nil {
		return err
	}
	for _, n := range lives {
		if !n.UplinkOnly() {
			continue
		}
		err := l.ledger.Ingest(ctx, func(tx hubstore.Tx) error {
			at := h.clock.now().UnixMilli()
			return errors.Join(tx.ConfirmLife(n.Device, n.Incarnation, at), hubstore.Regrant(tx, at, n.Device))
		})
		switch {
		case errors.Is(err, errDead) || errors.Is(err, errAway):
			return nil
		case err != nil:
			return err
		}
		h.w.did("author", nil, "confirms %s/%d", n.Device, n.Incarnation)
	}
	return nil
}

// arrivedBy is what a copy of the hub's database has of it.
func (w *world) arrivedBy() map[entry.Was]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.arrived)
}

// manyFolders are findings that come of having more than one folder.
var manyFolders = map[string]bool{"fork": true, "chain_mismatch": true, "twins": true}
