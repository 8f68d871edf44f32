package storetest

import (
	"errors"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

var lifeChecks = []check{
	{name: "a number is one life's", run: checkClaims},
	{name: "of two live lives the later is the twin", run: checkTwins},
	{name: "what another history declared is taken back", run: checkEndDeclared},
	{name: "digests tell entries, places and holes", run: checkCompare},
	{name: "a fact is where its first form went", run: checkForms},
	{name: "a lane keeps what is sealed", run: checkSealedLane},
}

func lifeOf(i dot.Incarnation, id byte) store.Life {
	l := store.Life{Device: "D-101", Incarnation: i, Reason: entry.Moved, Previous: i - 1, Enrolled: 1, ClaimedAt: noon}
	if id != 0 {
		l.ID = make([]byte, wire.LifeIDSize)
		l.ID[0] = id
	}
	return l
}

func claim(t T, w *world, l store.Life, wantTaken bool) {
	t.Helper()
	_, taken, err := w.Claim(t.Context(), l)
	ok(t, "claim", err)
	if taken != wantTaken {
		t.Errorf("life %d with the id %x: taken %v, want %v", l.Incarnation, l.ID, taken, wantTaken)
	}
}

func checkClaims(t T, w *world) {
	if _, _, err := w.Claim(t.Context(), lifeOf(2, 1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a life of nobody: %v", err)
	}
	key := enrolled(t, w, "D-101")
	claim(t, w, lifeOf(2, 1), false)
	claim(t, w, lifeOf(2, 1), false)
	claim(t, w, lifeOf(2, 2), true)
	claim(t, w, lifeOf(2, 0), false) // its entries, of which nobody knows better
	claim(t, w, lifeOf(3, 0), false)
	claim(t, w, lifeOf(3, 5), false)
	claim(t, w, lifeOf(3, 6), true)
	far := lifeOf(4+store.MaxAhead+1, 7)
	claim(t, w, far, true)
	w.again(t)
	got, err := w.Lives(t.Context(), "D-101")
	ok(t, "lives", err)
	same(t, "lives", got, []store.Life{lifeOf(2, 1), lifeOf(3, 5)})
	k, err := w.Key(t.Context(), "D-101", 3)
	ok(t, "key of a life", err)
	if k.Incarnation != 3 || k.SignKey != key.SignKey || k.NatsKey != key.NatsKey {
		t.Errorf("key of a life: %+v", k)
	}
	if _, err := w.Key(t.Context(), "D-101", 4); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("key of no life: %v", err)
	}
	next, err := w.NextLife(t.Context(), "D-101")
	ok(t, "next life", err)
	same(t, "next life", next, dot.Incarnation(4))
	in := store.Invitation{Device: "D-101", CodeHash: codeOf("again"), AddedAt: noon, ExpiresAt: noon + 1000}
	ok(t, "invite again", w.Invite(t.Context(), in, true))
	again, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf("again"), NatsKey: "Uagain", At: noon})
	ok(t, "redeem again", err)
	same(t, "an enrolment steps over lives", again.Incarnation, dot.Incarnation(4))
	claim(t, w, lifeOf(4, 9), true) // an enrolment's number
	keys, err := w.Keys(t.Context(), "D-101")
	ok(t, "keys", err)
	if len(keys) != 2 || keys[0].Incarnation != 4 || keys[1].Incarnation != 1 {
		t.Errorf("keys: %+v", keys)
	}
}

func checkTwins(t T, w *world) {
	enrolled(t, w, "D-101")
	for i := dot.Incarnation(1); i <= 3; i++ {
		l := lifeOf(i, byte(i))
		claim(t, w, l, false)
	}
	speak := func(i dot.Incarnation, want ...dot.Incarnation) {
		t.Helper()
		twins, err := w.Speak(t.Context(), "D-101", i, noon+int64(i))
		ok(t, "speak", err)
		var got []dot.Incarnation
		for _, l := range twins {
			got = append(got, l.Incarnation)
		}
		same(t, "twins found", got, want)
	}
	speak(1)
	speak(2) // the same folder went on
	speak(1, 2)
	speak(1)
	speak(3)
	speak(2, 3)
	only := func(i dot.Incarnation, want bool) {
		t.Helper()
		got, err := w.UplinkOnly(t.Context(), "D-101", i)
		ok(t, "uplink only", err)
		if got != want {
			t.Errorf("life %d is uplink only: %v", i, got)
		}
	}
	only(1, false)
	only(2, true)
	ok(t, "confirm", w.Ingest(t.Context(), func(tx store.Tx) error { return tx.ConfirmLife("D-101", 2, noon+9) }))
	w.again(t)
	only(2, false)
	only(3, true)
	only(9, false)
}

func checkEndDeclared(t T, w *world) {
	enrolled(t, w, "D-101")
	add(t, w, entriesOf(chainA, lane.Run(1, 3))...)
	declare := store.Lane{Chain: chainA, Declared: 9, DeclaredHead: headOf("nine"), DeclaredAt: noon}
	ok(t, "contact", w.NoteContact(t.Context(), "D-101", store.Contact{At: noon}, []store.Lane{declare}))
	ok(t, "another head", w.EndDeclared(t.Context(), chainA, 9, headOf("other")))
	same(t, "another head changes nothing", laneOf(t, w, chainA).Declared, dot.Seq(9))
	ok(t, "end", w.EndDeclared(t.Context(), chainA, 9, headOf("nine")))
	same(t, "declared", laneOf(t, w, chainA).Declared, dot.Seq(3))
	ok(t, "of no chain", w.EndDeclared(t.Context(), chainB, 9, headOf("nine")))
}

func checkCompare(t T, w *world) {
	es := append(entriesOf(chainA, lane.Run(1, 3)), entriesOf(chainA, lane.Run(5, 6))...)
	add(t, w, es...)
	digest := func(es ...store.Entry) entry.Hash {
		d := wire.NewDigest()
		for _, e := range es {
			d.Add(e.Dot.Seq, e.Hash)
		}
		return d.Sum()
	}
	got, err := w.Compare(t.Context(), chainA, []lane.Range{lane.Run(1, 3), lane.Run(4, 4), lane.Run(5, dot.MaxSeq)})
	ok(t, "compare", err)
	same(t, "digests", got, []entry.Hash{digest(es[:3]...), digest(), digest(es[3:]...)})
	got, err = w.Compare(t.Context(), chainB, []lane.Range{lane.Run(1, 9)})
	ok(t, "compare an unknown chain", err)
	same(t, "digest of nothing", got, []entry.Hash{digest()})
}

func checkForms(t T, w *world) {
	now := dot.Chain{Device: "D-101", Incarnation: 2, Lane: dot.Record}
	add(t, w, entriesOf(now, lane.Run(1, 2))...)
	forked := rawOf(chainA.At(5), "the twin's")
	fork := store.Fork{Dot: chainA.At(5), Hash: forked.Hash(), Raw: forked, ReceivedAt: noon, Code: "fork"}
	form := store.Form{Was: entry.Was{Dot: fork.Dot, Hash: fork.Hash}, Now: now.At(1)}
	open := func(want int64) {
		t.Helper()
		n, err := w.OpenForks(t.Context(), "D-101")
		ok(t, "open forks", err)
		same(t, "open forks", n, want)
	}
	ok(t, "fork", w.Ingest(t.Context(), func(tx store.Tx) error { _, err := tx.AddFork(fork); return err }))
	open(1)
	ok(t, "form", w.Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.AddForm(form, noon+1); err != nil {
			return err
		}
		return tx.AddForm(store.Form{Was: form.Was, Now: now.At(2)}, noon+2) // known already
	}))
	open(0)
	w.again(t)
	ok(t, "forms", w.Ingest(t.Context(), func(tx store.Tx) error {
		for run, want := range map[lane.Range][]store.Form{lane.Run(1, 5): {form}, lane.Run(6, 9): nil} {
			got, err := tx.Forms(chainA, run)
			if err != nil {
				return err
			}
			same(t, "forms of "+run.String(), got, want)
		}
		return nil
	}))
	fork.ResolvedAt, fork.Now = noon+1, now.At(1)
	got, err := w.Forks(t.Context())
	ok(t, "forks", err)
	same(t, "forks", got, []store.Fork{fork})
	other := rawOf(chainA.At(6), "the twin's")
	resolved := store.Fork{Dot: chainA.At(6), Hash: other.Hash(), Raw: other, ReceivedAt: noon, Code: "fork", ResolvedAt: noon + 3, Now: now.At(2)}
	ok(t, "a fork that is resolved already", w.Ingest(t.Context(), func(tx store.Tx) error { _, err := tx.AddFork(resolved); return err }))
	open(0)
}

func checkSealedLane(t T, w *world) {
	add(t, w, entriesOf(chainA, lane.Run(5, 6))...)
	ok(t, "save", w.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(chainA)
		if err != nil {
			return err
		}
		l.Sealed, l.Joined, l.JoinedHead = lane.NewSet(lane.Run(1, 4)), 6, headOf("six")
		return tx.SaveLane(l)
	}))
	w.again(t)
	l := laneOf(t, w, chainA)
	same(t, "sealed", l.Sealed, lane.NewSet(lane.Run(1, 4)))
	if l.Joined != 6 || l.JoinedHead != headOf("six") {
		t.Errorf("joined %d, %s", l.Joined, l.JoinedHead)
	}
}
