package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"otor/agent/store"
	"otor/agent/uplink"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// check asks after each step for what must hold at any time.
func (w *world) check(ctx context.Context) error {
	for _, d := range w.devices {
		if d.proc == nil {
			continue
		}
		for _, st := range d.proc.store.Chains() {
			d.adopt(st.Chain, st.Last)
			if int(st.Last) != len(d.acked[st.Chain]) {
				w.violate("%s has %d entries and %d were acknowledged", st.Chain, st.Last, len(d.acked[st.Chain]))
			}
			was := d.received[st.Chain]
			if was.Epoch == st.Epoch && was.Stays() <= st.Stays() && st.Received.Through() < was.Received.Through() {
				w.violate("the watermark of %s fell: %s, then %s", st.Chain, was.Received, st.Received)
			}
			d.received[st.Chain] = st
			w.checkReceived(d.name, st)
			w.checkPruned(d, st)
		}
		if err := d.proc.store.Err(); err != nil {
			w.violate("the store of %s gave up: %v", d.name, err)
		}
	}
	l := w.hub.current()
	if l == nil || !l.ledger.changed() {
		return nil
	}
	lanes, err := l.ledger.Lanes(ctx)
	if err != nil {
		return err
	}
	w.commit(lanes)
	totals, err := l.ledger.Totals(ctx)
	if err != nil {
		return err
	}
	var sum int64
	for _, n := range lanes {
		sum += int64(n.Received.Len())
	}
	if totals.Entries != sum {
		w.violate("I2: the ledger has %d entries and its lanes say %d", totals.Entries, sum)
	}
	return nil
}

// How long the world may take to settle once nothing goes wrong any more (I5),
// and how often it is asked.
const (
	settleWithin = 45 * time.Minute
	askEvery     = 5 * time.Second
)

// calm heals everything and waits until nothing is on its way.
func (w *world) calm(ctx context.Context) (err error) {
	if err = w.ensure(ctx); err != nil {
		return err
	}
	if l := w.hub.life; l != nil {
		l.ledger.arm(never)
		l.ledger.setAway(false)
	}
	w.calmed.Store(true)
	quietly := w.dice.is(0.5) // once all is well the hub is put back behind connections that stand
	for begun, first := time.Now(), true; ; first = false {
		w.hub.downUntil = time.Time{}
		for _, d := range w.devices {
			d.downUntil = time.Time{}
			d.net.blow(fair, false)
		}
		if err := errors.Join(w.tend(ctx), w.hub.confirmTwins(ctx)); err != nil {
			return err
		}
		if w.dice.is(0.2) { // a night goes by: more of what devices have is archived
			if err := w.backUp(ctx); err != nil {
				return err
			}
		}
		for _, d := range w.devices {
			if first && w.dice.is(0.75) {
				d.hangUp() // custody ends with a connection
			}
			d.connect(ctx)
		}
		if !sleep(ctx, askEvery) {
			return ctx.Err()
		}
		synctest.Wait() // what happens at this moment has happened
		if err := w.check(ctx); err != nil || w.failed() {
			return err
		}
		left := w.left(ctx)
		if left == "" {
			if err := w.checkReadable(ctx); err != nil {
				return err
			}
		}
		if left == "" && w.copies() == 0 {
			if err := w.replay(w.devices[0]); err != nil { // every run has one
				return err
			}
			left = "a copy is under way"
		}
		if left == "" && quietly && len(w.hub.kept) > 0 {
			quietly, begun = false, time.Now()
			if err := w.putBack(false); err != nil {
				return err
			}
			continue
		}
		if left == "" {
			if left, err = w.tidy(ctx); err != nil {
				return err
			}
		}
		if left == "" {
			return nil
		}
		w.endLinks(ctx, time.Since(begun))
		if time.Since(begun) > settleWithin {
			w.violate("I5: %s after the last trouble: %s", settleWithin, left)
			return nil
		}
	}
}

// ensure makes up for what chance left out, so that every run counts.
func (w *world) ensure(ctx context.Context) error {
	w.mu.Lock()
	work := w.work
	w.mu.Unlock()
	if work.HubCrashes == 0 && w.hub.life != nil {
		w.hub.life.ledger.crash()
	}
	d := w.devices[0]
	if work.DeviceCrashes == 0 && d.proc != nil {
		if err := d.crash(ctx, true, 0); err != nil {
			return err
		}
	}
	if work.Forged == 0 {
		return w.hostile.forge()
	}
	return nil
}

func (w *world) copies() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.work.Copies
}

// left says what is not settled yet.
func (w *world) left(ctx context.Context) string {
	if n := w.alerts.len() + w.records.len(); n > 0 {
		return fmt.Sprintf("%d frames are in the stream", n)
	}
	if w.hub.current() == nil {
		return "the hub is down"
	}
	if more, err := w.hub.life.releaseSome(ctx, w.dice); more || err != nil {
		return fmt.Sprintf("what is held is to be released (%v)", err)
	}
	for _, d := range w.devices {
		if d.proc == nil {
			return d.name + " is down"
		}
		if w.elsewhere(d) {
			return d.name + " has not heard of the hub's epoch"
		}
		chains := d.proc.outbox.Outbox.Chains()
		if n := uplink.Remaining(chains); n > 0 {
			return fmt.Sprintf("%s has %d entries waiting", d.name, n)
		}
		for _, c := range chains {
			if c.Disputed {
				return fmt.Sprintf("%s and the hub have not settled what %s is", d.name, c.Chain)
			}
		}
		if scope := w.behind(ctx, d); scope != "" {
			return fmt.Sprintf("%s does not have all of %s", d.name, scope)
		}
		if own := w.overlay(ctx, d); own != "" {
			return fmt.Sprintf("%s shows %s", d.name, own)
		}
		for _, st := range d.proc.store.Chains() {
			if !w.has(st.Chain, st.Received) {
				return fmt.Sprintf("%s takes %s %s for received, and the hub has less", d.name, st.Chain, st.Received)
			}
		}
	}
	return ""
}

// account holds the ledger against everything that was ever acknowledged.
func (w *world) account(ctx context.Context) error {
	for _, d := range w.devices {
		d.hangUp()
	}
	l := w.hub.life.ledger
	ledger, err := w.readLedger(ctx, w.hub.life)
	if err != nil {
		return err
	}
	lanes, err := l.Lanes(ctx)
	if err != nil {
		return err
	}
	byChain := make(map[dot.Chain]hubstore.Lane, len(lanes))
	for _, n := range lanes {
		byChain[n.Chain] = n
	}
	for _, d := range w.devices {
		for _, st := range d.proc.store.Chains() {
			if w.isPlain(d.id) {
				w.compare(d, st, byChain[st.Chain], ledger)
			} else {
				w.compareSplit(d, st, ledger)
			}
		}
		found, err := d.proc.store.Verify(ctx, store.All, nil)
		if err != nil {
			return err
		}
		for _, f := range append(found, d.proc.store.Findings()...) {
			if !w.isPlain(d.id) && (f.Code == store.CodeReceiptAhead || f.Code == store.CodeHeadMismatch) {
				continue // a late receipt about what another folder wrote, to be compared next
			}
			w.violate("I4: %s reports damage: %s %s: %s", d.name, f.Code, f.Which, f.What)
		}
	}
	w.checkFacts(ledger)
	w.checkSealed(ledger)
	if err := w.checkEntities(ctx, l, ledger); err != nil {
		return err
	}
	for at, hash := range w.hub.notes {
		if e, ok := ledger[at]; !ok || e.Hash != hash {
			w.violate("I1: the operator's entry %s was confirmed and is not in the ledger", at)
		}
	}
	if err := w.checkTold(ctx, l, ledger); err != nil {
		return err
	}
	if err := w.checkTrouble(ctx, l, ledger); err != nil {
		return err
	}
	for _, d := range w.devices {
		if err := w.checkBase(ctx, d, l); err != nil {
			return err
		}
	}
	if err := w.checkRegained(ctx, l); err != nil {
		return err
	}
	return w.checkAside(ctx, l)
}

// readLedger reads all entries, and judges each once more.
func (w *world) readLedger(ctx context.Context, l *life) (map[dot.Dot]hubstore.Entry, error) {
	out := make(map[dot.Dot]hubstore.Entry)
	cfg := w.hub.config(l)
	for e, err := range l.ledger.Entries(ctx, hubstore.EntryQuery{WithRaw: true}) {
		if err != nil {
			return nil, err
		}
		if _, twice := out[e.Dot]; twice {
			w.violate("I2: %s is in the ledger twice", e.Dot)
		}
		out[e.Dot] = e.Entry
		if e.Raw.Hash() != e.Hash {
			w.violate("%s has other bytes than its hash says", e.Dot)
		}
		again := ingest.Describe(e.Dot, e.Raw, e.DeviceTime-e.CorrectedTime, cfg).Judgement
		if j := e.Judgement; j != again && j.Verdict != hubstore.Merged && j.Verdict != hubstore.Conflict && j.Verdict != hubstore.Held && !circumstances[j.Code] {
			w.violate("%s was judged %v, and is judged %v when asked again", e.Dot, j, again)
		}
	}
	return out, nil
}

// compare holds one chain of a device against the hub's.
func (w *world) compare(d *device, st store.ChainState, n hubstore.Lane, ledger map[dot.Dot]hubstore.Entry) {
	acked := d.acked[st.Chain]
	whole := lane.NewSet(lane.Run(1, st.Last))
	switch {
	case st.Last == 0 && n.Received == nil:
		return
	case n.Received.Len() != uint64(st.Last) || !within(whole, n.Received):
		w.violate("I1: the hub has %s of %s, which ends at %d", n.Received, st.Chain, st.Last)
	case n.Head != st.Head:
		w.violate("the heads of %s at %d differ", st.Chain, st.Last)
	case n.Declared != st.Last:
		w.violate("%s ends at %d, and the hub was told %d", st.Chain, st.Last, n.Declared)
	}
	head := entry.Genesis(st.Chain)
	for _, s := range acked {
		e, ok := ledger[s.dot]
		switch {
		case !ok:
			w.violate("I1: %s was acknowledged and is not in the ledger", s.dot)
			return
		case e.Hash != s.hash:
			w.violate("I1: %s is in the ledger with other content", s.dot)
		}
		head = entry.Next(head, e.Raw)
	}
	if len(acked) > 0 && head != st.Head {
		w.violate("the ledger's entries of %s do not give its head", st.Chain)
	}
}

// checkTrouble asks that no honest chain has a hole, a fork or an alarm.
func (w *world) checkTrouble(ctx context.Context, l *ledger, ledger map[dot.Dot]hubstore.Entry) error {
	gaps, err := l.Gaps(ctx, false)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		if g.Chain.Device != hostileName {
			w.violate("a hole is left: %s %s", g.Chain, g.Run)
		}
	}
	forks, err := l.Forks(ctx)
	if err != nil {
		return err
	}
	w.checkForks(forks, ledger)
	held, err := l.HeldCounts(ctx)
	if err != nil {
		return err
	}
	for c, n := range held {
		if c.Device != hostileName && n > 0 {
			w.violate("%d entries of %s are still held", n, c)
		}
	}
	found, err := l.Findings(ctx, false)
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Device == dot.Hub && f.Code == reconcile.UnsentFinding {
			continue // where that is so it must say so, see tooLarge
		}
		if f.Device != hostileName && f.Code != "clock_skew" && (w.isPlain(f.Device) || !manyFolders[f.Code]) {
			w.violate("the hub blames %s: %s: %s", f.Device, f.Code, f.Words)
		}
	}
	return nil
}

// checkAside asks that what nobody vouches for is listed, and nothing else.
func (w *world) checkAside(ctx context.Context, l *ledger) error {
	list, err := l.Unattributed(ctx)
	if err != nil {
		return err
	}
	listed := make(map[[32]byte]bool)
	for _, u := range list {
		b, err := l.UnattributedFrame(ctx, u.ID)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		listed[sum] = true
		if _, ok := w.forged[sum]; !ok {
			w.violate("a genuine frame was set aside: %s, %s", u.Code, u.Words)
		}
	}
	for sum, f := range w.forged {
		if f.aside && !listed[sum] {
			w.violate("a frame that was set aside (%x) is not listed", sum[:4])
		}
	}
	return nil
}
