package merge_test

import (
	"testing"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// An answer that is displayed already is written by a form of corrections alone.
func TestConfirm(t *testing.T) {
	typ, err := merge.NewType("household", []merge.Field{{Name: "camp", Rule: merge.Ask}})
	if err != nil {
		t.Fatal(err)
	}
	ref := entry.Ref{Type: "household", ID: "H"}
	state := merge.New(ref)
	first, err := state.Answer(typ, "camp", "W6", false)
	if err != nil || len(first) != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	at := dot.Chain{Device: dot.Hub, Incarnation: 1, Lane: dot.Record}
	state.Apply(merge.Change{Dot: at.At(1), Writes: first})
	desk := merge.Desk{
		Type:      func(string) *merge.Type { return typ },
		Displayed: func(entry.Ref) (*merge.State, error) { return state, nil },
	}
	for _, edit := range []bool{false, true} {
		var pub entry.Public
		var priv entry.Private
		if err := desk.Fill(&pub, &priv, []form.Saved{{Type: "household", ID: "H", Property: "camp", Value: "W6", Edit: edit}}); err != nil {
			t.Fatal(err)
		}
		if got := len(priv.Writes) == 1; got != edit {
			t.Errorf("edit %v: writes %v", edit, priv.Writes)
		}
		if edit && !pub.Contexts[priv.Writes[0].Context].Covers(at.At(1)) {
			t.Errorf("what was confirmed is not in its context: %v", pub.Contexts)
		}
	}
}
