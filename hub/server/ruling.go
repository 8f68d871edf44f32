package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/webui"
)

// kindDecision is the fact that an operator decided about an item.
const kindDecision = "decision"

// decisionFact is the body of a decision: what brings it about again.
type decisionFact struct {
	Kind    string             `json:"item_kind"`
	Type    string             `json:"type"`
	Entity  string             `json:"entity"`
	Field   string             `json:"field"`
	Choice  string             `json:"choice"`
	Reason  string             `json:"reason"`
	At      int64              `json:"at"`
	Entries []decisionEntry    `json:"entries,omitempty"`
	Former  []reconcile.Former `json:"former,omitempty"`
	// About and Evidence are those of an item that a rule opened: a hub that was put
	// back hears of the decision before it has the entries.
	About    []dot.Dot       `json:"about,omitempty"`
	Evidence json.RawMessage `json:"evidence,omitempty"`
}

// decisionEntry is an entry of the hub's own, as it was made.
type decisionEntry struct {
	Dot     dot.Dot `json:"dot"`
	Public  []byte  `json:"public"`
	Private []byte  `json:"private"`
}

// Ruling is what an operator decides about an item: the body of POST items/{id}/decide.
type Ruling struct {
	// Choice about what a rule noticed: link or keep (a duplicate, a twin), accept or
	// return (a review), clear (a flag). About a conflict it is a side by its letter, other, ask (Reason is then the question that
	// goes to the authors), or undo within 24 hours.
	Choice string          `json:"choice"`
	Value  json.RawMessage `json:"value,omitempty"`
	Reason string          `json:"reason"`
	// Seen are the dots that the item's evidence listed as displayed.
	Seen []dot.Dot `json:"seen"`
	// Decision is the one that undo is to take back, as the item named it; left out: whichever stands.
	Decision dot.Dot `json:"decision,omitzero"`
	// ClosedAt is when that decision was made, as the item named it: one about what a rule
	// noticed may have no entry. Left out: whichever stands.
	ClosedAt time.Time `json:"closed_at,omitzero"`
}

// Decide follows an operator's ruling on an item, if that is still what the
// operator had in view: of two who decide at once one is told that the other
// was faster. It returns the item as it is then.
func (o *Office) Decide(ctx context.Context, id int64, ru Ruling) (ItemLine, error) {
	if o.reconciler == nil {
		return ItemLine{}, &webui.Refusal{Code: "not_decidable", What: "this hub keeps no entities", Do: "start it with a pack"}
	}
	it, err := o.itemSeen(ctx, id)
	if err != nil {
		return ItemLine{}, err
	}
	at := o.now().UnixMilli()
	act := ledger.Act{By: actor(ctx), Kind: kindDecision, Subject: fmt.Sprintf("%s#%s", it.Entity, it.Field)}
	_, err = o.ledger.Record(ctx, act, func(tx store.Tx, a *ledger.Act) error {
		body, err := o.rule(tx, it, ru, actor(ctx), at)
		a.Body = body
		return err
	})
	if err != nil {
		return ItemLine{}, fmt.Errorf("decide item %d: %w", id, err)
	}
	if it, err = o.store.Item(ctx, id); err != nil {
		return ItemLine{}, err
	}
	l := o.itemLine(it)
	return l, o.veil(ctx, &l)
}

// rule follows a ruling in its transaction.
func (o *Office) rule(tx store.Tx, it store.Item, ru Ruling, by string, at int64) (body decisionFact, err error) {
	it, ok, err := tx.ItemOf(it.Kind, it.Entity, it.Field)
	if err != nil || !ok {
		return body, errors.Join(err, store.ErrNotFound)
	}
	if ru.Choice == reconcile.ChooseUndo && it.State == store.Decided && at-it.ClosedAt > reconcile.UndoWithin.Milliseconds() {
		return body, &reconcile.Refused{Code: "undo_over", What: "a decision is taken back within 24 hours", Do: "decide otherwise by a new record"}
	}
	other := !ru.Decision.IsZero() && ru.Decision != it.Decision || !ru.ClosedAt.IsZero() && ru.ClosedAt.UnixMilli() != it.ClosedAt
	if ru.Choice == reconcile.ChooseUndo && other {
		return body, &reconcile.Refused{Code: "item_changed", What: "it is not that decision any more which stands", Which: it.Decision.String(), Do: "look at it once more"}
	}
	draft, err := o.reconciler.Rule(tx, it, reconcile.Ruling{
		Choice: ru.Choice, Value: ru.Value, Reason: ru.Reason, By: by, Seen: ru.Seen, Fits: func(v any) error { return o.fits(it.Entity.Type, it.Field, v) },
	})
	if err != nil {
		return body, err
	}
	ref := it.Entity
	if draft.Ref != (entry.Ref{}) {
		ref = draft.Ref
	}
	es, err := o.decider.Decide(tx, ingest.Decision{
		Ref: ref, Actor: by, Writes: draft.Writes,
		Fields: map[string]any{"item": it.ID, "field": it.Field, "choice": ru.Choice, "reason": ru.Reason},
	})
	if err != nil {
		return body, err
	}
	body = decisionFact{
		Kind: it.Kind, Type: it.Entity.Type, Entity: it.Entity.ID, Field: it.Field, Choice: ru.Choice, Reason: ru.Reason, At: at, Former: draft.Former,
	}
	if it.Kind != store.Conflicts {
		body.About, body.Evidence = it.Entries, it.Evidence
	}
	for i := range es {
		body.Entries = append(body.Entries, decisionEntry{es[i].Dot, es[i].Raw.Public, es[i].Raw.Private})
	}
	return body, o.reconciler.Settle(tx, body.decided(by))
}

func (b decisionFact) decided(by string) reconcile.Decided {
	d := reconcile.Decided{
		Item:   store.Item{Kind: b.Kind, Entity: entry.Ref{Type: b.Type, ID: b.Entity}, Field: b.Field, Entries: b.About, Evidence: b.Evidence},
		Choice: b.Choice, Reason: b.Reason, By: by, At: b.At, Former: b.Former,
	}
	if len(b.Entries) > 0 {
		d.Decision = b.Entries[0].Dot
	}
	return d
}

// decideAgain brings about a decision that the journal brought back.
func (s *Server) decideAgain(tx store.Tx, f ledger.Fact, b decisionFact) error {
	raws := make([]entry.Raw, 0, len(b.Entries))
	for _, e := range b.Entries {
		raws = append(raws, entry.NewRaw(e.Public, e.Private))
	}
	if err := s.taker().Restore(tx, raws); err != nil {
		return err
	}
	if s.reconciler == nil {
		return nil // entries are kept, and no entities
	}
	return s.reconciler.Settle(tx, b.decided(f.By))
}

// rulings serves what operators decide about items, and whose they are.
func (o *Office) rulings(mux *http.ServeMux, bell *webui.Bell) {
	o.owners(mux, bell)
	mux.HandleFunc("POST "+officePath+"items/{id}/decide", func(w http.ResponseWriter, r *http.Request) {
		var in Ruling
		id, ok := aboutItem(w, r, &in, "the request is not the JSON of a decision")
		if !ok {
			return
		}
		v, err := o.Decide(r.Context(), id, in)
		bell.Ring()
		answer(w, v, err)
	})
}

// aboutItem reads a request about an item: its number, and a body that unlike says is wrong with
// it where it cannot be read. What cannot be read is answered here.
func aboutItem(w http.ResponseWriter, r *http.Request, in any, unlike string) (id int64, ok bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		answer(w, nil, &webui.Refusal{Code: "bad_request", What: "an item goes by its number", Which: r.PathValue("id"), Do: "see hub items"})
		return 0, false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(in); err != nil {
		answer(w, nil, &webui.Refusal{Code: "bad_request", What: unlike, Which: err.Error()})
		return 0, false
	}
	return id, true
}

// Decide does what [Office.Decide] does.
func (c *Client) Decide(ctx context.Context, id int64, ru Ruling) (ItemLine, error) {
	return ask[ItemLine](ctx, c, http.MethodPost, "items/"+strconv.FormatInt(id, 10)+"/decide", nil, ru)
}
