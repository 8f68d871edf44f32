package reconcile_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/hlc"
	"otor/internal/lane"
	"otor/internal/merge"
)

// domain is a small pack: households live in a gacha and persons where their
// household lives.
type domain struct{ types map[string]*merge.Type }

func newDomain(t *testing.T) domain {
	d := domain{map[string]*merge.Type{}}
	for name, fields := range map[string][]merge.Field{
		"household": {{Name: "gacha", Rule: merge.Ask}, {Name: "phone", Rule: merge.Ask}, {Name: "camp", Rule: merge.Latest}, {Name: "stock", Rule: merge.Count}},
		"person":    {{Name: "household", Rule: merge.Ask}, {Name: "name", Rule: merge.Latest}},
	} {
		kind, err := merge.NewType(name, fields)
		if err != nil {
			t.Fatal(err)
		}
		d.types[name] = kind
	}
	return d
}

func (d domain) Type(name string) *merge.Type { return d.types[name] }
func (domain) Lives(name string) []string {
	return map[string][]string{"household": {"gacha:{gacha}"}, "person": {"gacha:{household.gacha}"}}[name]
}

func (domain) Names(typ, field string) string {
	return map[string]string{"person.household": "household"}[typ+"."+field]
}

func (domain) Decides(typ string) []string {
	return map[string][]string{"household": {"gacha"}}[typ]
}
func (domain) Edits(id string, _ uint32, _ string) bool { return id == "edit" }

// office is a hub's database with a reconciler, and devices whose entries come
// ready made.
type office struct {
	t *testing.T
	store.Store
	domain domain
	r      *reconcile.Reconciler
	at     int64
	bases  map[dot.Device]map[entry.Ref]*merge.State
	seq    map[dot.Device]dot.Seq
}

func newOffice(t *testing.T) *office {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	o := &office{t: t, Store: s, domain: newDomain(t), bases: map[dot.Device]map[entry.Ref]*merge.State{}, seq: map[dot.Device]dot.Seq{}}
	o.r = reconcile.New(reconcile.Config{Domain: o.domain, Log: slog.New(slog.DiscardHandler)})
	return o
}

// pull gives a device what the hub has of some entities.
func (o *office) pull(d dot.Device, refs ...entry.Ref) {
	o.bases[d] = map[entry.Ref]*merge.State{}
	for _, ref := range refs {
		o.bases[d][ref] = o.state(ref)
	}
}

func (o *office) state(ref entry.Ref) *merge.State {
	e, err := o.Entity(o.t.Context(), ref)
	if err != nil {
		return merge.New(ref)
	}
	s, err := merge.Decode(e.State)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// write makes an entry of a device; values are by field.
func (o *office) write(d dot.Device, form string, ref entry.Ref, settles bool, values ...any) store.Entry {
	o.seq[d]++
	at := dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}.At(o.seq[d])
	base := o.bases[d][ref]
	if base == nil {
		base = merge.New(ref)
	}
	c := merge.Change{Dot: at, HLC: hlc.Time{Millis: int64(o.seq[d])}}
	for i := 0; i < len(values); i += 2 {
		ws, err := base.Answer(o.domain.Type(ref.Type), values[i].(string), values[i+1], settles)
		if err != nil {
			o.t.Fatal(err)
		}
		c.Writes = append(c.Writes, ws...)
	}
	base = base.Clone()
	base.Apply(c)
	if o.bases[d] == nil {
		o.bases[d] = map[entry.Ref]*merge.State{}
	}
	o.bases[d][ref] = base
	raw := entry.NewRaw([]byte("public "+at.String()), []byte{0})
	return store.Entry{
		Dot: at, Hash: raw.Hash(), Raw: raw, Form: form, Actor: "U-" + string(d), Judgement: store.Judgement{Verdict: store.Applied},
		Touches: []merge.Touch{{Ref: ref, Change: c}},
	}
}

// take commits entries as ingest does.
func (o *office) take(es ...store.Entry) {
	o.t.Helper()
	o.at++
	err := o.Ingest(o.t.Context(), func(tx store.Tx) error {
		round := o.r.Begin(tx, o.at)
		for _, e := range es {
			l, err := tx.Lane(e.Dot.Chain)
			if err != nil {
				return err
			}
			l.Received = l.Received.Add(lane.Run(e.Dot.Seq, e.Dot.Seq))
			if err := tx.Insert([]store.Entry{e}); err != nil {
				return err
			}
			if err := tx.SaveLane(l); err != nil {
				return err
			}
			scopes := []string{"gacha:NB"}
			if e.Dot.Device == dot.Hub {
				scopes = nil
			}
			if err := round.Take([]store.Entry{e}, scopes); err != nil {
				return err
			}
		}
		return round.Finish()
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) verdicts() map[string]store.Verdict {
	out := map[string]store.Verdict{}
	for e, err := range o.Entries(o.t.Context(), store.EntryQuery{}) {
		if err != nil {
			o.t.Fatal(err)
		}
		out[e.Dot.String()] = e.Judgement.Verdict
	}
	return out
}

func (o *office) items() []store.Item {
	items, err := o.Items(o.t.Context(), store.ItemQuery{})
	if err != nil {
		o.t.Fatal(err)
	}
	return items
}

// feed lists a scope's rows as "kind key".
func (o *office) feed(scope string) (out []string) {
	p, err := o.Feed(o.t.Context(), scope, 0, 1<<20)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, r := range p.Rows {
		out = append(out, fmt.Sprint(r.Kind, " ", r.Key))
	}
	slices.Sort(out)
	return out
}

var house = entry.Ref{Type: "household", ID: "H-NB-07"}

func TestConflictInWhateverOrder(t *testing.T) {
	for _, swap := range []bool{false, true} {
		o := newOffice(t)
		o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB", "phone", "1"))
		o.pull("D-A", house)
		o.pull("D-B", house)
		a, b := o.write("D-A", "edit", house, false, "phone", "2"), o.write("D-B", "count", house, false, "phone", "3")
		if swap {
			a, b = b, a
		}
		o.take(a)
		if len(o.items()) != 0 || o.verdicts()[a.Dot.String()] != store.Applied {
			t.Fatalf("after one side: %+v, %v", o.items(), o.verdicts())
		}
		o.take(b)
		v := o.verdicts()
		if v["D-A/1/record/1"] != store.Conflict || v["D-B/1/record/1"] != store.Conflict || v["HUB/1/record/1"] != store.Applied {
			t.Errorf("verdicts %v", v)
		}
		items := o.items()
		if len(items) != 1 || items[0].State != store.Open || items[0].Field != "phone" || len(items[0].Entries) != 2 || items[0].Times != 1 {
			t.Fatalf("items %+v", items)
		}
		var e reconcile.Dispute
		if err := json.Unmarshal(items[0].Evidence, &e); err != nil || e.Base != "1" || !e.BaseKnown || len(e.Sides) != 2 || e.Sides[0].Actor != "U-D-A" {
			t.Errorf("evidence %s (%v)", items[0].Evidence, err)
		}
		// The device whose verdict changed is told.
		if got := o.feed("device:D-A"); !slices.Equal(got, []string{"verdict D-A/1/record/1"}) {
			t.Errorf("feed of the device: %v", got)
		}
		// An answer closes it; somebody who did not know of the answer opens it again.
		o.pull("D-C", house)
		late := o.write("D-B", "edit", house, true, "phone", "5")
		o.take(o.write("D-C", "edit", house, true, "phone", "4"))
		if it := o.items()[0]; it.State != store.Answered || it.Decision.String() != "D-C/1/record/1" {
			t.Errorf("after an answer: %+v", it)
		}
		o.take(late)
		if it := o.items()[0]; len(o.items()) != 1 || it.State != store.Open || it.Times != 2 {
			t.Errorf("after a late write: %+v", it)
		}
		if v := o.verdicts(); v["D-C/1/record/1"] != store.Conflict {
			t.Errorf("verdicts %v", v)
		}
	}
}

func TestParallelEditsAreMerged(t *testing.T) {
	o := newOffice(t)
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB", "phone", "1", "camp", "W1"))
	o.pull("D-A", house)
	o.pull("D-B", house)
	o.pull("D-C", house)
	a, b, c := o.write("D-A", "edit", house, false, "phone", "2"), o.write("D-B", "edit", house, false, "camp", "W2"), o.write("D-C", "visit", house, false, "camp", "W3")
	o.take(c, b)
	o.take(a)
	v := o.verdicts()
	if v["D-A/1/record/1"] != store.Merged || v["D-B/1/record/1"] != store.Merged {
		t.Errorf("verdicts %v", v)
	}
	if v["D-C/1/record/1"] != store.Applied || v["HUB/1/record/1"] != store.Applied {
		t.Errorf("what is no edit was concerned: %v", v)
	}
	// One who had both in view is not parallel to them.
	o.pull("D-D", house)
	o.take(o.write("D-D", "edit", house, false, "camp", "W4"))
	if v := o.verdicts(); v["D-D/1/record/1"] != store.Applied {
		t.Errorf("verdicts %v", v)
	}
	if len(o.items()) != 0 {
		t.Errorf("items %+v", o.items())
	}
}

func TestScopesFollow(t *testing.T) {
	o := newOffice(t)
	person := entry.Ref{Type: "person", ID: "P1"}
	// The person is known before the household: nobody is shown it yet.
	o.take(o.write(dot.Hub, "edit", person, false, "household", "H-NB-07", "name", "A"))
	if e, err := o.Entity(t.Context(), person); err != nil || len(e.Scopes) != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB"))
	if got := o.feed("gacha:NB"); !slices.Equal(got, []string{"entity household/H-NB-07", "entity person/P1"}) {
		t.Errorf("feed %v", got)
	}
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "CD"))
	if got := o.feed("gacha:NB"); !slices.Equal(got, []string{"gone household/H-NB-07", "gone person/P1"}) {
		t.Errorf("left feed %v", got)
	}
	if got := o.feed("gacha:CD"); !slices.Equal(got, []string{"entity household/H-NB-07", "entity person/P1"}) {
		t.Errorf("new feed %v", got)
	}
	// The states in the feed are the hub's, byte for byte.
	p, err := o.Feed(t.Context(), "gacha:CD", 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Rows {
		ref, _ := feed.RefOf(r.Key)
		if e, err := o.Entity(t.Context(), ref); err != nil || string(e.State) != string(r.Body) || e.Rev != r.Rev {
			t.Errorf("%s: %v", r.Key, err)
		}
	}
	// A device of another scope hears that its write was taken in.
	o.take(o.write("D-A", "visit", house, false, "camp", "W9"))
	if got := o.feed("device:D-A"); !slices.Equal(got, []string{"verdict D-A/1/record/1"}) {
		t.Errorf("feed of the device: %v", got)
	}
	// A value that cannot be part of a scope's name makes none.
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "all of it"))
	if e, err := o.Entity(t.Context(), person); err != nil || len(e.Scopes) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestDeletedAndEdited(t *testing.T) {
	o := newOffice(t)
	o.take(o.write(dot.Hub, "edit", house, false, "gacha", "NB", "phone", "1"))
	o.pull("D-A", house)
	o.pull("D-B", house)
	gone := o.write("D-A", "edit", house, false, merge.Deleted, true)
	o.take(gone)
	if got := o.feed("gacha:NB"); !slices.Equal(got, []string{"gone household/H-NB-07"}) {
		t.Errorf("feed %v", got)
	}
	o.take(o.write("D-B", "edit", house, false, "phone", "2"))
	if items := o.items(); len(items) != 1 || items[0].Field != merge.Deleted || len(items[0].Entries) != 2 {
		t.Fatalf("items %+v", items)
	}
	if v := o.verdicts(); v["D-A/1/record/1"] != store.Conflict || v["D-B/1/record/1"] != store.Conflict {
		t.Errorf("verdicts %v", v)
	}
	if got := o.feed("gacha:NB"); !slices.Equal(got, []string{"entity household/H-NB-07"}) {
		t.Errorf("feed %v", got)
	}
}

// What is set aside changes nothing, and is noted where it would have.
func TestSetAside(t *testing.T) {
	o := newOffice(t)
	e := o.write("D-A", "edit", house, false, "phone", "2")
	e.Judgement = store.Judgement{Verdict: store.Quarantined, Code: "form_newer"}
	e.Touches[0].Writes = nil
	o.take(e)
	if s := o.state(house); !s.IsEmpty() || !s.Seen.Covers(e.Dot) {
		t.Errorf("state %+v", s)
	}
}
