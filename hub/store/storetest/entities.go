package storetest

import (
	"encoding/json"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

var entityChecks = []check{
	{name: "an entity comes back as it was saved", run: entityRoundTrip},
	{name: "entities are listed by type and id", run: entitiesListed},
	{name: "an item is one for its kind, entity and field", run: itemsAreOne},
	{name: "items and their counts tell the scopes of what they are about", run: itemsTellScopes},
	{name: "a failed transaction leaves no entity and no item", run: entitiesAllOrNothing},
}

func save(t T, s store.Store, es ...store.Entity) {
	t.Helper()
	ok(t, "save entities", s.Ingest(t.Context(), func(tx store.Tx) error { return tx.SaveEntities(es) }))
}

func entityRoundTrip(t T, w *world) {
	parent := entry.Ref{Type: "household", ID: "H-NB-07"}
	person := store.Entity{
		Ref: entry.Ref{Type: "person", ID: "P007"}, Rev: 3, State: []byte("state\x00of"), Scopes: []string{"gacha:NB", "route:R1"},
		Parents: []entry.Ref{{Type: "admin", ID: "1"}, parent}, Disputed: []string{"needs/hay", "phone"},
	}
	bare := store.Entity{Ref: parent, Rev: 1, State: []byte{}}
	save(t, w.Store, person, bare)
	w.again(t)
	for _, want := range []store.Entity{person, bare} {
		got, err := w.Entity(t.Context(), want.Ref)
		ok(t, "read entity", err)
		same(t, "entity "+want.Ref.String(), got, want)
	}
	both, err := w.EntitiesNamed(t.Context(), []entry.Ref{bare.Ref, {Type: "person", ID: "nobody"}, person.Ref, bare.Ref})
	ok(t, "read both", err)
	same(t, "both", both, map[entry.Ref]store.Entity{person.Ref: person, bare.Ref: bare})
	person.Rev, person.State, person.Scopes, person.Disputed = 4, []byte("later"), nil, nil
	person.Parents = []entry.Ref{{Type: "team", ID: "T1"}}
	err = w.Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.SaveEntities([]store.Entity{person}); err != nil {
			return err
		}
		got, err := tx.Entities([]entry.Ref{person.Ref, {Type: "person", ID: "nobody"}})
		same(t, "within the transaction", got, []store.Entity{person})
		if err != nil {
			return err
		}
		for ref, want := range map[entry.Ref][]entry.Ref{parent: nil, {Type: "team", ID: "T1"}: {person.Ref}} {
			got, err := tx.Dependents(ref)
			if err != nil {
				return err
			}
			same(t, "dependents of "+ref.String(), got, want)
		}
		return nil
	})
	ok(t, "second round", err)
	if _, err := w.Entity(t.Context(), entry.Ref{Type: "person", ID: "nobody"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown entity: %v", err)
	}
}

func entitiesListed(t T, w *world) {
	var want []entry.Ref
	var all []store.Entity
	for i := range 1100 { // more than a page of any implementation
		ref := entry.Ref{Type: "herd", ID: string(rune('a'+i/100)) + string(rune('A'+i%100))}
		want, all = append(want, ref), append(all, store.Entity{Ref: ref, Rev: 1, State: []byte{1}})
	}
	save(t, w.Store, append(all, store.Entity{Ref: entry.Ref{Type: "person", ID: "P1"}, Rev: 1, State: []byte{1}})...)
	var got []entry.Ref
	for e, err := range w.EntitiesOf(t.Context(), "herd") {
		ok(t, "list", err)
		got = append(got, e.Ref)
	}
	same(t, "herds", got, want)
	named, err := w.EntitiesNamed(t.Context(), want)
	ok(t, "read by name", err)
	same(t, "read by name", len(named), len(want))
	for _, e := range all {
		same(t, "by name "+e.Ref.String(), named[e.Ref].State, e.State)
	}
	n := 0
	for range w.EntitiesOf(t.Context(), "") {
		if n++; n == 3 {
			break
		}
	}
	n = 0
	for range w.EntitiesOf(t.Context(), "") {
		n++
	}
	same(t, "all types", n, len(want)+1)
}

func putItem(t T, s store.Store, it store.Item) (id int64) {
	t.Helper()
	ok(t, "put item", s.Ingest(t.Context(), func(tx store.Tx) (err error) { id, err = tx.PutItem(it); return err }))
	return id
}

func itemsTellScopes(t T, w *world) {
	ref := entry.Ref{Type: "household", ID: "H-S"}
	save(t, w.Store, store.Entity{Ref: ref, Rev: 1, State: []byte{1}, Scopes: []string{"gacha:NB", "route:R1"}})
	for i, of := range []entry.Ref{ref, {Type: "household", ID: "H-none"}} {
		putItem(t, w.Store, store.Item{Kind: store.Flags, Entity: of, Field: "far", OpenedAt: noon + int64(i), State: store.Open, Times: 1})
	}
	items, err := w.Items(t.Context(), store.ItemQuery{State: store.Open, Kind: store.Flags})
	ok(t, "items", err)
	same(t, "how many", len(items), 2)
	same(t, "scopes", items[0].Scopes, []string{"gacha:NB", "route:R1"})
	same(t, "scopes of what is not there", len(items[1].Scopes), 0)
	kinds, err := w.OpenKinds(t.Context(), true)
	ok(t, "count", err)
	same(t, "kinds by scopes", kinds, []store.OpenKind{{Kind: store.Flags, N: 1, Oldest: noon + 1}, {Kind: store.Flags, Scopes: []string{"gacha:NB", "route:R1"}, N: 1, Oldest: noon}})
	kinds, err = w.OpenKinds(t.Context(), false)
	ok(t, "count", err)
	same(t, "kinds", kinds, []store.OpenKind{{Kind: store.Flags, N: 2, Oldest: noon}})
}

func itemsAreOne(t T, w *world) {
	it := store.Item{
		Kind: store.Conflicts, Entity: entry.Ref{Type: "household", ID: "H-1"}, Field: "phone", Entries: []dot.Dot{alertA.At(2), chainA.At(1)},
		Evidence: json.RawMessage(`{"base":1}`), OpenedAt: noon, State: store.Open, Times: 1,
	}
	it.ID = putItem(t, w.Store, it)
	other := it
	other.Field, other.OpenedAt, other.Entries = "count", noon-1, []dot.Dot{chainA.At(11)}
	other.ID = putItem(t, w.Store, other)
	if it.ID == other.ID {
		t.Fatalf("two items share the id %d", it.ID)
	}
	it.State, it.ClosedAt, it.Decision, it.DecidedBy, it.Reason, it.Owner, it.Times = store.Decided, noon+5, chainB.At(9), "U11", "seen", "U10", 2
	same(t, "its id", putItem(t, w.Store, it), it.ID)
	w.again(t)
	got, err := w.Item(t.Context(), it.ID)
	ok(t, "read item", err)
	same(t, "item", got, it)
	for q, want := range map[store.ItemQuery][]store.Item{
		{}:                    {other, it},
		{State: store.Open}:   {other},
		{Kind: "duplicate"}:   nil,
		{Entry: chainA.At(1)}: {it}, // and not 11
		{Kind: store.Conflicts, State: "decided"}:           {it},
		{Entity: it.Entity}:                                 {other, it},
		{Entity: it.Entity, State: store.Open, Limit: 1}:    {other},
		{Entity: entry.Ref{Type: it.Entity.Type, ID: "no"}}: nil,
		{Entry: chainA.At(1), State: store.Open}:            nil,
	} {
		got, err := w.Items(t.Context(), q)
		ok(t, "items", err)
		same(t, "items", got, want)
	}
	checkItemPlaces(t, w, other)
	err = w.Ingest(t.Context(), func(tx store.Tx) error {
		got, found, err := tx.ItemOf(it.Kind, it.Entity, it.Field)
		same(t, "in the transaction", got, it)
		if _, none, err := tx.ItemOf("duplicate", it.Entity, it.Field); none || err != nil || !found {
			t.Errorf("found %v, another kind %v, %v", found, none, err)
		}
		return err
	})
	ok(t, "read in a transaction", err)
	if _, err := w.Item(t.Context(), 99); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown item: %v", err)
	}
}

// checkItemPlaces goes on and back among open items of a kind.
func checkItemPlaces(t T, w *world, first store.Item) {
	t.Helper()
	all := []store.Item{first}
	for i, at := range []int64{5, 5, 9} {
		it := first
		it.Field, it.OpenedAt = fmt.Sprint("more ", i), noon+at
		it.ID = putItem(t, w.Store, it)
		all = append(all, it)
	}
	q := store.ItemQuery{State: store.Open, Kind: first.Kind, Limit: 1}
	for i, want := range all {
		got, err := w.Items(t.Context(), q)
		ok(t, "items", err)
		same(t, fmt.Sprint("item ", i), got, []store.Item{want})
		q.After = want.Place()
	}
	got, err := w.Items(t.Context(), q)
	ok(t, "items", err)
	same(t, "behind the last", len(got), 0)
	got, err = w.Items(t.Context(), store.ItemQuery{State: store.Open, Kind: first.Kind, Before: all[3].Place(), Limit: 2})
	ok(t, "items", err)
	same(t, "before the last", got, []store.Item{all[2], all[1]})
	for _, byScopes := range []bool{false, true} {
		kinds, err := w.OpenKinds(t.Context(), byScopes)
		ok(t, "count", err)
		same(t, "open ones", kinds, []store.OpenKind{{Kind: first.Kind, N: 4, Oldest: first.OpenedAt}})
	}
	all[1].Owner, all[3].Owner = "U10", "U10"
	for _, it := range all {
		putItem(t, w.Store, it)
	}
	mine := store.ItemQuery{State: store.Open, Kind: first.Kind, Owner: "U10", Limit: 1}
	for i, want := range [][]store.Item{{all[1]}, {all[3]}, nil} {
		got, err := w.Items(t.Context(), mine)
		ok(t, "items", err)
		same(t, fmt.Sprint("taken on ", i), got, want)
		if len(want) > 0 {
			mine.After = want[0].Place()
		}
	}
	got, err = w.Items(t.Context(), store.ItemQuery{Owner: "nobody else"})
	ok(t, "items", err)
	same(t, "of somebody else", len(got), 0)
	for i := range all[1:] { // as it was before
		all[i+1].State = store.Answered
		putItem(t, w.Store, all[i+1])
	}
}

func entitiesAllOrNothing(t T, w *world) {
	own := errors.New("no")
	err := w.Ingest(t.Context(), func(tx store.Tx) error {
		ref := entry.Ref{Type: "household", ID: "H-1"}
		if err := tx.SaveEntities([]store.Entity{{Ref: ref, Rev: 1, State: []byte{1}}}); err != nil {
			return err
		}
		if _, err := tx.PutItem(store.Item{Kind: "k", Entity: ref, State: store.Open}); err != nil {
			return err
		}
		return own
	})
	if !errors.Is(err, own) {
		t.Errorf("the error became %v", err)
	}
	if _, err := w.Entity(t.Context(), entry.Ref{Type: "household", ID: "H-1"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an entity stayed: %v", err)
	}
	items, err := w.Items(t.Context(), store.ItemQuery{})
	ok(t, "items", err)
	same(t, "items", len(items), 0)
	for name, e := range map[string]store.Entity{"no type": {}, "newline": {Ref: entry.Ref{Type: "a", ID: "b"}, Scopes: []string{"x\ny"}}} {
		if err := w.Ingest(t.Context(), func(tx store.Tx) error { return tx.SaveEntities([]store.Entity{e}) }); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
}
