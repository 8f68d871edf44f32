package reconcile_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
)

// spoil puts other bytes in place of an entity's state.
func (o *office) spoil(ref entry.Ref, state []byte) {
	o.t.Helper()
	e, err := o.Entity(o.t.Context(), ref)
	if err != nil {
		o.t.Fatal(err)
	}
	e.State = state
	if err := o.Ingest(o.t.Context(), func(tx store.Tx) error { return tx.SaveEntities([]store.Entity{e}) }); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) findings() []store.Finding {
	fs, err := o.Findings(o.t.Context(), false)
	if err != nil {
		o.t.Fatal(err)
	}
	return fs
}

// A state that cannot be read stops nobody: records about the entity are received, what
// they do to others they do, and the office is told. What is there stays as it is.
func TestADamagedStateStopsNoRecord(t *testing.T) {
	o := newOffice(t)
	person, other := entry.Ref{Type: "person", ID: "P1"}, entry.Ref{Type: "household", ID: "H-2"}
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB"), o.write(dot.Hub, "edit", person, false, "household", house.ID, "name", "A"))
	o.pull("D-A", house, person)
	o.spoil(house, []byte("rubbish"))
	both := o.write("D-A", "edit", house, false, "phone", "2")
	both.Touches = append(both.Touches, o.write("D-A", "edit", other, false, "phone", "3").Touches...)
	both.Touches[1].Dot, o.seq["D-A"] = both.Dot, 1
	o.take(both, o.write("D-A", "edit", person, false, "name", "B"))

	if e, err := o.Entity(t.Context(), house); err != nil || string(e.State) != "rubbish" || e.Rev != 1 {
		t.Errorf("the damaged row was written: %+v, %v", e, err)
	}
	if v, _ := o.state(other).View(nil).Field("phone"); v != "3" {
		t.Errorf("the other household's phone is %v", v)
	}
	if v, _ := o.state(person).View(nil).Field("name"); v != "B" {
		t.Errorf("the person's name is %v", v)
	}
	// Whose place hangs on it stays where it is.
	if e, err := o.Entity(t.Context(), person); err != nil || !slices.Equal(e.Scopes, []string{"gacha:NB"}) || !slices.Equal(e.Parents, []entry.Ref{house}) {
		t.Errorf("%+v, %v", e, err)
	}
	if got := o.feed("gacha:NB"); !slices.Equal(got, []string{"entity household/H-NB-07", "entity person/P1"}) {
		t.Errorf("feed %v", got)
	}
	if v := o.verdicts(); v["D-A/1/record/1"] != store.Applied || v["D-A/1/record/2"] != store.Applied {
		t.Errorf("verdicts %v", v)
	}
	if fs := o.findings(); len(fs) != 1 || fs[0].Code != "database_damaged" || fs[0].Device != dot.Hub || !strings.Contains(fs[0].Words, house.String()) {
		t.Errorf("findings %+v", fs)
	}
}

// Hubs took values that are none once. Who writes beside one is heard, and a person can decide.
func TestAValueFromBeforeValuesWereChecked(t *testing.T) {
	for name, raw := range map[string][]byte{"a simple value": {0xf0}, "NaN": {0xf9, 0x7e, 0x00}} {
		o := newOffice(t)
		bad := o.write("D-B", "edit", house, false, "phone", "1", "gacha", "NB")
		bad.Touches[0].Writes[0].Raw = raw
		o.take(bad)
		o.take(o.write("D-A", "edit", house, false, "phone", "2"))
		items := o.items()
		if len(items) != 1 || items[0].Field != "phone" {
			t.Fatalf("%s: items %+v", name, items)
		}
		var e reconcile.Dispute
		if err := json.Unmarshal(items[0].Evidence, &e); err != nil || len(e.Sides) != 2 || e.Sides[0].Value != "2" || e.Sides[1].Value != nil {
			t.Errorf("%s: evidence %s (%v)", name, items[0].Evidence, err)
		}
	}
}

// A register that no form can have is nobody's question, whatever stands in its name.
func TestNamesThatNoFieldHas(t *testing.T) {
	o := newOffice(t)
	for _, d := range []dot.Device{"D-A", "D-B"} {
		e := o.write(d, "edit", house, false, "phone", "1")
		e.Touches[0].Writes = append(e.Touches[0].Writes, merge.Write{Register: "a\nb", Raw: []byte{0x61, d[2]}})
		o.take(e)
	}
	if items := o.items(); len(items) != 0 {
		t.Errorf("items %+v", items)
	}
	if got := len(o.state(house).Values("a\nb")); got != 2 {
		t.Errorf("%d values", got)
	}
}
