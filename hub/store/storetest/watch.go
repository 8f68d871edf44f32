package storetest

import (
	"encoding/json"
	"errors"

	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/lane"
)

var watchChecks = []check{
	{name: "what stands open is counted", run: checkStanding},
	{name: "samples take each other's place, and are forgotten", run: checkSamples},
}

func checkStanding(t T, w *world) {
	ctx := t.Context()
	none, err := w.Standing(ctx)
	ok(t, "count nothing", err)
	if len(none.Aside) != 0 || len(none.Items) != 0 || none.Feeds != (store.Feeds{}) || none.Bytes <= 0 {
		t.Errorf("a new database: %+v", none)
	}
	es := entriesOf(chainA, lane.Run(1, 5))
	for i, code := range []string{"", "id_checksum", "form_newer", "id_checksum"} {
		es[i].Judgement = store.Judgement{Verdict: store.Quarantined, Code: code}
	}
	es[4].Judgement = store.Judgement{Verdict: store.Refused, Code: "rejected"}
	add(t, w, es...)
	item := func(kind, id string, at int64, state store.ItemState) store.Item {
		return store.Item{Kind: kind, Entity: entry.Ref{Type: "household", ID: id}, Field: "phone", Evidence: json.RawMessage("{}"), OpenedAt: at, State: state}
	}
	ok(t, "open items and publish", w.Ingest(ctx, func(tx store.Tx) error {
		var errs []error
		for _, it := range []store.Item{
			item(store.Conflicts, "H-1", noon+9, store.Open), item(store.Conflicts, "H-2", noon+4, store.Open),
			item(store.Conflicts, "H-3", noon, store.Decided), item(store.Flags, "H-1", noon+2, store.Open),
		} {
			_, err := tx.PutItem(it)
			errs = append(errs, err)
		}
		return errors.Join(append(errs, tx.Publish(noon, entityOf("gacha:a", "H-1", "1"), entityOf("gacha:a", "H-2", "2"), entityOf("gacha:b", "H-1", "3")))...)
	}))
	got, err := w.Standing(ctx)
	ok(t, "count", err)
	same(t, "set aside by code", got.Aside, map[string]int64{"": 1, "id_checksum": 2, "form_newer": 1})
	same(t, "open items by kind", got.Items, map[string]store.OpenItems{store.Conflicts: {Open: 2, Oldest: noon + 4}, store.Flags: {Open: 1, Oldest: noon + 2}})
	same(t, "feeds", got.Feeds, store.Feeds{Scopes: 2, Numbers: 3})
	if got.Bytes < none.Bytes {
		t.Errorf("the database takes %d bytes, it took %d when it was empty", got.Bytes, none.Bytes)
	}
}

func checkSamples(t T, w *world) {
	ctx := t.Context()
	const short, long = 300_000, 3_600_000
	one := store.Sample{At: noon, Waiting: 1, Missing: 2, Open: 3, Aside: 4, Devices: 5, Silent: 6, Contacts: 7, Entries: 8}
	two := store.Sample{At: noon + short, Waiting: 11, Contacts: 17, Entries: 18}
	ok(t, "the later one first", w.AddSample(ctx, short, two, 0))
	ok(t, "keep", w.AddSample(ctx, short, one, 0))
	ok(t, "of another step", w.AddSample(ctx, long, store.Sample{At: noon, Waiting: 99}, 0))
	got, err := w.Samples(ctx, short, noon)
	ok(t, "list", err)
	same(t, "samples", got, []store.Sample{one, two})
	again := store.Sample{At: noon, Waiting: 21, Missing: 22, Open: 23, Aside: 24, Devices: 25, Silent: 26, Contacts: 1, Entries: 2}
	ok(t, "the same moment again", w.AddSample(ctx, short, again, 0))
	again.Contacts, again.Entries = 8, 10
	w.again(t)
	got, err = w.Samples(ctx, short, 0)
	ok(t, "list after opening again", err)
	same(t, "counts are added, the rest is replaced", got, []store.Sample{again, two})
	three := store.Sample{At: noon + 2*short}
	ok(t, "forget", w.AddSample(ctx, short, three, two.At))
	got, err = w.Samples(ctx, short, 0)
	ok(t, "list", err)
	same(t, "the older one is forgotten", got, []store.Sample{two, three})
	got, err = w.Samples(ctx, long, 0)
	ok(t, "list of the other step", err)
	same(t, "the other step is as it was", got, []store.Sample{{At: noon, Waiting: 99}})
	got, err = w.Samples(ctx, short, three.At)
	ok(t, "list from a moment on", err)
	same(t, "from a moment on", got, []store.Sample{three})
}
