package sim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// What follows knows nothing of who had seen what, and so holds as well where devices have
// several folders.

// checkOrder merges all that the ledger has once more, in another order of arrival:
// chains overtake each other, each stays in its own. What is linked comes after the form
// that took effect: that is what linked means. The bytes must be the hub's.
func (w *world) checkOrder(ledger map[dot.Dot]hubstore.Entry, states map[entry.Ref]*merge.State) error {
	chains := make(map[dot.Chain][]hubstore.Entry)
	due := make(map[entry.Was]bool) // facts of which the form that counts is still to come
	for _, at := range slices.SortedFunc(maps.Keys(ledger), dot.Dot.Compare) {
		e := ledger[at]
		chains[at.Chain] = append(chains[at.Chain], e)
		if takesEffect(e.Judgement) {
			due[factOf(e)] = true
		}
	}
	order := slices.SortedFunc(maps.Keys(chains), dot.Chain.Compare)
	d := newDice(w.cfg.Seed, "another order")
	anew := merging{make(map[entry.Ref]*merge.State), law(w.cfg.Control)}
	if anew.apply == nil {
		anew.apply = (*merge.State).Apply
	}
	var linked []hubstore.Entry
	for len(order) > 0 {
		i := d.IntN(len(order))
		e := chains[order[i]][0]
		if chains[order[i]] = chains[order[i]][1:]; len(chains[order[i]]) == 0 {
			order = append(order[:i:i], order[i+1:]...)
		}
		if e.Judgement.Code == "linked" && due[factOf(e)] {
			linked = append(linked, e)
			continue
		}
		if takesEffect(e.Judgement) {
			delete(due, factOf(e))
		}
		if err := anew.arrives(e); err != nil {
			return err
		}
	}
	for _, e := range linked {
		if err := anew.arrives(e); err != nil {
			return err
		}
	}
	skip, err := ambiguous(ledger)
	if err != nil {
		return err
	}
	for ref, s := range states {
		if skip[ref] {
			continue
		}
		want := anew.states[ref]
		if want == nil {
			want = merge.New(ref)
		}
		if got, want := s.Encode(), want.Encode(); !bytes.Equal(got, want) {
			w.violate("I3: the hub's state of %s is not what its entries make in another order: %x and %x", ref, got, want)
		}
	}
	return nil
}

// ambiguous are the entities of which a value goes by a name that two facts have: two folders
// gave it out, one of them captured another fact under it, and states know of names alone.
// What becomes of them depends on which came first.
func ambiguous(ledger map[dot.Dot]hubstore.Entry) (map[entry.Ref]bool, error) {
	facts := make(map[dot.Dot]entry.Was) // by first name
	twice := make(map[dot.Dot]bool)
	for _, e := range ledger {
		f := factOf(e)
		if g, known := facts[f.Dot]; known && g != f {
			twice[f.Dot] = true
		}
		facts[f.Dot] = f
	}
	for at, e := range ledger { // a name that was first another fact's
		if f, known := facts[at]; known && f != factOf(e) {
			twice[at] = true
		}
	}
	out := make(map[entry.Ref]bool)
	for at, e := range ledger {
		if !twice[at] && !twice[factOf(e).Dot] {
			continue
		}
		touches, err := touchesOf(e, true)
		if err != nil {
			return nil, err
		}
		for _, t := range touches {
			out[t.Ref] = true
		}
	}
	return out, nil
}

// merging is what entries make of entities, by the hub's law: who broke that is for the
// oracle to find.
type merging struct {
	states map[entry.Ref]*merge.State
	apply  func(*merge.State, merge.Change)
}

// arrives takes one entry in.
func (m merging) arrives(e hubstore.Entry) error {
	j := e.Judgement
	switch {
	case j.Verdict == hubstore.Held || j.Code == string(form.FormNewer) || j.Code == string(form.FormUnknown):
		return nil // what waits for its form is not disposed of
	case j.Code == "chain_mismatch":
		return nil // it is of another history
	}
	aside := j.Verdict == hubstore.Quarantined
	touches, err := touchesOf(e, aside)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Dot, err)
	}
	for _, t := range touches {
		if !aside && len(t.Writes) == 0 {
			continue
		}
		s := m.states[t.Ref]
		if s == nil {
			s = merge.New(t.Ref)
			m.states[t.Ref] = s
		}
		if aside {
			s.Dispose(e.Dot)
			continue
		}
		t.Linked = j.Code == "linked"
		m.apply(s, t.Change)
	}
	return nil
}

// checkSums asks that each movement counts once, whatever names its fact has.
func (w *world) checkSums(ledger map[dot.Dot]hubstore.Entry, states map[entry.Ref]*merge.State) error {
	sums, counted := make(map[place]int64), make(map[entry.Was]bool)
	for _, e := range ledger {
		f := factOf(e)
		if e.Judgement.Verdict == hubstore.Quarantined || !takesEffect(e.Judgement) || counted[f] {
			continue
		}
		counted[f] = true
		touches, err := touchesOf(e, false)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Dot, err)
		}
		for _, t := range touches {
			for _, x := range t.Writes {
				if x.Op == entry.Move {
					sums[place{t.Ref, x.Register}] += x.Move
				}
			}
		}
	}
	for p, sum := range sums {
		var got int64
		if s := states[p.ref]; s != nil {
			got = s.Tally(p.register).Sum
		}
		if got != sum {
			w.violate("I2: %s of %s is %d, and the movements of all facts make %d", p.register, p.ref, got, sum)
		}
	}
	return nil
}

// touchesOf reads what an entry does. One that is set aside does nothing to those that it
// names, if they can be entities at all.
func touchesOf(e hubstore.Entry, aside bool) ([]merge.Touch, error) {
	pub, err := entry.DecodePublic(e.Raw.Public)
	if aside && (err != nil || pub.Dot != e.Dot) {
		return nil, nil // nobody knows what it is about
	}
	if err != nil {
		return nil, err
	}
	if aside {
		var out []merge.Touch
		for i, r := range pub.Refs {
			if slices.Contains(pub.Refs[:i], r) {
				return nil, nil
			}
			if nameable(r) {
				out = append(out, merge.Touch{Ref: r})
			}
		}
		return out, nil
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return nil, err
	}
	return merge.Changes(pub, priv)
}
