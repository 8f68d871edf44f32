package reconcile_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
	"otor/internal/merge"
)

// disputed is an office where two devices gave a household another telephone.
func disputed(t *testing.T) *office {
	o := newOffice(t)
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB", "phone", "1"))
	o.pull("D-A", house)
	o.pull("D-B", house)
	o.take(o.write("D-A", "edit", house, false, "phone", "2"), o.write("D-B", "edit", house, false, "phone", "3"))
	return o
}

func (o *office) evidence() (e reconcile.Dispute) {
	if err := json.Unmarshal(o.items()[0].Evidence, &e); err != nil {
		o.t.Fatal(err)
	}
	return e
}

// rule decides the office's only item as a hub does, and takes the entries in.
func (o *office) rule(ru reconcile.Ruling) error {
	o.at++
	return o.Ingest(o.t.Context(), func(tx store.Tx) error {
		it, _, err := tx.ItemOf(store.Conflicts, o.items()[0].Entity, o.items()[0].Field)
		if err != nil {
			return err
		}
		draft, err := o.r.Rule(tx, it, ru)
		if err != nil {
			return err
		}
		d := reconcile.Decided{Item: it, Choice: ru.Choice, Reason: ru.Reason, By: ru.By, At: o.at, Former: draft.Former}
		for _, ws := range draft.Writes {
			o.seq["decider"]++
			at := dot.Chain{Device: dot.Hub, Incarnation: 77, Lane: dot.Record}.At(o.seq["decider"])
			if d.Decision.IsZero() {
				d.Decision = at
			}
			raw := entry.NewRaw([]byte("public "+at.String()), []byte{0})
			e := store.Entry{
				Dot: at, Hash: raw.Hash(), Raw: raw, Form: "system:decision", Judgement: store.Judgement{Verdict: store.Applied},
				Touches: []merge.Touch{{Ref: it.Entity, Change: merge.Change{Dot: at, HLC: hlc.Time{Millis: o.at}, Writes: ws}}},
			}
			l, err := tx.Lane(at.Chain)
			if err != nil {
				return err
			}
			l.Received = l.Received.Add(lane.Run(at.Seq, at.Seq))
			round := o.r.Begin(tx, o.at)
			if err := errors.Join(tx.Insert([]store.Entry{e}), tx.SaveLane(l), round.Take([]store.Entry{e}, nil), round.Finish()); err != nil {
				return err
			}
		}
		return o.r.Settle(tx, d)
	})
}

func (o *office) phone() merge.Shown { return o.state(house).Show(o.domain.Type("household"), "phone") }

func refusedAs(t *testing.T, what string, err error, code string) {
	t.Helper()
	r, ok := errors.AsType[*reconcile.Refused](err)
	if !ok || r.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func TestDecideASide(t *testing.T) {
	for choice, want := range map[string]string{"A": "2", "b": "3"} {
		o := disputed(t)
		seen := o.evidence().Displayed
		if err := o.rule(reconcile.Ruling{Choice: choice, Reason: "told by telephone", By: "U10", Seen: seen}); err != nil {
			t.Fatal(err)
		}
		if p := o.phone(); p.Conflict || p.Value != want || len(p.Dots) != 1 {
			t.Errorf("choice %s: %+v", choice, p)
		}
		it := o.items()[0]
		if it.State != store.Decided || it.DecidedBy != "U10" || it.Reason != "told by telephone" || it.Decision != o.phone().Dots[0] || it.ClosedAt != o.at {
			t.Errorf("choice %s: %+v", choice, it)
		}
		// The other operator had the same sides in view, and is told who was faster.
		err := o.rule(reconcile.Ruling{Choice: "A", Reason: "mine", By: "U11", Seen: seen})
		refusedAs(t, "the second", err, "item_changed")
		if !errors.Is(err, reconcile.ErrConflict) || !strings.Contains(err.Error(), "U10") {
			t.Errorf("the second is told %v", err)
		}
		// Whoever writes without knowing of the decision opens it again.
		o.take(o.write("D-B", "edit", house, true, "phone", "9"))
		if it := o.items()[0]; it.State != store.Open || it.Times != 2 || it.DecidedBy != "" {
			t.Errorf("after a late write: %+v", it)
		}
	}
}

func TestDecideOnWhatIsThereNow(t *testing.T) {
	o := disputed(t)
	seen := o.evidence().Displayed
	o.pull("D-C") // knows nothing
	o.take(o.write("D-C", "edit", house, false, "phone", "4"))
	refusedAs(t, "a third side", o.rule(reconcile.Ruling{Choice: "A", Reason: "r", Seen: seen}), "item_changed")
	refusedAs(t, "nothing in view", o.rule(reconcile.Ruling{Choice: "A", Reason: "r"}), "item_changed")
	now := o.evidence().Displayed
	refusedAs(t, "no reason", o.rule(reconcile.Ruling{Choice: "A", Reason: " ", Seen: now}), "reason_missing")
	refusedAs(t, "no such side", o.rule(reconcile.Ruling{Choice: "D", Reason: "r", Seen: now}), "bad_choice")
	refusedAs(t, "no value", o.rule(reconcile.Ruling{Choice: reconcile.ChooseOther, Reason: "r", Seen: now}), "bad_value")
	if it := o.items()[0]; it.State != store.Open || !o.phone().Conflict {
		t.Errorf("what was refused changed something: %+v", it)
	}
	// A telephone that looks like a number stays text.
	if err := o.rule(reconcile.Ruling{Choice: reconcile.ChooseOther, Value: json.RawMessage("0471"), Reason: "r", By: "U10", Seen: now}); err != nil {
		t.Fatal(err)
	}
	if p := o.phone(); p.Conflict || p.Value != "0471" {
		t.Errorf("another value: %+v", p)
	}
}

func TestAskTheField(t *testing.T) {
	o := disputed(t)
	err := o.rule(reconcile.Ruling{Choice: reconcile.ChooseAsk, Reason: "which one answers?", By: "U10", Seen: o.evidence().Displayed})
	if err != nil {
		t.Fatal(err)
	}
	it, e := o.items()[0], o.evidence()
	if it.State != store.Open || it.Owner != "U10" || e.Asked == nil || e.Asked.Words != "which one answers?" || !o.phone().Conflict {
		t.Errorf("item %+v, evidence %+v", it, e)
	}
	words := func(d dot.Device) (out string) {
		for x, err := range o.Entries(t.Context(), store.EntryQuery{Device: d}) {
			if err != nil {
				t.Fatal(err)
			}
			out = string(x.Judgement.Verdict) + " " + x.Judgement.Code + " " + x.Judgement.Words
		}
		return out
	}
	for _, d := range []dot.Device{"D-A", "D-B"} {
		if w := words(d); !strings.HasPrefix(w, "conflict asked ") || !strings.HasSuffix(w, "which one answers?") {
			t.Errorf("%s is told %q", d, w)
		}
	}
	// The question goes away with the answer.
	o.pull("D-A", house)
	o.take(o.write("D-A", "edit", house, true, "phone", "2"))
	if it := o.items()[0]; it.State != store.Answered {
		t.Errorf("after the answer: %+v", it)
	}
	if w := words("D-B"); !strings.HasPrefix(w, "conflict conflict ") {
		t.Errorf("after the answer D-B is told %q", w)
	}
}

func TestUndoADecision(t *testing.T) {
	o := disputed(t)
	before := o.evidence()
	refusedAs(t, "nothing decided", o.rule(reconcile.Ruling{Choice: reconcile.ChooseUndo, Reason: "r"}), "item_changed")
	if err := o.rule(reconcile.Ruling{Choice: "A", Reason: "r", By: "U10", Seen: before.Displayed}); err != nil {
		t.Fatal(err)
	}
	if err := o.rule(reconcile.Ruling{Choice: reconcile.ChooseUndo, Reason: "wrong household", By: "U10"}); err != nil {
		t.Fatal(err)
	}
	it, e := o.items()[0], o.evidence()
	var values []any
	for _, s := range e.Sides {
		values = append(values, s.Value)
	}
	if it.State != store.Open || it.Times != 2 || e.Base != before.Base || !slices.Equal(values, []any{"2", "3"}) {
		t.Errorf("item %+v, evidence %+v", it, e)
	}
	// It can be decided again, and not taken back once somebody wrote since.
	if err := o.rule(reconcile.Ruling{Choice: "B", Reason: "r", By: "U11", Seen: e.Displayed}); err != nil {
		t.Fatal(err)
	}
	if p := o.phone(); p.Conflict || p.Value != "3" {
		t.Errorf("decided again: %+v", p)
	}
	o.pull("D-A", house)
	o.take(o.write("D-A", "edit", house, true, "phone", "7"))
	refusedAs(t, "written since", o.rule(reconcile.Ruling{Choice: reconcile.ChooseUndo, Reason: "r"}), "item_changed")
}

func TestDecideOnADeletion(t *testing.T) {
	for _, deletes := range []bool{true, false} {
		o := newOffice(t)
		o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB", "phone", "1"))
		o.pull("D-A", house)
		o.pull("D-B", house)
		o.take(o.write("D-A", "edit", house, false, merge.Deleted, true), o.write("D-B", "edit", house, false, "phone", "2"))
		choice := ""
		for i, s := range o.evidence().Sides {
			if (s.Dot.Device == "D-A") == deletes {
				choice = reconcile.Letter(i)
			}
		}
		if err := o.rule(reconcile.Ruling{Choice: choice, Reason: "r", By: "U10", Seen: o.evidence().Displayed}); err != nil {
			t.Fatal(err)
		}
		v := o.state(house).View(o.domain.Type("household"))
		if v.Deleted != deletes || v.DeletionConflict || o.items()[0].State != store.Decided {
			t.Errorf("deletes %v: %+v, %+v", deletes, v, o.items()[0])
		}
	}
}
