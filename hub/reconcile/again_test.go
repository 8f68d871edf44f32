package reconcile_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/rules"
)

// watching is the small pack with a rule: a camp of a household that somebody else has is noticed.
type watching struct {
	domain
	set *rules.Set
}

func (w watching) RulesFor(string, uint32) *rules.Set { return w.set }
func (w watching) Rules() *rules.Set                  { return w.set }
func (watching) RuleWords(rule, _ string) string      { return "words of " + rule }

func watched(t *testing.T, o *office, noted func(store.Entry) *rules.Record) {
	t.Helper()
	set, faults := rules.Compile(rules.Source{
		Fields:  map[string][]string{"household": {"gacha", "phone", "camp", "stock"}, "person": {"household", "name"}},
		Remarks: []rules.RemarkRule{{ID: "wrong_camp", Forms: []string{"visit"}, When: "book.entity('household', entry.entity).camp == 'away'"}},
	})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := fmt.Sprint(set.Watched("household"), set.Watched("person")); got != "[camp] []" {
		t.Errorf("watched fields: %s", got)
	}
	o.r = reconcile.New(reconcile.Config{Domain: watching{o.domain, set}, Log: slog.New(slog.DiscardHandler), Noted: noted})
}

// asNoted is what ingest makes of an entry of the form that rules look at.
func asNoted(e store.Entry) *rules.Record {
	if e.Form != "visit" {
		return nil
	}
	return &rules.Record{Form: e.Form, Type: e.EntityType, Entity: e.Entity, Actor: e.Actor, Time: time.UnixMilli(e.CorrectedTime)}
}

// visit is a record about a household that writes nothing.
func (o *office) visit(d dot.Device, ref entry.Ref) store.Entry {
	e := o.write(d, "visit", ref, false)
	e.Touches, e.EntityType, e.Entity = nil, ref.Type, ref.ID
	e.Noted = asNoted(e)
	return e
}

// TestRemarksFollowWhatTheyHangOn: the same is remarkable about a record in whatever order
// it and what its rule asks for come in; and no more when that changes again.
func TestRemarksFollowWhatTheyHangOn(t *testing.T) {
	flags := func(o *office) string {
		var out []string
		for _, it := range o.items() {
			if it.Kind == store.Flags {
				out = append(out, string(it.State)+" "+it.Field)
			}
		}
		slices.Sort(out)
		return strings.Join(out, "; ")
	}
	for _, order := range []string{"visit first", "camp first", "together"} {
		t.Run(order, func(t *testing.T) {
			o := newOffice(t)
			watched(t, o, asNoted)
			o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB", "phone", "1"))
			visit := o.visit("D-A", house)
			o.pull("D-B", house)
			away := o.write("D-B", "edit", house, false, "camp", "away")
			switch order {
			case "visit first":
				o.take(visit)
				if flags(o) != "" {
					t.Errorf("before: %s", flags(o))
				}
				o.take(away)
			case "camp first":
				o.take(away)
				o.take(visit)
			default:
				o.take(visit, away)
			}
			name := "wrong_camp " + visit.Dot.String()
			if v := o.verdicts()[visit.Dot.String()]; flags(o) != "open "+name || v != store.Flagged {
				t.Errorf("%s; the verdict is %s", flags(o), v)
			}
			o.take(o.write("D-B", "edit", house, false, "phone", "2")) // nobody asked for that
			o.take(o.write("D-B", "edit", house, false, "camp", "home"))
			if v := o.verdicts()[visit.Dot.String()]; flags(o) != "answered "+name || v != store.Applied {
				t.Errorf("back home: %s; the verdict is %s", flags(o), v)
			}
			o.take(o.write("D-B", "edit", house, false, "camp", "away"))
			if v := o.verdicts()[visit.Dot.String()]; flags(o) != "open "+name || v != store.Flagged {
				t.Errorf("away again: %s; the verdict is %s", flags(o), v)
			}
		})
	}
	t.Run("control", func(t *testing.T) { // without looking again the order decides
		o := newOffice(t)
		watched(t, o, nil)
		o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB"))
		o.take(o.visit("D-A", house))
		o.pull("D-B", house)
		o.take(o.write("D-B", "edit", house, false, "camp", "away"))
		if flags(o) != "" {
			t.Errorf("%s", flags(o))
		}
	})
}
