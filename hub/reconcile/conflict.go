package reconcile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/merge"
)

// Side is one of the values that stand in a conflict, for those who decide.
type Side struct {
	Dot           dot.Dot `json:"dot"`
	Value         any     `json:"value"`
	Form          string  `json:"form,omitempty"`
	Actor         string  `json:"actor,omitempty"`
	DeviceTime    int64   `json:"device_time,omitempty"`    // Unix milliseconds
	CorrectedTime int64   `json:"corrected_time,omitempty"` // the same moment by the hub's clock
	ReceivedAt    int64   `json:"received_at,omitempty"`
	Via           string  `json:"via,omitempty"`
	// Prior is what was displayed when it was written; PriorKnown says that this is known.
	Prior      any  `json:"prior,omitempty"`
	PriorKnown bool `json:"prior_known,omitempty"`
}

// Dispute is the evidence of an item of kind conflict.
type Dispute struct {
	// Base is what stays provisionally; BaseKnown says that there is such a value.
	Base      any    `json:"base"`
	BaseKnown bool   `json:"base_known"`
	Sides     []Side `json:"sides"`
	// Displayed are the dots that a decision must have had in view.
	Displayed []dot.Dot `json:"displayed"`
	// Asked is the question that the authors have yet to answer, Former what stood
	// before the decision.
	Asked  *Asked   `json:"asked,omitempty"`
	Former []Former `json:"former,omitempty"`
}

// disputes brings an entity's conflict items in line with its state, and raises
// the verdicts of the entries that stand in conflict.
func (o *Round) disputes(h *held) error {
	now := o.conflicts(h)
	var names []string
	for _, shown := range now {
		names = append(names, shown.Name)
		if err := o.dispute(h, shown); err != nil {
			return err
		}
	}
	slices.Sort(names)
	for _, name := range h.row.Disputed {
		if !slices.Contains(names, name) {
			if err := o.answered(h, name); err != nil {
				return err
			}
		}
	}
	h.row.Disputed = names
	return nil
}

// conflicts lists the registers in conflict. Most entities have none, and that
// shows without reading values.
func (o *Round) conflicts(h *held) (out []merge.Shown) {
	t := o.r.cfg.Domain.Type(h.row.Ref.Type)
	deleted := len(h.state.Values(merge.Deleted)) > 0
	for _, name := range h.state.Registers() {
		if name == merge.Deleted || len(h.state.Values(name)) < 2 {
			continue
		}
		if strings.ContainsFunc(name, unicode.IsControl) {
			continue // no form has such a field: a person could not be asked about it, and not every database keeps the name
		}
		if shown := h.state.Show(t, name); shown.Conflict {
			out = append(out, shown)
		}
	}
	if deleted {
		if v := h.state.View(t); v.DeletionConflict {
			out = append(out, h.state.Deletion())
		}
	}
	return out
}

// dispute opens an item, or brings it up to date, and concerns its entries.
func (o *Round) dispute(h *held, shown merge.Shown) error {
	it, known, err := o.tx.ItemOf(store.Conflicts, h.row.Ref, shown.Name)
	if err != nil {
		return err
	}
	var sides []dot.Dot
	for _, v := range shown.Values {
		side, err := o.named(h.row.Ref, v)
		if err != nil {
			return err
		}
		sides = append(sides, side)
		err = o.because(side, store.Judgement{
			Verdict: store.Conflict, Code: "conflict",
			Words: fmt.Sprintf("%s of %s has another value by somebody who did not know of this one; a person decides", shown.Name, h.row.Ref),
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(sides, dot.Dot.Compare)
	if known && it.State == store.Open && slices.Equal(it.Entries, sides) {
		return nil
	}
	var asked *Asked
	if known && it.State == store.Open {
		if asked, err = askedOf(it); err != nil {
			return err
		}
	} else {
		it = store.Item{Kind: store.Conflicts, Entity: h.row.Ref, Field: shown.Name, OpenedAt: o.at, Times: it.Times + 1}
	}
	it.State, it.Entries = store.Open, sides
	if it.Evidence, err = o.evidence(h.row.Ref, shown, asked); err != nil {
		return err
	}
	_, err = o.tx.PutItem(it)
	return err
}

func (o *Round) evidence(ref entry.Ref, shown merge.Shown, asked *Asked) (json.RawMessage, error) {
	e := Dispute{Base: shown.Value, BaseKnown: shown.Known, Displayed: shown.Dots, Asked: asked}
	for _, v := range shown.Values {
		side := Side{Dot: v.Dots[0], Value: v.Get()}
		if v.Prior != nil {
			prior := merge.Value{Raw: v.Prior.Raw}
			side.Prior, side.PriorKnown = prior.Get(), true
		}
		named, err := o.named(ref, v)
		if err != nil {
			return nil, err
		}
		if x, ok, err := o.entry(named); err != nil {
			return nil, err
		} else if ok {
			side.Form, side.Actor, side.Via = x.Form, x.Actor, string(x.Via)
			side.DeviceTime, side.CorrectedTime, side.ReceivedAt = x.DeviceTime, x.CorrectedTime, x.ReceivedAt
		}
		e.Sides = append(e.Sides, side)
	}
	return json.Marshal(e)
}

// answered closes the item of a register that is not in conflict any more.
func (o *Round) answered(h *held, name string) error {
	it, ok, err := o.tx.ItemOf(store.Conflicts, h.row.Ref, name)
	if err != nil || !ok || it.State != store.Open {
		return err
	}
	if err := o.unasked(it); err != nil {
		return err
	}
	it.State, it.ClosedAt = store.Answered, o.at
	for _, v := range h.state.Values(name) {
		it.Decision = v.Dots[0]
	}
	_, err = o.tx.PutItem(it)
	return err
}

// named is the name in the ledger of the fact that wrote a value of an entity: the form
// of it that took effect. Where it was re-homed, its first name may be another fact's by
// now, and so may the later one, since folders apart may have taken the same number for
// their lives. So of the names that the value has, it is one under which the ledger has
// an entry that wrote it.
func (o *Round) named(ref entry.Ref, v merge.Value) (dot.Dot, error) {
	if len(v.Dots) == 1 {
		return v.Dots[0], nil
	}
	var names []dot.Dot
	for _, d := range v.Dots {
		forms, err := o.tx.Forms(d.Chain, lane.Run(d.Seq, d.Seq))
		if err != nil {
			return d, err
		}
		for _, f := range forms {
			if slices.Contains(v.Dots, f.Now) {
				names = append(names, f.Now)
			}
		}
	}
	for _, d := range append(names, v.Dots...) {
		if wrote, err := o.wrote(d, ref, v); wrote || err != nil {
			return d, err
		}
	}
	return append(names, v.Dots...)[0], nil
}

// wrote reports whether the entry that the ledger has under d took its effect and wrote
// that value into the entity.
func (o *Round) wrote(d dot.Dot, ref entry.Ref, v merge.Value) (bool, error) {
	e, ok, err := o.entry(d)
	if err != nil || !ok || e.Judgement.Code == "linked" || e.Raw.Erased() {
		return false, err
	}
	pub, err := entry.DecodePublic(e.Raw.Public)
	if err != nil || !slices.Contains(pub.Refs, ref) {
		return false, nil //nolint:nilerr // what cannot be read wrote nothing
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return false, nil //nolint:nilerr // as above
	}
	touches, err := merge.Changes(pub, priv)
	if err != nil {
		return false, nil //nolint:nilerr // as above
	}
	for _, t := range touches {
		if t.Ref == ref && slices.ContainsFunc(t.Writes, func(w merge.Write) bool { return bytes.Equal(w.Raw, v.Raw) }) {
			return true, nil
		}
	}
	return false, nil
}

// writer is the name in the ledger of what wrote the value that goes by d.
func (o *Round) writer(h *held, d dot.Dot) (dot.Dot, error) {
	for _, name := range h.state.Registers() {
		for _, v := range h.state.Values(name) {
			if v.Dots[0] == d {
				return o.named(h.row.Ref, v)
			}
		}
	}
	return d, nil
}

// entry reads an entry of the ledger, without what it touches.
func (o *Round) entry(d dot.Dot) (e store.Entry, ok bool, err error) {
	es, err := o.tx.Entries(d.Chain, lane.Run(d.Seq, d.Seq))
	if err != nil || len(es) == 0 {
		return store.Entry{}, false, err
	}
	return es[0], true, nil
}
