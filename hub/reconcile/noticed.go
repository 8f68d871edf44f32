package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/merge"
)

// What an operator may choose about what a rule noticed.
const (
	ChooseLink   = "link"   // of a duplicate or a twin: it is the same, and is not counted
	ChooseKeep   = "keep"   // of a duplicate or a twin: it is another, and counts as well
	ChooseAccept = "accept" // of a review
	ChooseReturn = "return" // of a review: its author is told the reason, and has to act
	ChooseClear  = "clear"  // of a flag
)

// choices of the kinds of items that rules open.
var choices = map[string][]string{
	store.Duplicates: {ChooseLink, ChooseKeep},
	store.Twins:      {ChooseLink, ChooseKeep},
	store.Reviews:    {ChooseAccept, ChooseReturn},
	store.Flags:      {ChooseClear},
}

// Choices lists what may be chosen about items of a kind that rules open.
func Choices(kind string) []string { return slices.Clone(choices[kind]) }

// ends reports whether a choice takes the rule's reason away from the entry.
func ends(choice string) bool {
	return choice == ChooseKeep || choice == ChooseAccept || choice == ChooseReturn || choice == ChooseClear
}

// subjectOf is the entry that an item of a rule is about, and the rule.
func subjectOf(it store.Item) (d dot.Dot, rule string, err error) {
	rule, name, _ := strings.Cut(it.Field, " ")
	d, err = dot.Parse(name)
	return d, rule, err
}

// reason is the judgement for which an item of a rule was opened.
func reason(kind, rule string, n Notice) store.Judgement {
	j := store.Judgement{Code: rule, Words: n.Words}
	switch kind {
	case store.Duplicates:
		j.Verdict = store.Duplicate
	case store.Reviews:
		j.Verdict = store.Review
	default:
		j.Verdict = store.Flagged
	}
	if n.Keeps != nil {
		j.Words = fmt.Sprintf("%s: %s counts", n.Words, *n.Keeps)
	}
	return j
}

// ruleNotice works out what a ruling on what a rule noticed comes to. Of a twin
// that is another movement after all it is the movement that was suspended.
func (r *Reconciler) ruleNotice(tx store.Tx, it store.Item, ru Ruling) (Draft, error) {
	var n Notice
	if err := json.Unmarshal(it.Evidence, &n); err != nil {
		return Draft{}, fmt.Errorf("evidence of item %d: %w", it.ID, err)
	}
	back := ru.Choice == ChooseUndo
	switch {
	case back && it.State != store.Decided:
		return Draft{}, changed("this item is not decided, so there is nothing to take back")
	case !back && it.State == store.Decided:
		return Draft{}, changed("%s has decided this item already: %s", it.DecidedBy, it.Reason)
	case !back && it.State != store.Open:
		return Draft{}, changed("this item has lost its reason meanwhile")
	case !back && !slices.Contains(choices[it.Kind], ru.Choice):
		return Draft{}, refuse("bad_choice", "choose "+strings.Join(choices[it.Kind], " or "), "an item of kind %s cannot be decided by %q", it.Kind, ru.Choice)
	case len(ru.Seen) > 0 && !sameDots(ru.Seen, it.Entries):
		return Draft{}, changed("it is about other entries now than those that were decided on")
	}
	counts := ru.Choice == ChooseKeep || back && n.Choice == ChooseKeep
	if it.Kind != store.Twins || n.Suspended == "" || !counts {
		return Draft{}, nil
	}
	subject, _, err := subjectOf(it)
	if err != nil {
		return Draft{}, err
	}
	typ, id, _ := strings.Cut(n.Suspended, "/")
	d := Draft{Ref: entry.Ref{Type: typ, ID: id}}
	ws, err := movements(tx, subject, d.Ref)
	if err != nil {
		return Draft{}, err
	}
	for i := range ws {
		if back {
			ws[i].Move = -ws[i].Move
		}
	}
	if len(ws) > 0 {
		d.Writes = [][]merge.Write{ws}
	}
	return d, nil
}

// movements are those of an entry on one entity.
func movements(tx store.Tx, d dot.Dot, ref entry.Ref) ([]merge.Write, error) {
	es, err := tx.Entries(d.Chain, lane.Run(d.Seq, d.Seq))
	if err != nil {
		return nil, err
	}
	if len(es) == 0 {
		return nil, fmt.Errorf("entry %s: %w", d, store.ErrNotFound)
	}
	pub, err := entry.DecodePublic(es[0].Raw.Public)
	if err != nil {
		return nil, err
	}
	priv, err := entry.DecodePrivate(es[0].Raw.Private)
	if err != nil {
		return nil, refuse("not_decidable", "enter the movement anew", "what %s moved was erased", d)
	}
	touches, err := merge.Changes(pub, priv)
	if err != nil {
		return nil, err
	}
	var out []merge.Write
	for _, t := range touches {
		if t.Ref != ref {
			continue
		}
		for _, w := range t.Writes {
			if w.Op == entry.Move {
				out = append(out, merge.Write{Register: w.Register, Op: entry.Move, Move: w.Move})
			}
		}
	}
	return out, nil
}

// settleNotice brings an item of a rule, and the verdict of its entry, in line
// with a ruling. An item that is not there (the hub was put back, and its entries
// come in again only later) is made, so that it is known as decided then.
func (r *Reconciler) settleNotice(tx store.Tx, d Decided) error {
	it, ok, err := tx.ItemOf(d.Item.Kind, d.Item.Entity, d.Item.Field)
	if err != nil {
		return err
	}
	if !ok {
		it = d.Item
		it.OpenedAt, it.Times = d.At, 1
	}
	subject, rule, err := subjectOf(it)
	if err != nil {
		return fmt.Errorf("item %s of %s: %w", it.Field, it.Entity, err)
	}
	var n Notice
	if err := json.Unmarshal(it.Evidence, &n); err != nil {
		return fmt.Errorf("evidence of item %s: %w", it.Field, err)
	}
	was := n.Choice
	if n.Choice = d.Choice; d.Choice == ChooseUndo {
		n.Choice = ""
	}
	o := r.Begin(tx, d.At)
	if _, here, err := o.entry(subject); err != nil {
		return err
	} else if here {
		j := reason(it.Kind, rule, n)
		var errs []error
		if d.Choice == ChooseUndo && was == ChooseReturn {
			errs = append(errs, o.unless(subject, returned(it.Reason)))
		}
		switch {
		case d.Choice == ChooseUndo && ends(was):
			errs = append(errs, o.because(subject, j))
		case ends(d.Choice):
			errs = append(errs, o.unless(subject, j))
		}
		if d.Choice == ChooseReturn {
			errs = append(errs, o.because(subject, returned(d.Reason)))
		}
		if err := errors.Join(append(errs, o.judge())...); err != nil {
			return err
		}
	}
	it.State, it.ClosedAt, it.Decision, it.DecidedBy, it.Reason = store.Decided, d.At, d.Decision, d.By, d.Reason
	if d.Choice == ChooseUndo {
		it.State, it.ClosedAt, it.Decision, it.DecidedBy, it.Reason = store.Open, 0, dot.Dot{}, "", ""
	}
	if it.Evidence, err = json.Marshal(n); err != nil {
		return err
	}
	_, err = tx.PutItem(it)
	return err
}

// returned is the judgement that sends an entry back to its author.
func returned(words string) store.Judgement {
	return store.Judgement{Verdict: store.Review, Code: "returned", Words: "the office sends it back: " + words}
}

// ruled reports what was decided about an entry for a rule, when it is decided and
// about the same entries; "" else. A returned entry is returned again.
func (o *Round) ruled(kind string, e *store.Entry, rule string, entries []dot.Dot) (choice string, err error) {
	it, known, err := o.tx.ItemOf(kind, entry.Ref{Type: e.EntityType, ID: e.Entity}, noticeField(rule, e.Dot))
	if err != nil || !known || it.State != store.Decided || !sameDots(it.Entries, entries) {
		return "", err
	}
	var n Notice
	if err := json.Unmarshal(it.Evidence, &n); err != nil {
		return "", err
	}
	if n.Choice == ChooseReturn {
		err = o.because(e.Dot, returned(it.Reason))
	}
	return n.Choice, err
}
