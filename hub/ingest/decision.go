package ingest

import (
	"fmt"
	"io"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/merge"
)

// DecisionKind is the kind of the system entries by which operators decide about
// an entity. Only the hub itself makes them.
const DecisionKind = "decision"

// Decision is what an operator decides about one entity.
type Decision struct {
	Ref    entry.Ref
	Actor  string
	Fields map[string]any // what was decided and why, for whoever reads the entry
	// Writes are the writes of each entry: one, or several that do not know of each other.
	Writes [][]merge.Write
	// Beside are what the first entry writes to other entities.
	Beside []Beside
}

// Beside is what a decision writes to another entity than the one that it is about.
type Beside struct {
	Ref    entry.Ref
	Writes []merge.Write
}

// Decide makes the entries of a decision in a transaction that is under way. An
// author that decides does nothing else: its chain is then whole wherever all
// decisions are, also in a hub that was put back and reads them from its journal.
func (a *Author) Decide(tx store.Tx, d Decision) ([]store.Entry, error) {
	now := a.cfg.Now()
	c := dot.Chain{Device: dot.Hub, Incarnation: a.incarnation, Lane: dot.Record}
	var out []store.Entry
	for i, ws := range d.Writes {
		pub := entry.Public{
			Wall: now.UnixMilli(), Zone: zoneMinutes(now.In(a.cfg.Zone)), Actor: d.Actor, System: DecisionKind, Refs: []entry.Ref{d.Ref},
		}
		private := entry.Private{Fields: d.Fields}
		if _, err := io.ReadFull(a.random, private.Salt[:]); err != nil {
			return nil, fmt.Errorf("draw a salt: %w", err)
		}
		merge.Put(&pub, &private, 0, ws)
		if i == 0 {
			for _, b := range d.Beside {
				pub.Refs = append(pub.Refs, b.Ref)
				merge.Put(&pub, &private, len(pub.Refs)-1, b.Writes)
			}
		}
		b, err := private.Encode()
		if err != nil {
			return nil, err
		}
		e, err := a.mint(tx, c, pub, b)
		if err != nil {
			return nil, fmt.Errorf("decide about %s: %w", d.Ref, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// Restore takes entries of the hub's own in again, as a journal has them. Those
// that are there already are passed over.
func (g *Ingest) Restore(tx store.Tx, raws []entry.Raw) error {
	for _, raw := range raws {
		pub, err := entry.DecodePublic(raw.Public)
		if err != nil {
			return err
		}
		l, err := tx.Lane(pub.Dot.Chain)
		if err != nil {
			return err
		}
		switch {
		case pub.Dot.Device != dot.Hub:
			return fmt.Errorf("restore %s: it is not the hub's own", pub.Dot)
		case l.Received.Contains(pub.Dot.Seq):
			continue
		case pub.Dot.Seq != l.Received.Through()+1:
			return fmt.Errorf("restore %s: the one before it is not here", pub.Dot)
		}
		if _, err := place(tx, l, pub, raw, g.cfg); err != nil {
			return err
		}
	}
	return nil
}

// place adds an entry of the hub's own to its lane, and has it take its effect.
func place(tx store.Tx, l store.Lane, pub entry.Public, raw entry.Raw, cfg Config) (store.Entry, error) {
	e := Describe(pub.Dot, raw, 0, cfg)
	if e.Judgement.Verdict != store.Applied {
		return store.Entry{}, fmt.Errorf("%w: %s", ErrNotApplied, e.Judgement.Words)
	}
	e.ReceivedAt = pub.Wall
	l.Received = l.Received.Add(lane.Run(pub.Dot.Seq, pub.Dot.Seq))
	l.Head, l.ReceivedAt = entry.Next(l.Head, raw), pub.Wall
	if err := tx.Insert([]store.Entry{e}); err != nil {
		return store.Entry{}, err
	}
	if err := tx.SaveLane(l); err != nil {
		return store.Entry{}, err
	}
	round := cfg.begin(tx, time.UnixMilli(pub.Wall))
	if err := round.Take([]store.Entry{e}, nil); err != nil {
		return store.Entry{}, err
	}
	return e, round.Finish()
}
