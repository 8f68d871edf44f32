package store_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/receipt"
	"otor/internal/vv"
)

var second = dot.Chain{Device: "D-101", Incarnation: 2, Lane: dot.Record}

func diverged() entry.Origin { return entry.Origin{Reason: entry.Diverged, Previous: 1} }

// inSecond opens a store in its second life.
func inSecond() store.Options {
	o := options()
	o.Incarnation, o.Origin = 2, diverged()
	return o
}

// TestRehomeAfterEveryCrash stops re-homing after each of its commits. Whatever
// was captured before is there once under its new name, in its order, before
// anything that is captured afterwards.
func TestRehomeAfterEveryCrash(t *testing.T) {
	const n, agreed = 200, 7
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	saved := put(t, s, dot.Record, n)
	if err := s.Begin(t.Context(), 2, diverged()); err != nil {
		t.Fatal(err)
	}
	for commits := 1; commits <= 5; commits++ {
		t.Run(fmt.Sprint(commits), func(t *testing.T) {
			image := copyDir(t, dir)
			half, err := store.Open(image, inSecond())
			if err != nil {
				t.Fatal(err)
			}
			if err := store.RehomeSteps(t.Context(), half, chain, agreed, commits); err != nil {
				t.Fatal(err)
			}
			if st := state(t, half, chain); waitingOf(st)+waitingOf(state(t, half, second)) != n {
				t.Errorf("half way %d and %d entries are waiting", waitingOf(st), waitingOf(state(t, half, second)))
			}
			crashed := copyDir(t, image) // nothing is closed
			if err := half.Close(); err != nil {
				t.Fatal(err)
			}
			s := open(t, crashed, inSecond())
			checkMoved(t, s, saved, agreed)
			put(t, s, dot.Record, 1)
			if moved, err := s.Rehome(t.Context(), chain, agreed); err != nil || moved != 0 {
				t.Errorf("once more: %d moved, %v", moved, err)
			}
			if last := state(t, s, second).Last; last != n-agreed+1 {
				t.Errorf("the new chain has %d entries", last)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func waitingOf(st store.ChainState) (n uint64) {
	for _, r := range st.Waiting() {
		n += r.Len()
	}
	return n
}

func checkMoved(t *testing.T, s *store.Store, saved []store.Saved, agreed dot.Seq) {
	t.Helper()
	raws := wholeChain(t, s, second)
	if len(raws) != len(saved)-int(agreed) {
		t.Fatalf("%d entries in the new chain", len(raws))
	}
	old := wholeChain(t, s, chain)
	for i, raw := range raws {
		pub, err := entry.DecodePublic(raw.Public)
		if err != nil {
			t.Fatal(err)
		}
		from, before := old[int(agreed)+i], saved[int(agreed)+i]
		was, err := entry.DecodePublic(from.Public)
		if err != nil {
			t.Fatal(err)
		}
		if pub.Was == nil || *pub.Was != (entry.Was{Dot: before.Dot, Hash: before.Hash}) || !bytes.Equal(raw.Private, from.Private) ||
			pub.Wall != was.Wall || pub.HLC != was.HLC || pub.Actor != was.Actor {
			t.Fatalf("entry %s: %+v", pub.Dot, pub)
		}
		if (pub.Origin != nil) != (i == 0) {
			t.Fatalf("entry %s has the origin %+v", pub.Dot, pub.Origin)
		}
		if i == 0 && (pub.Origin.LastSeq != agreed || pub.Origin.LastHead != saved[agreed-1].Head) {
			t.Errorf("origin: %+v", pub.Origin)
		}
	}
	n := 0
	for it, err := range s.List(context.Background(), store.ListQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if it.Dot != saved[len(saved)-1-n].Dot {
			t.Fatalf("item %d of the list is %s", n, it.Dot)
		}
		if moved := it.Dot.Seq > agreed; moved != (it.Now == second.At(it.Dot.Seq-agreed)) {
			t.Fatalf("%s is now %s", it.Dot, it.Now)
		}
		n++
	}
	if n != len(saved) || len(s.Findings()) != 0 {
		t.Errorf("%d items, findings %v", n, s.Findings())
	}
}

// TestEndedChainTakesReceipts: what another history has above the end is no quarrel any more.
func TestEndedChainTakesReceipts(t *testing.T) {
	s := open(t, t.TempDir(), options())
	saved := put(t, s, dot.Record, 5)
	ahead := receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: chain, Through: 9, Head: entry.Hash{9}}
	if got := settle(t, s, ahead); got.Refused == nil || got.Refused.Code != store.CodeReceiptAhead {
		t.Fatalf("before: %+v", got)
	}
	if err := s.Begin(t.Context(), 2, diverged()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rehome(t.Context(), chain, 3); err != nil {
		t.Fatal(err)
	}
	if len(s.Findings()) != 0 {
		t.Errorf("findings: %v", s.Findings())
	}
	// A head beyond the end proves nothing about what lies below: another folder may
	// have filled a hole there.
	if got := settle(t, s, ahead); got.Refused == nil || got.Refused.Code != store.CodeHeadMismatch || got.Through != 0 {
		t.Errorf("ahead, and not compared: %+v", got)
	}
	if err := s.Agree(t.Context(), chain, ahead.Epoch); err != nil {
		t.Fatal(err)
	}
	if got := settle(t, s, ahead); got.Refused != nil || got.Through != 3 || got.Waiting != 0 {
		t.Errorf("ahead: %+v", got)
	}
	wrong := ahead
	wrong.Epoch, wrong.Through, wrong.Head = receipt.Epoch{2}, 2, entry.Hash{8}
	if got := settle(t, s, wrong); got.Refused == nil {
		t.Errorf("another history below the end: %+v", got)
	}
	// A hub that was put back parts earlier now.
	if err := s.Begin(t.Context(), 3, entry.Origin{Reason: entry.Diverged, Previous: 2}); err != nil {
		t.Fatal(err)
	}
	if moved, err := s.Rehome(t.Context(), chain, 1); err != nil || moved != 2 {
		t.Errorf("earlier: %d, %v", moved, err)
	}
	it, err := s.Get(saved[1].Dot)
	if err != nil || it.Now != (dot.Chain{Device: "D-101", Incarnation: 3, Lane: dot.Record}).At(1) {
		t.Errorf("%v, %v", it.Now, err)
	}
	if it, err := s.Get(saved[4].Dot); err != nil || it.Now != second.At(2) {
		t.Errorf("%v, %v", it.Now, err)
	}
	if st := state(t, s, chain); len(st.Waiting()) != 0 || st.Received.Through() != 1 {
		t.Errorf("waiting %v, received %v", st.Waiting(), st.Received)
	}
}

// TestContextsFollow: what a re-homed write had seen of the device's own moved
// entries is named by their new dots, no more and no less.
func TestContextsFollow(t *testing.T) {
	place := func(d dot.Dot) (entry.Place, bool) {
		if d.Chain != chain {
			return entry.Place{}, false
		}
		return entry.Place{Stayed: 3, Covers: []dot.Dot{second.At(d.Seq - 3)}, Exact: second.At(d.Seq - 3)}, true
	}
	other := dot.Chain{Device: "D-102", Incarnation: 1, Lane: dot.Record}
	corrects := chain.At(5)
	p := entry.Public{Contexts: []vv.Vector{{chain: 5, other: 8}, {chain: 2}, {}}, Corrects: &corrects}
	got := p.Rehome(second.At(4), nil, entry.Hash{1}, place)
	want := []vv.Vector{{chain: 3, second: 2, other: 8}, {chain: 2}, {}}
	for i := range want {
		if !got.Contexts[i].Equal(want[i]) {
			t.Errorf("context %d: %v, want %v", i, got.Contexts[i], want[i])
		}
	}
	if *got.Corrects != second.At(2) || p.Contexts[0][chain] != 5 {
		t.Errorf("corrects %v; the original %v", got.Corrects, p.Contexts[0])
	}
}

// TestBlankLives: a life in which nothing was captured leaves no chain behind, also
// when the hub wrote receipts of its lanes; who asks which life it is hears of the others.
func TestBlankLives(t *testing.T) {
	dir := t.TempDir()
	var told []dot.Incarnation
	inLife := func(i dot.Incarnation) *store.Store {
		t.Helper()
		o := options()
		o.Life = func(lived []dot.Incarnation) (dot.Incarnation, entry.Origin, error) {
			told = lived
			return i, entry.Origin{Reason: entry.Moved, Previous: 1}, nil
		}
		s, err := store.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := inLife(1)
	put(t, s, dot.Record, 1)
	if err := s.Close(); err != nil || len(told) != 0 {
		t.Fatal(told, err)
	}
	s = inLife(2)
	if got := settle(t, s, receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: second, Head: entry.Genesis(second)}); got.Refused != nil {
		t.Fatal(got)
	}
	if err := s.Begin(t.Context(), 3, diverged()); err != nil {
		t.Fatal(err)
	}
	lives := func(s *store.Store) (out []dot.Incarnation) {
		for _, c := range s.Chains() {
			out = append(out, c.Chain.Incarnation)
		}
		return slices.Compact(out)
	}
	want := []dot.Incarnation{1, 3}
	if got := lives(s); !slices.Equal(got, want) {
		t.Errorf("chains of %v, want %v", got, want)
	}
	put(t, s, dot.Alert, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = inLife(3)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got := lives(s); !slices.Equal(got, want) || !slices.Equal(told, want) {
		t.Errorf("after a start: chains of %v, told of %v, want %v", got, told, want)
	}
}

// The first entry of a lane that the life before did not use says where that one ended:
// before its first.
func TestOriginOfALaneThatWasNotUsed(t *testing.T) {
	s := open(t, t.TempDir(), options())
	put(t, s, dot.Record, 2)
	if err := s.Begin(t.Context(), 2, diverged()); err != nil {
		t.Fatal(err)
	}
	put(t, s, dot.Alert, 1)
	alerts := dot.Chain{Device: chain.Device, Incarnation: 2, Lane: dot.Alert}
	pub, err := entry.DecodePublic(wholeChain(t, s, alerts)[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	before := dot.Chain{Device: chain.Device, Incarnation: 1, Lane: dot.Alert}
	if want := (entry.Origin{Reason: entry.Diverged, Previous: 1, LastHead: entry.Genesis(before)}); pub.Origin == nil || *pub.Origin != want {
		t.Errorf("origin %+v, want %+v", pub.Origin, want)
	}
}

// Damage to the old copy of what went on under another name loses nothing.
func TestMissedOfARehomedChain(t *testing.T) {
	s := open(t, t.TempDir(), options())
	put(t, s, dot.Record, 5)
	if err := s.Begin(t.Context(), 2, diverged()); err != nil {
		t.Fatal(err)
	}
	if moved, err := s.Rehome(t.Context(), chain, 2); err != nil || moved != 3 {
		t.Fatal(moved, err)
	}
	for _, seq := range []dot.Seq{1, 4} {
		if err := store.DropEntry(s, chain.At(seq)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Fatal(err)
	}
	if st := state(t, s, chain); st.Missed().String() != "{1}" {
		t.Errorf("missed %v of %+v", st.Missed(), st.Lost)
	}
}
