package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
)

var factChecks = []check{
	{name: "facts are a row without a hole", run: checkFacts},
	{name: "a fact and its effect are one", run: checkFactAndEffect},
	{name: "facts are found by kind, subject and who", run: checkFactQuery},
	{name: "an enrolment that was decided before", run: checkEnrolAgain},
	{name: "devices in doubt", run: checkDoubt},
	{name: "revoked keys are listed", run: checkRevoked},
}

func factOf(number uint64, kind, subject string) store.Fact {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", number, kind, subject))
	f := store.Fact{Number: number, Hash: h, At: noon + int64(number), By: "operator", Kind: kind, Subject: subject, Signed: h[:9]}
	copy(f.ID[:], h[16:])
	return f
}

func addFact(t T, w *world, f store.Fact) error {
	return w.Ingest(t.Context(), func(tx store.Tx) error { return tx.AddFact(f) })
}

func factsOf(t T, all iter.Seq2[store.Fact, error]) []store.Fact {
	t.Helper()
	out := []store.Fact{}
	for f, err := range all {
		ok(t, "facts", err)
		out = append(out, f)
	}
	return out
}

func checkFacts(t T, w *world) {
	last := func() (f store.Fact) {
		ok(t, "last fact", w.Ingest(t.Context(), func(tx store.Tx) (err error) { f, err = tx.LastFact(); return err }))
		return f
	}
	same(t, "the end of an empty ledger", last(), store.Fact{})
	one, two := factOf(1, "invited", "D-101"), factOf(2, "revoked", "D-101")
	ok(t, "first", addFact(t, w, one))
	for _, wrong := range []uint64{0, 1, 3} {
		if err := addFact(t, w, factOf(wrong, "x", "")); err == nil {
			t.Errorf("fact %d after fact 1 was taken", wrong)
		}
	}
	twin := factOf(2, "y", "")
	twin.ID = one.ID
	if err := addFact(t, w, twin); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same fact again: %v", err)
	}
	ok(t, "second", addFact(t, w, two))
	w.again(t)
	same(t, "last", last(), two)
	same(t, "facts", factsOf(t, w.Facts(t.Context(), store.FactQuery{})), []store.Fact{one, two})
}

func checkFactAndEffect(t T, w *world) {
	broken := errors.New("no journal")
	in := store.Invitation{Device: "D-101", Scopes: []string{"s"}, CodeHash: codeOf("a"), AddedAt: noon, ExpiresAt: noon + 500}
	act := func(end error) error {
		return w.Ingest(t.Context(), func(tx store.Tx) error {
			if err := tx.Invite(in, false); err != nil {
				return err
			}
			if err := tx.AddFact(factOf(1, "invited", "D-101")); err != nil {
				return err
			}
			return end
		})
	}
	if err := act(broken); !errors.Is(err, broken) {
		t.Errorf("an act that ends badly: %v", err)
	}
	ds, err := w.Devices(t.Context())
	ok(t, "devices", err)
	same(t, "devices after an act that was not done", len(ds), 0)
	same(t, "facts after it", len(factsOf(t, w.Facts(t.Context(), store.FactQuery{}))), 0)
	ok(t, "act", act(nil))
	var key store.Key
	ok(t, "redeem", w.Ingest(t.Context(), func(tx store.Tx) (err error) {
		key, err = tx.Redeem(store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf("a"), NatsKey: "UA", At: noon + 1})
		return err
	}))
	same(t, "incarnation", key.Incarnation, dot.Incarnation(1))
	// A refused effect spoils the whole, also when its error is dropped.
	err = w.Ingest(t.Context(), func(tx store.Tx) error {
		_ = tx.Invite(in, false)
		return tx.AddFact(factOf(2, "invited", "D-101"))
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("after a refused effect: %v", err)
	}
	same(t, "facts", len(factsOf(t, w.Facts(t.Context(), store.FactQuery{}))), 1)
}

func checkFactQuery(t T, w *world) {
	const n = 600 // more than a page
	var all []store.Fact
	ok(t, "facts", w.Ingest(t.Context(), func(tx store.Tx) error {
		for i := uint64(1); i <= n; i++ {
			f := factOf(i, []string{"a", "b"}[i%2], fmt.Sprint("D-", i%3))
			f.By = []string{"hub", "batu", "nara", "hub", "hub"}[i%5]
			all = append(all, f)
			if err := tx.AddFact(f); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, q := range []store.FactQuery{
		{},
		{Kind: "a"},
		{Subject: "D-1"},
		{Kind: "b", Subject: "D-2"},
		{After: 17},
		{Limit: 300},
		{Kind: "a", After: 400, Limit: 5},
		{Kind: "none"},
		{By: "batu"},
		{By: "hub", Kind: "a"},
		{By: "nara", Kind: "b", Subject: "D-0", Limit: 7},
		{By: "nobody"},
		{Before: 1},
		{Before: 90},
		{Before: n + 90},
		{After: 17, Before: 400, By: "hub"},
		{After: 400, Before: 17},
	} {
		want := []store.Fact{}
		for _, f := range all {
			if f.Number > q.After && (q.Before == 0 || f.Number < q.Before) && (q.Kind == "" || f.Kind == q.Kind) && (q.Subject == "" || f.Subject == q.Subject) && (q.By == "" || f.By == q.By) {
				want = append(want, f)
			}
		}
		cut := func() []store.Fact {
			if q.Limit > 0 {
				return want[:min(q.Limit, len(want))]
			}
			return want
		}
		same(t, fmt.Sprintf("%+v", q), factsOf(t, w.Facts(t.Context(), q)), cut())
		q.Newest = true
		slices.Reverse(want)
		same(t, fmt.Sprintf("%+v", q), factsOf(t, w.Facts(t.Context(), q)), cut())
	}
	seen := 0
	for range w.Facts(t.Context(), store.FactQuery{}) { // the caller may write meanwhile, and stop
		if seen++; seen == 1 {
			ok(t, "fact", addFact(t, w, factOf(n+1, "late", "")))
		}
	}
	same(t, "facts of a listing that began before", seen, n)
}

func checkEnrolAgain(t T, w *world) {
	in := store.Invitation{Device: "D-101", Scopes: []string{}, CodeHash: codeOf("a"), AddedAt: noon, ExpiresAt: noon + 500}
	ok(t, "invite", w.Invite(t.Context(), in, false))
	enrol := func(k store.Key) error {
		return w.Ingest(t.Context(), func(tx store.Tx) error { return tx.Enrol(k, in.CodeHash) })
	}
	k := store.Key{Device: "D-101", Incarnation: 3, SignKey: keyOf("a"), NatsKey: "UA", EnrolledAt: noon + 5}
	ok(t, "enrol", enrol(k))
	ok(t, "enrol once more", enrol(k))
	other := k
	other.SignKey = keyOf("b")
	if err := enrol(other); !errors.Is(err, store.ErrExists) {
		t.Errorf("another key under the same incarnation: %v", err)
	}
	if err := enrol(store.Key{Device: "D-404", Incarnation: 1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a device that was never invited: %v", err)
	}
	got, err := w.Key(t.Context(), "D-101", 3)
	ok(t, "key", err)
	same(t, "key", got, k)
	if _, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, At: noon + 6}); !errors.Is(err, store.ErrCodeUsed) {
		t.Errorf("the code afterwards: %v", err)
	}
	older := store.Key{Device: "D-101", Incarnation: 2, SignKey: keyOf("c"), NatsKey: "UC", EnrolledAt: noon + 7}
	ok(t, "an older life", enrol(older))
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "the latest incarnation", d.Incarnation, dot.Incarnation(3))
}

func checkDoubt(t T, w *world) {
	for _, d := range []dot.Device{"D-1", "D-2", "D-3", "D-4"} {
		in := store.Invitation{Device: d, Scopes: []string{}, CodeHash: codeOf(string(d)), AddedAt: noon, ExpiresAt: noon + 500}
		ok(t, "invite", w.Invite(t.Context(), in, false))
		if d != "D-4" { // invited, not enrolled
			_, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf(string(d)), NatsKey: "U" + string(d), At: noon + 1})
			ok(t, "redeem", err)
		}
	}
	_, err := w.Revoke(t.Context(), "D-3", noon+2)
	ok(t, "revoke", err)
	doubts := func(only dot.Device) []store.Doubt {
		ds, err := w.Doubts(t.Context(), only)
		ok(t, "doubts", err)
		return ds
	}
	same(t, "doubts of a whole hub", len(doubts("")), 0)
	n := 0
	ok(t, "doubt", w.Ingest(t.Context(), func(tx store.Tx) (err error) { n, err = tx.Doubt(noon+3, "restored"); return err }))
	same(t, "in doubt", n, 2)
	ok(t, "doubt again", w.Ingest(t.Context(), func(tx store.Tx) (err error) { _, err = tx.Doubt(noon+4, "once more"); return err }))
	w.again(t)
	same(t, "doubts", doubts(""), []store.Doubt{{Device: "D-1", Since: noon + 3, Why: "restored"}, {Device: "D-2", Since: noon + 3, Why: "restored"}})
	same(t, "one", doubts("D-2"), []store.Doubt{{Device: "D-2", Since: noon + 3, Why: "restored"}})
	same(t, "a revoked one", len(doubts("D-3")), 0)
	trust := func(d dot.Device) error {
		return w.Ingest(t.Context(), func(tx store.Tx) error { return tx.Trust(d) })
	}
	ok(t, "trust", trust("D-1"))
	for _, d := range []dot.Device{"D-1", "D-404"} {
		if err := trust(d); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("trust %s, which is not in doubt: %v", d, err)
		}
	}
	_, err = w.Revoke(t.Context(), "D-2", noon+5)
	ok(t, "revoke", err)
	same(t, "doubts after all", len(doubts("")), 0)
}

func checkRevoked(t T, w *world) {
	for _, d := range []dot.Device{"D-1", "D-2"} {
		in := store.Invitation{Device: d, Scopes: []string{}, CodeHash: codeOf(string(d)), AddedAt: noon, ExpiresAt: noon + 500}
		ok(t, "invite", w.Invite(t.Context(), in, false))
		_, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf(string(d)), NatsKey: "U" + string(d), At: noon + 1})
		ok(t, "redeem", err)
	}
	var keys []store.Key
	ok(t, "revoke", w.Ingest(t.Context(), func(tx store.Tx) (err error) { keys, err = tx.Revoke("D-2", noon+2); return err }))
	want := []store.Key{{Device: "D-2", Incarnation: 1, SignKey: keyOf("D-2"), NatsKey: "UD-2", EnrolledAt: noon + 1, RevokedAt: noon + 2}}
	same(t, "keys that were revoked", keys, want)
	w.again(t)
	got, err := w.Revoked(t.Context())
	ok(t, "revoked", err)
	same(t, "revoked keys", got, want)
}
