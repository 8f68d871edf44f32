package ingest

import (
	"context"
	"fmt"
	"iter"
	"time"

	"otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/lane"
)

// Waiting is what a replay needs of the database beside [Store].
type Waiting interface {
	Entries(ctx context.Context, q store.EntryQuery) iter.Seq2[store.ListedEntry, error]
}

// maxReplayed bounds the entries of one transaction of a replay.
const maxReplayed = 100

// Replay judges anew the entries whose form was not known when they came, in the
// order in which they came. Those whose form was published since take the effect
// that they would have had: nobody has seen them, so to whoever wrote meanwhile they
// are concurrent. Their authors are told. It returns how many.
//
// It is called once a new form can be found: whatever is taken in from then on is
// judged by it. A transaction that had begun before is over before the entries are
// listed.
func (g *Ingest) Replay(ctx context.Context, w Waiting) (int, error) {
	if err := g.cfg.Store.Ingest(ctx, func(store.Tx) error { return nil }); err != nil {
		return 0, fmt.Errorf("replay what waits for a form: %w", err)
	}
	var due []store.ListedEntry
	for e, err := range w.Entries(ctx, store.EntryQuery{Verdict: store.Quarantined}) {
		if err != nil {
			return 0, fmt.Errorf("replay what waits for a form: %w", err)
		}
		if !lacksForm(e.Judgement) {
			continue
		}
		if _, err := g.cfg.Forms.Form(e.Form, e.FormVersion); err == nil {
			due = append(due, e)
		}
	}
	done := 0
	for len(due) > 0 {
		n := 1
		for n < len(due) && n < maxReplayed && due[n].Dot.Chain == due[0].Dot.Chain {
			n++
		}
		some, err := g.replay(ctx, due[0].Dot.Chain, due[:n])
		if err != nil {
			return done, fmt.Errorf("replay %s: %w", due[0].Dot, err)
		}
		done, due = done+some, due[n:]
	}
	return done, nil
}

// replay judges entries of one chain anew, in one transaction.
func (g *Ingest) replay(ctx context.Context, c dot.Chain, due []store.ListedEntry) (done int, err error) {
	p := &prepared{at: g.cfg.Now().UnixMilli(), header: batch.Header{Chain: c}}
	if err := g.know(ctx, p, c.Device); err != nil {
		return 0, err
	}
	err = g.cfg.Store.Ingest(ctx, func(tx store.Tx) error {
		done = 0
		a := applier{ingest: g, tx: tx, p: p, round: g.cfg.begin(tx, time.UnixMilli(p.at))}
		by := make(map[dot.Seq]store.Judgement, len(due))
		var judged []store.Entry
		for _, d := range due {
			was, err := tx.Entries(c, lane.Run(d.Dot.Seq, d.Dot.Seq))
			if err != nil {
				return err
			}
			if len(was) != 1 || !lacksForm(was[0].Judgement) {
				continue // somebody was faster
			}
			now := a.again(was[0])
			now.Late = true
			if a.forms, err = tx.Forms(c, lane.Run(d.Dot.Seq, d.Dot.Seq)); err != nil {
				return err
			}
			if lacksForm(now.Judgement) {
				continue
			}
			if err := a.link(&now); err != nil {
				return err
			}
			if err := tx.AddWords(d.Dot, now.Words); err != nil { // its form says now what may be searched
				return err
			}
			by[d.Dot.Seq], judged = now.Judgement, append(judged, now)
			if len(now.Touches) > 0 || now.Noted != nil {
				a.taken = append(a.taken, now)
			}
			done++
		}
		if err := store.Revise(tx, p.at, c, by); err != nil {
			return err
		}
		if err := a.settleCorrected(judged); err != nil {
			return err
		}
		if err := a.effects(); err != nil {
			return err
		}
		return a.round.Finish()
	})
	return done, err
}
