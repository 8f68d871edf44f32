package reconcile

import (
	"encoding/json"
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
)

// Decided is a ruling that was followed.
type Decided struct {
	Item     store.Item // as it was found; of a conflict kind, entity and field count
	Choice   string
	Reason   string
	By       string
	At       int64    // Unix milliseconds of the hub's clock
	Decision dot.Dot  // the entry that brings the value; zero when the authors are asked
	Former   []Former // what stood before
}

// Settle brings an item in line with a ruling whose entries were taken in, in
// their transaction. An item that is not there (the hub was put back, and the
// sides come in again only later) is passed over: the decision has superseded
// them all the same.
func (r *Reconciler) Settle(tx store.Tx, d Decided) error {
	if choices[d.Item.Kind] != nil {
		return r.settleNotice(tx, d)
	}
	it, ok, err := tx.ItemOf(d.Item.Kind, d.Item.Entity, d.Item.Field)
	if err != nil || !ok {
		return err
	}
	switch d.Choice {
	case ChooseUndo: // it was opened again by what was put back
		return nil
	case ChooseAsk:
		return r.ask(tx, it, d)
	}
	if it.State == store.Open {
		return nil // somebody wrote who did not know of the decision
	}
	var e Dispute
	if err := json.Unmarshal(it.Evidence, &e); err != nil {
		return fmt.Errorf("evidence of item %d: %w", it.ID, err)
	}
	e.Asked, e.Former = nil, d.Former
	if it.Evidence, err = json.Marshal(e); err != nil {
		return err
	}
	it.State, it.ClosedAt, it.Decision, it.DecidedBy, it.Reason = store.Decided, d.At, d.Decision, d.By, d.Reason
	_, err = tx.PutItem(it)
	return err
}

// ask tells the authors of a conflict's sides what the office wants to know: it
// is the reason of their entries' verdict until somebody answers.
func (r *Reconciler) ask(tx store.Tx, it store.Item, d Decided) error {
	if it.State != store.Open {
		return nil
	}
	var e Dispute
	if err := json.Unmarshal(it.Evidence, &e); err != nil {
		return fmt.Errorf("evidence of item %d: %w", it.ID, err)
	}
	e.Asked = &Asked{By: d.By, Words: d.Reason, At: d.At}
	o := r.Begin(tx, d.At)
	for _, entry := range it.Entries {
		if entry.Device == dot.Hub {
			continue
		}
		if err := o.because(entry, question(it, e.Asked)); err != nil {
			return err
		}
	}
	if err := o.judge(); err != nil {
		return err
	}
	var err error
	if it.Evidence, err = json.Marshal(e); err != nil {
		return err
	}
	it.Owner = d.By
	_, err = tx.PutItem(it)
	return err
}

// question is the judgement that puts a question to an author.
func question(it store.Item, a *Asked) store.Judgement {
	return store.Judgement{
		Verdict: store.Conflict, Code: "asked",
		Words: fmt.Sprintf("%s of %s has two values; the office asks: %s", it.Field, it.Entity, a.Words),
	}
}

// askedOf is the question that an open conflict waits for, nil for none.
func askedOf(it store.Item) (*Asked, error) {
	var e Dispute
	if err := json.Unmarshal(it.Evidence, &e); err != nil {
		return nil, fmt.Errorf("evidence of item %d: %w", it.ID, err)
	}
	return e.Asked, nil
}

// unasked takes a question back that was answered, unless the entry was asked
// another one since.
func (o *Round) unasked(it store.Item) error {
	a, err := askedOf(it)
	if err != nil || a == nil {
		return err
	}
	for _, d := range it.Entries {
		w, err := o.why(d)
		if err != nil {
			return err
		}
		if slices.Contains(w.now, question(it, a)) {
			if err := o.unless(d, question(it, a)); err != nil {
				return err
			}
		}
	}
	return nil
}
