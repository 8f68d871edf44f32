package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// Seal gives up waiting for seqs of a chain (L7): what was held above them is
// applied, and what comes for them later is received, kept, and quarantined as
// late. Seqs that were received stay as they are. Receipts do not cover sealed
// seqs: a device that has them sends them. It is an operator's decision; who
// decides runs it inside the transaction that records that. It returns the lane, of which
// more may be to release ([Unreleased]).
func (g *Ingest) Seal(tx store.Tx, c dot.Chain, run lane.Range, at int64) (store.Lane, error) {
	if err := c.Check(); err != nil {
		return store.Lane{}, err
	}
	if !run.Valid() {
		return store.Lane{}, fmt.Errorf("seal %s %s: not a range of seqs", c, run)
	}
	p := &prepared{at: at, header: batch.Header{Chain: c}}
	if err := g.know(context.Background(), p, c.Device); err != nil {
		return store.Lane{}, err
	}
	room := g.room
	a := applier{ingest: g, tx: tx, p: p, round: g.cfg.begin(tx, time.UnixMilli(at)), room: &room}
	var err error
	if a.lane, err = tx.Lane(c); err != nil {
		return a.lane, err
	}
	for _, r := range missingWithin(a.lane.Received, run) {
		a.lane.Sealed = a.lane.Sealed.Add(r)
	}
	if len(a.lane.Sealed) == 0 {
		return a.lane, nil
	}
	if err := a.goOn(); err != nil {
		return a.lane, err
	}
	if err := a.gaps(a.lane.Received); err != nil {
		return a.lane, err
	}
	if err := errors.Join(a.effects(), a.round.Finish()); err != nil {
		return a.lane, err
	}
	return a.lane, tx.SaveLane(a.lane)
}

// lateFor is the judgement of what comes for a sealed seq.
func lateFor(d dot.Dot) store.Judgement {
	return quarantine("late", fmt.Sprintf("the hub had given up waiting for %s: an operator decides", d))
}

// tooLate judges an entry that came for a sealed seq d. Its dot is disposed of in
// the entities that it names, also when it would have waited for its form.
func tooLate(e *store.Entry, d dot.Dot) {
	waits := lacksForm(e.Judgement)
	if e.Judgement = lateFor(d); !waits {
		return
	}
	if pub, err := entry.DecodePublic(e.Raw.Public); err == nil {
		_, e.Touches = touches(e.Judgement, pub, entry.Private{})
	}
}

// sealedFor reports whether an older form's seq was sealed before it came.
func (a *applier) sealedFor(d dot.Dot) (bool, error) {
	l, err := a.tx.Lane(d.Chain)
	return err == nil && l.Sealed.Contains(d.Seq), err
}
