package server

import (
	"errors"
	"fmt"
	"strings"

	"otor/hub/ingest"
	"otor/hub/ledger"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/webui"
)

// writeRuling makes the entry that a ruling on a row needs: one that takes the row's
// values, or one that puts back what stood before them. Other rulings write nothing.
func (o *Office) writeRuling(tx store.Tx, k pack.Roster, line store.RosterLine, b *rosterRulingFact, reason string) error {
	var writes *rosterWrites
	var err error
	switch {
	case b.Undone && b.Ruling.Taken != nil:
		writes, err = o.givenBack(tx, line, *b.Ruling.Taken)
	case !b.Undone && b.Ruling.Choice == reconcile.RosterTake:
		writes, err = o.taken(tx, k, line)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	choice := b.Ruling.Choice
	if b.Undone {
		choice = reconcile.RosterUndo
	}
	d := ingest.Decision{
		Ref: writes.to[0].Ref, Writes: [][]merge.Write{writes.to[0].Writes}, Beside: writes.to[1:], Actor: b.Ruling.By,
		Fields: map[string]any{"roster": k.ID, "row": int64(line.Line), "choice": choice, "reason": reason},
	}
	es, err := o.decider.Decide(tx, d)
	if err != nil {
		return err
	}
	for i := range es {
		b.Entries = append(b.Entries, decisionEntry{es[i].Dot, es[i].Raw.Public, es[i].Raw.Private})
	}
	if !b.Undone {
		b.Ruling.Taken = &store.RosterTaken{Dot: es[0].Dot, Fields: writes.fields}
	}
	return nil
}

// rosterRuledAgain brings about a ruling that the journal brought back.
func (s *Server) rosterRuledAgain(tx store.Tx, _ ledger.Fact, b rosterRulingFact) error {
	raws := make([]entry.Raw, 0, len(b.Entries))
	for _, e := range b.Entries {
		raws = append(raws, entry.NewRaw(e.Public, e.Private))
	}
	return errors.Join(s.taker().Restore(tx, raws), putRuling(tx, b))
}

// rosterWrites is what one entry writes, by the entity, and what stood there.
type rosterWrites struct {
	to     []ingest.Beside
	fields []store.TakenField
}

func (w *rosterWrites) add(f store.TakenField, ws []merge.Write) {
	w.fields = append(w.fields, f)
	ref := entry.Ref{Type: f.Type, ID: f.ID}
	for i := range w.to {
		if w.to[i].Ref == ref {
			w.to[i].Writes = append(w.to[i].Writes, ws...)
			return
		}
	}
	w.to = append(w.to, ingest.Beside{Ref: ref, Writes: ws})
}

// taken works out what taking a row's values writes, if the person still is as the line
// shows them (law L13). The entry knows what was displayed: who writes later without
// knowing of it stands in conflict with it. Refusals: item_changed, roster_fixed,
// roster_value, roster_disputed.
func (o *Office) taken(tx store.Tx, k pack.Roster, line store.RosterLine) (*rosterWrites, error) {
	m, err := reconcile.ReadMatch(line.RosterMatch)
	if err != nil {
		return nil, err
	}
	row, err := reconcile.Read(*line.Row)
	if err != nil {
		return nil, err
	}
	get := entitiesOf(tx)
	p, err := o.personBy(get, k, line.Person)
	if errors.Is(err, store.ErrNotFound) || err == nil && (len(m.Differences) == 0 || reconcile.FactsHash(&row, &p) != m.Facts()) {
		return nil, rosterChanged(line)
	}
	if err != nil {
		return nil, err
	}
	w := new(rosterWrites)
	for _, d := range m.Differences {
		ref, field, err := o.aim(get, entry.Ref{Type: k.Type, ID: p.Ref}, k.Fields[string(d.Field)])
		if err != nil {
			return nil, err
		}
		which := fmt.Sprintf("row %d, %s", line.Line, k.Fields[string(d.Field)])
		if err := o.takes(ref.Type, field, d.Listed, which); err != nil {
			return nil, err
		}
		s, shown, err := o.fieldNow(get, ref, field)
		if err != nil {
			return nil, err
		}
		former, text := shown.Value.(string)
		if shown.Conflict || !text {
			return nil, &webui.Refusal{Code: "roster_disputed", What: "the field is in conflict already", Which: which, Do: "decide the conflict first"}
		}
		ws, err := s.Confirm(o.domain.Type(ref.Type), field, d.Listed, false)
		if err != nil {
			return nil, err
		}
		w.add(store.TakenField{Type: ref.Type, ID: ref.ID, Field: field, Former: []byte(former)}, ws)
	}
	return w, nil
}

// givenBack works out what putting back what stood before a take writes, if nobody wrote
// there since. Refusal: item_changed.
func (o *Office) givenBack(tx store.Tx, line store.RosterLine, t store.RosterTaken) (*rosterWrites, error) {
	get, w := entitiesOf(tx), new(rosterWrites)
	for _, f := range t.Fields {
		s, shown, err := o.fieldNow(get, entry.Ref{Type: f.Type, ID: f.ID}, f.Field)
		if err != nil {
			return nil, err
		}
		if len(shown.Dots) != 1 || shown.Dots[0] != t.Dot {
			return nil, &webui.Refusal{Code: "item_changed", What: "another value was written since this was taken from the list", Which: fmt.Sprintf("row %d, %s", line.Line, f.Field), Do: "look at it once more, and correct it by a new record"}
		}
		ws, err := s.Confirm(o.domain.Type(f.Type), f.Field, string(f.Former), false)
		if err != nil {
			return nil, err
		}
		w.add(f, ws)
	}
	return w, nil
}

// entitiesOf reads entities as they are in a transaction.
func entitiesOf(tx store.Tx) getEntity {
	return func(ref entry.Ref) (store.Entity, error) {
		es, err := tx.Entities([]entry.Ref{ref})
		if err == nil && len(es) == 0 {
			err = fmt.Errorf("entity %s: %w", ref, store.ErrNotFound)
		}
		if err != nil {
			return store.Entity{}, err
		}
		return es[0], nil
	}
}

// aim finds the entity and the field in which a path ends.
func (o *Office) aim(get getEntity, ref entry.Ref, path string) (entry.Ref, string, error) {
	for {
		step, rest, more := strings.Cut(path, ".")
		if !more {
			return ref, step, nil
		}
		row, err := get(ref)
		if err != nil {
			return ref, "", err
		}
		_, fields, _, err := o.stateOf(row)
		if err != nil {
			return ref, "", err
		}
		id, _ := fields[step].(string)
		ref, path = entry.Ref{Type: o.domain.Names(ref.Type, step), ID: id}, rest
	}
}

// fieldNow is what a field shows now.
func (o *Office) fieldNow(get getEntity, ref entry.Ref, field string) (*merge.State, merge.Shown, error) {
	row, err := get(ref)
	if err != nil {
		return nil, merge.Shown{}, err
	}
	s, err := merge.Decode(row.State)
	if err != nil {
		return nil, merge.Shown{}, fmt.Errorf("entity %s: %w: %w", ref, store.ErrDamaged, err)
	}
	return s, s.Show(o.domain.Type(ref.Type), field), nil
}

// formList lists forms in their current version.
type formList interface {
	IDs() []string
	Latest(id string) (*form.Form, bool)
}

// takes reports whether the hub may write a value from a list into a field: one that
// stands by itself, that people correct by a form, and whose questions take the value.
func (o *Office) takes(typ, field, value, which string) error {
	name, rule, ok := o.domain.Type(typ).Register(field)
	var questions []*form.Field
	if ok && name == field && (rule == merge.Ask || rule == merge.Latest) {
		questions = o.questions(typ, field)
	}
	if len(questions) == 0 {
		return &webui.Refusal{Code: "roster_fixed", What: "this field is not taken from lists: no form corrects it by itself", Which: which, Do: "confirm the row, or have it corrected otherwise"}
	}
	env := form.Env{Today: form.DateOf(o.now().In(o.zone)), DemoMode: o.demo}
	for _, q := range questions {
		if problems := q.Check(value, env); len(problems) > 0 {
			return &webui.Refusal{Code: "roster_value", What: "the list's value does not fit: " + problems[0].Words, Which: which, Do: "confirm the row, or ask whoever made the list to correct it"}
		}
	}
	return nil
}

// questions are those of the current forms whose answers are written to a field.
func (o *Office) questions(typ, field string) (out []*form.Field) {
	forms, ok := o.forms.(formList)
	if !ok {
		return nil
	}
	for _, id := range forms.IDs() {
		if f, ok := forms.Latest(id); ok {
			out = append(out, f.Writers(typ, field)...)
		}
	}
	return out
}
