package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
)

// An entity whose id no feed can carry is moved with its household, and spoils nothing.
func TestAnIDThatNoFeedCarries(t *testing.T) {
	o := newOffice(t)
	long := entry.Ref{Type: "person", ID: strings.Repeat("x", feed.MaxKey+1)}
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB"))
	o.take(o.write("D-B", "edit", long, false, "household", house.ID))
	o.pull("D-A", house)
	moved := o.write("D-A", "edit", house, false, "gacha", "CD")
	o.take(moved)
	if v := o.verdicts()[moved.Dot.String()]; v != store.Applied {
		t.Errorf("verdict %s", v)
	}
	if e, err := o.Entity(t.Context(), long); err != nil || !slices.Equal(e.Scopes, []string{"gacha:CD"}) {
		t.Errorf("%+v, %v", e, err)
	}
	for scope, want := range map[string]string{"gacha:NB": "gone household/H-NB-07", "gacha:CD": "entity household/H-NB-07"} {
		if got := o.feed(scope); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v", scope, got)
		}
	}
}

// What cannot be an entity's id is no parent either.
func TestAFieldThatNamesNothing(t *testing.T) {
	o := newOffice(t)
	person := entry.Ref{Type: "person", ID: "P1"}
	o.take(o.write("D-B", "edit", person, false, "household", strings.Repeat("x", 4000)))
	if e, err := o.Entity(t.Context(), person); err != nil || len(e.Parents) != 0 {
		t.Errorf("%d parents, %v", len(e.Parents), err)
	}
}

// A state that a feed cannot carry is not sent any more, and somebody is told.
func TestAStateThatNoFeedCarries(t *testing.T) {
	o := newOffice(t)
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB"))
	was := o.feed("gacha:NB")
	if fs := o.findings(); len(fs) != 0 {
		t.Fatalf("findings %+v", fs)
	}
	o.pull("D-A", house)
	o.take(o.write("D-A", "edit", house, false, "phone", strings.Repeat("1", feed.MaxBody)))
	if fs := o.findings(); len(fs) != 1 || fs[0].Code != reconcile.UnsentFinding || fs[0].Device != dot.Hub || !strings.Contains(fs[0].Words, house.String()) {
		t.Errorf("findings %+v", fs)
	}
	if got := o.feed("gacha:NB"); !slices.Equal(got, was) {
		t.Errorf("feed %v", got)
	}
}
