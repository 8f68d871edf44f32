package storetest

import (
	"errors"

	"otor/hub/store"
	"otor/internal/dot"
)

var absenceChecks = []check{
	{name: "absences are planned, and past ones fall away", run: checkAbsences},
}

func checkAbsences(t T, w *world) {
	for _, d := range []dot.Device{"D-101", "D-102"} {
		enrolled(t, w, d)
	}
	const hour = 3_600_000
	of := func(d dot.Device, from, until, planned int64) store.Absence {
		return store.Absence{Device: d, From: noon + from*hour, Until: noon + until*hour, Words: "over the pass · 过垭口", PlannedBy: "dorji", PlannedAt: noon + planned*hour}
	}
	plan := func(as ...store.Absence) error {
		return w.Ingest(t.Context(), func(tx store.Tx) error {
			for _, a := range as {
				if err := tx.Plan(a); err != nil {
					return err
				}
			}
			return nil
		})
	}
	planned := func(what string, want ...store.Absence) {
		t.Helper()
		got, err := w.Absences(t.Context())
		ok(t, "absences", err)
		same(t, what, got, want)
	}
	planned("of a new hub")
	if err := plan(of("D-404", 0, 1, 0)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a device that is not there: %v", err)
	}
	a, b, c := of("D-101", 1, 2, 0), of("D-101", 3, 4, 0), of("D-101", 5, 9, 0)
	other := of("D-102", 1, 2, 0)
	ok(t, "plan", plan(c, a, other, b))
	w.again(t)
	planned("by device and start", a, b, c, other)
	ok(t, "within a transaction", w.Ingest(t.Context(), func(tx store.Tx) error {
		got, err := tx.Absences("D-101")
		same(t, "of one device", got, []store.Absence{a, b, c})
		return err
	}))
	longer := of("D-101", 5, 10, 1)
	longer.Words = ""
	ok(t, "plan again", plan(longer))
	planned("one that starts as another takes its place", a, b, longer, other)
	later := of("D-101", 12, 13, 4)
	ok(t, "plan later", plan(later))
	planned("of those that ended the latest stays", b, longer, later, other)
	spoilt := errors.New("something else fails")
	err := w.Ingest(t.Context(), func(tx store.Tx) error { return errors.Join(tx.Unplan("D-101"), spoilt) })
	if !errors.Is(err, spoilt) {
		t.Errorf("a failed clearing: %v", err)
	}
	planned("after a failed clearing", b, longer, later, other)
	for range 2 {
		ok(t, "clear", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.Unplan("D-101") }))
	}
	planned("cleared", other)
}
