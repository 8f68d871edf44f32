package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/vv"
)

// furnish gives the hub the reference data that an office begins with.
func (h *hub) furnish(ctx context.Context) error {
	var all []ingest.Fixture
	for i := range households {
		all = append(all, ingest.Fixture{Ref: entry.Ref{Type: "household", ID: fmt.Sprintf("H-%d", i)}, Fields: map[string]any{
			"area": scopes[i%len(scopes)], "phone": "phone 0",
		}})
	}
	for i := range persons {
		all = append(all, ingest.Fixture{Ref: entry.Ref{Type: "person", ID: fmt.Sprintf("P-%d", i)}, Fields: map[string]any{
			"household": fmt.Sprintf("H-%d", i%households), "name": "n0",
		}})
	}
	return h.life.author.Import(ctx, "office", all)
}

// page is a conflict as an operator has it on the screen.
type page struct {
	item hubstore.Item
	seen []dot.Dot
}

// open has an operator open a conflict: to decide it, or to take a decision back.
func (h *hub) open(ctx context.Context) error {
	l, d := h.current(), h.w.dice
	if l == nil || len(h.pages) == maxDrafts {
		return nil
	}
	state := hubstore.Open
	if d.is(0.25) {
		state = hubstore.Decided
	}
	items, err := l.ledger.Items(ctx, hubstore.ItemQuery{State: state, Kind: hubstore.Conflicts})
	if err != nil || len(items) == 0 {
		return err
	}
	it := items[d.IntN(len(items))]
	var shown reconcile.Dispute
	if err := json.Unmarshal(it.Evidence, &shown); err != nil {
		return fmt.Errorf("evidence of item %d: %w", it.ID, err)
	}
	h.pages = append(h.pages, page{it, shown.Displayed})
	return nil
}

// decide has an operator rule on what one of the pages shows, as the hub's server
// does: by compare-and-set.
func (h *hub) decide(ctx context.Context) error {
	l, d := h.current(), h.w.dice
	if l == nil || len(h.pages) == 0 {
		return nil
	}
	p := h.pages[0]
	h.pages = h.pages[1:]
	choice := reconcile.Letter(d.IntN(2))
	switch {
	case p.item.State != hubstore.Open:
		choice = reconcile.ChooseUndo
	case d.is(0.1):
		choice = reconcile.ChooseAsk
	}
	var made []hubstore.Entry
	err := l.ledger.Ingest(ctx, func(tx hubstore.Tx) (err error) {
		made, err = h.rule(tx, l, p, choice)
		return err
	})
	h.sight = nil
	var refused *reconcile.Refused
	switch {
	case errors.Is(err, errDead) || errors.Is(err, errAway):
		return nil
	case errors.As(err, &refused):
		h.w.did("author", nil, "ruling refused: %s", refused.Code)
		return nil
	case err != nil:
		return fmt.Errorf("an operator's decision: %w", err)
	}
	for _, e := range made {
		h.notes[e.Dot] = e.Hash
	}
	h.w.did("author", func(w *Work) { w.Decisions++ }, "%s of %s %s", choice, p.item.Entity, p.item.Field)
	return nil
}

func (h *hub) rule(tx hubstore.Tx, l *life, p page, choice string) ([]hubstore.Entry, error) {
	it, ok, err := tx.ItemOf(p.item.Kind, p.item.Entity, p.item.Field)
	if err != nil || !ok {
		return nil, err
	}
	rows, err := tx.Entities([]entry.Ref{it.Entity})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	state, err := merge.Decode(rows[0].State)
	if err != nil {
		return nil, err
	}
	h.sight = sight{it.Entity: state}
	const why = "the daughter said so"
	drawn, err := h.reconciler.Rule(tx, it, reconcile.Ruling{Choice: choice, Reason: why, By: "operator", Seen: p.seen})
	if err != nil {
		return nil, err
	}
	made, err := l.decider.Decide(tx, ingest.Decision{Ref: it.Entity, Actor: "operator", Writes: drawn.Writes, Fields: map[string]any{"choice": choice}})
	if err != nil {
		return nil, err
	}
	d := reconcile.Decided{Item: it, Choice: choice, Reason: why, By: "operator", At: h.clock.now().UnixMilli(), Former: drawn.Former}
	if len(made) > 0 {
		d.Decision = made[0].Dot
	}
	return made, h.reconciler.Settle(tx, d)
}

// begin starts the part of one transaction that makes of entries what they do to
// entities, and notes what operators write: also what is lost when the hub is put back.
func (h *hub) begin(tx hubstore.Tx, at int64) ingest.Round {
	return observed{h.reconciler.Begin(tx, at), h}
}

type observed struct {
	ingest.Round
	h *hub
}

// Take implements ingest.Round.
func (o observed) Take(es []hubstore.Entry, scopes []string) error {
	for _, e := range es {
		if e.Dot.Device == dot.Hub { // by whoever writes just now
			o.h.w.oracle.saw[e.Dot] = o.h.sight
			o.h.w.oracle.own[e.Dot] = slices.Clone(e.Touches)
		}
		if e.Dot.Device == hostileName {
			o.h.w.oracle.believe(e.Touches)
		}
	}
	return o.Round.Take(es, scopes)
}

// law is what becomes of a change at the hub: nil for the law as it is.
func law(c Control) func(*merge.State, merge.Change) {
	switch c {
	case Ignore:
		return func(s *merge.State, c merge.Change) {
			c.Writes = slices.Clone(c.Writes)
			for i := range c.Writes {
				c.Writes[i].Context = nil
			}
			s.Apply(c)
		}
	case Absorb:
		return func(s *merge.State, c merge.Change) {
			if s.Seen.Covers(c.Dot) {
				return
			}
			s.Apply(c)
			for _, w := range c.Writes {
				s.Seen = vv.Join(s.Seen, w.Context)
			}
		}
	default:
		return nil
	}
}
