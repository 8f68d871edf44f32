package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/pack"
	"otor/internal/webui"
)

// RosterChoice is what an operator decides about a line of a list.
type RosterChoice struct {
	Key    string `json:"key"`
	Choice string `json:"choice"`           // confirm, take, refuse, note, or undo within 24 hours
	Person string `json:"person,omitempty"` // of confirm: who the row is; empty: the one who was found
	Seen   string `json:"seen"`             // as the line said
	Reason string `json:"reason"`
}

// maxRosterReason bounds why something was decided, in characters.
const maxRosterReason = 400

// RuleRoster follows a decision about a row of a list, or about a person who is not on
// it, if the evidence still is what the operator had in view. It is kept in the ledger;
// nothing of the list changes, and nothing of the person but by take, which writes the
// list's values by an entry of the hub's own. Refusals: no_roster, not_found, bad_choice,
// reason_missing, item_changed, undo_over, roster_fixed, roster_value, roster_disputed.
func (o *Office) RuleRoster(ctx context.Context, id string, c RosterChoice) (RosterLine, error) {
	k, err := o.rosterKind(id)
	if err != nil {
		return RosterLine{}, err
	}
	c.Reason = strings.TrimSpace(c.Reason)
	if c.Reason == "" || len([]rune(c.Reason)) > maxRosterReason {
		return RosterLine{}, &webui.Refusal{Code: "reason_missing", What: fmt.Sprintf("a decision needs a reason of at most %d characters, which stays in the ledger", maxRosterReason), Do: "say why"}
	}
	line, err := o.rosterLine(ctx, id, c.Key)
	if err != nil {
		return RosterLine{}, err
	}
	m, ruling, err := o.rulingOn(ctx, k, line, c)
	if err != nil {
		return RosterLine{}, err
	}
	body := rosterRulingFact{Ruling: ruling, Undone: c.Choice == reconcile.RosterUndo}
	subject := fmt.Sprintf("%s row %d", id, line.Line)
	if line.Row == nil {
		subject = id + " " + k.Type + "/" + line.Person
	}
	_, err = o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindRosterRuling, Subject: subject}, func(tx store.Tx, a *ledger.Act) error {
		was, had, err := tx.RosterRulingOf(id, c.Key)
		if err != nil {
			return err
		}
		if had != (line.Ruling != nil) || had && (was.At != line.Ruling.At || was.By != line.Ruling.By || was.Choice != line.Ruling.Choice) {
			return rosterChanged(line)
		}
		b := body
		if err := o.writeRuling(tx, k, line, &b, c.Reason); err != nil {
			return err
		}
		a.Body = b
		return putRuling(tx, b)
	})
	if no, ok := errors.AsType[*webui.Refusal](err); ok && no.Code == "item_changed" && c.Choice == reconcile.RosterTake {
		err = errors.Join(err, o.matchAfter(ctx, k)) // for the next look
	}
	if err != nil {
		return RosterLine{}, fmt.Errorf("decide about %s: %w", subject, err)
	}
	// The line at once, the others with the next comparison: a person who was given to
	// this row is taken from another.
	if err := o.keepMatch(ctx, k, line, m, body); err != nil {
		return RosterLine{}, fmt.Errorf("%s is decided, and not shown yet: %w", subject, err)
	}
	if err := o.matchAfter(ctx, k); err != nil {
		return RosterLine{}, fmt.Errorf("%s is decided, and not compared yet: %w", subject, err)
	}
	if line, err = o.rosterLine(ctx, id, c.Key); err != nil {
		return RosterLine{}, err
	}
	return o.shownLine(ctx, k, line)
}

func rosterChanged(l store.RosterLine) error {
	return &webui.Refusal{Code: "item_changed", What: "the line is not what you had in view: the list, the person or a decision changed meanwhile", Which: l.Key, Do: "look at it once more"}
}

// seenOf stands for a line with what was decided about it: whoever decides names what he
// had in view.
func seenOf(l store.RosterLine) string {
	if l.Ruling == nil {
		return l.Seen
	}
	return fmt.Sprintf("%s.%d", l.Seen, l.Ruling.At)
}

// rulingOn makes the ruling that a choice comes to, and what the line matches then.
func (o *Office) rulingOn(ctx context.Context, k pack.Roster, line store.RosterLine, c RosterChoice) (m reconcile.Match, out store.RosterRuling, err error) {
	at := o.now().UnixMilli()
	if c.Choice == reconcile.RosterUndo && line.Ruling == nil {
		return m, out, &webui.Refusal{Code: "bad_choice", What: "nothing was decided about this line", Which: c.Key}
	}
	if c.Seen != seenOf(line) {
		return m, out, rosterChanged(line)
	}
	if c.Choice == reconcile.RosterUndo {
		switch {
		case at-line.Ruling.At > reconcile.UndoWithin.Milliseconds():
			return m, out, &webui.Refusal{Code: "undo_over", What: "a decision is taken back within 24 hours", Which: c.Key, Do: "decide otherwise"}
		}
		m, err = reconcile.ReadMatch(line.RosterMatch)
		return m, *line.Ruling, err
	}
	if m, err = reconcile.ReadMatch(line.RosterMatch); err != nil {
		return m, out, err
	}
	out = store.RosterRuling{Kind: k.ID, Key: c.Key, Choice: c.Choice, Seen: line.Seen, Reason: c.Reason, By: actor(ctx), At: at}
	if line.Ruling != nil {
		former := *line.Ruling
		former.Former = nil // one step back is enough
		out.Former, out.Not = &former, slices.Clone(former.Not)
	}
	if line.Row != nil {
		l, err := reconcile.Read(*line.Row)
		if err != nil {
			return m, out, err
		}
		m.Row = &l
	}
	out.Row = reconcile.RowHash(m.Row)
	offered := m.Candidates
	if line.Person != "" {
		offered = append(slices.Clone(offered), line.Person)
	}
	bad := &webui.Refusal{Code: "bad_choice", What: "this cannot be chosen here", Which: c.Choice, Do: "choose one of: " + strings.Join(rosterOffers(line), ", ")}
	switch {
	case !slices.Contains(rosterOffers(line), c.Choice):
		return m, out, bad
	case c.Choice == reconcile.RosterTake:
		out.Same, out.Not = line.Person, slices.DeleteFunc(out.Not, func(ref string) bool { return ref == line.Person })
		p, err := o.knownPerson(ctx, k, line.Person)
		if err != nil {
			return m, out, err
		}
		p.Seen = m.Person.Seen
		for _, d := range m.Differences { // as they will be
			setKnown(&p, d.Field, d.Listed)
		}
		out.Facts, m = reconcile.FactsHash(m.Row, &p), ruledMatch(*m.Row, p)
	case c.Choice == reconcile.RosterRefuse:
		out.Not = append(out.Not, offered...)
		slices.Sort(out.Not)
		out.Not = slices.Compact(out.Not)
		m = reconcile.Match{Standing: reconcile.Missing, Row: m.Row}
	case c.Choice == reconcile.RosterConfirm:
		if c.Person == "" && len(offered) == 1 {
			c.Person = offered[0]
		}
		if !slices.Contains(offered, c.Person) {
			return m, out, &webui.Refusal{Code: "bad_choice", What: "this person was not offered for the row", Which: c.Person, Do: "choose one of: " + strings.Join(offered, ", ")}
		}
		out.Same, out.Not = c.Person, slices.DeleteFunc(out.Not, func(ref string) bool { return ref == c.Person })
		p, err := o.knownPerson(ctx, k, c.Person)
		if err != nil {
			return m, out, err
		}
		out.Facts = reconcile.FactsHash(m.Row, &p)
		m = ruledMatch(*m.Row, p)
	}
	return m, out, nil
}

// ruledMatch is what a row comes to that is a person.
func ruledMatch(l reconcile.Listed, p reconcile.Known) reconcile.Match {
	return reconcile.MatchRoster([]reconcile.Listed{l}, []reconcile.Known{p}, func(int) reconcile.Ruled { return reconcile.Ruled{Same: p.Ref} })[0]
}

// rosterOffers are the choices that a line has.
func rosterOffers(l store.RosterLine) []string {
	switch reconcile.Standing(l.Standing) {
	case reconcile.Differs:
		return []string{reconcile.RosterConfirm, reconcile.RosterTake, reconcile.RosterRefuse}
	case reconcile.Unsure, reconcile.Confirmed, reconcile.Unseen:
		return []string{reconcile.RosterConfirm, reconcile.RosterRefuse}
	default:
		return []string{reconcile.RosterNote}
	}
}

// knownPerson reads one person of a list.
func (o *Office) knownPerson(ctx context.Context, k pack.Roster, ref string) (p reconcile.Known, err error) {
	return o.personBy(o.stored(ctx), k, ref)
}

func (o *Office) personBy(get getEntity, k pack.Roster, ref string) (p reconcile.Known, err error) {
	row, err := get(entry.Ref{Type: k.Type, ID: ref})
	if err != nil {
		return p, fmt.Errorf("person %s: %w", ref, err)
	}
	_, fields, _, err := o.stateOf(row)
	if err != nil {
		return p, err
	}
	p.Ref = ref
	read := o.pathsBy(get)
	for name, path := range k.Fields {
		v, err := read.follow(k.Type, fields, path)
		if err != nil {
			return p, err
		}
		setKnown(&p, reconcile.Field(name), v)
	}
	return p, nil
}

// putRuling brings a ruling about, or takes it back.
func putRuling(tx store.Tx, b rosterRulingFact) error {
	if !b.Undone {
		return tx.PutRosterRuling(b.Ruling)
	}
	if b.Ruling.Former == nil {
		return tx.DropRosterRuling(b.Ruling.Kind, b.Ruling.Key)
	}
	return tx.PutRosterRuling(*b.Ruling.Former)
}

// keepMatch keeps what a line comes to by a ruling.
func (o *Office) keepMatch(ctx context.Context, k pack.Roster, line store.RosterLine, m reconcile.Match, b rosterRulingFact) error {
	if b.Undone {
		return nil // what it was before is found by comparing
	}
	list, err := o.rosterOf(ctx, k.ID)
	if err != nil {
		return err
	}
	kept := line.RosterMatch
	if b.Ruling.Choice == reconcile.RosterNote {
		kept.Open = false
	} else {
		kept = reconcile.KeptMatch(line.Key, m, b.Ruling)
	}
	_, err = o.store.PutRosterMatches(ctx, k.ID, list.Import, list.MatchedAt, []store.RosterMatch{kept}, nil)
	return err
}

// atOnce is the length of a list up to which everything is compared again with each
// decision; longer ones are compared by the hub's own loop.
const atOnce = 10_000

func (o *Office) matchAfter(ctx context.Context, k pack.Roster) error {
	list, err := o.rosterOf(ctx, k.ID)
	if err != nil {
		return err
	}
	if list.Rows > atOnce {
		o.matchSoon()
		return nil
	}
	_, err = o.matchRoster(context.WithoutCancel(ctx), k)
	return err
}
