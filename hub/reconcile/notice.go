package reconcile

import (
	"encoding/json"
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/rules"
)

// Noticing is what packs say of what is to be noticed; a [Domain] may have it.
type Noticing interface {
	// RulesFor are those that look at records of a version of a form; nil for none.
	RulesFor(form string, version uint32) *rules.Set
	// Rules are those of the newest version; nil when it has none.
	Rules() *rules.Set
	// RuleWords is what people are told when a rule noticed something.
	RuleWords(rule, lang string) string
}

// Notice is the evidence of an item that a rule opened.
type Notice struct {
	Rule  string `json:"rule"`
	Words string `json:"words"`
	// Keeps is the entry that counts, of a duplicate or a twin; Key what both have.
	Keeps *dot.Dot `json:"keeps,omitempty"`
	Key   string   `json:"key,omitempty"`
	// Suspended is the entity on which a twin's movement is not counted.
	Suspended string `json:"suspended,omitempty"`
	// Choice is what an operator chose; empty: nothing yet.
	Choice string `json:"choice,omitempty"`
}

// wordsLang is the language of what is kept with verdicts; pages translate by the code.
const wordsLang = "en"

func (o *Round) noticing(e *store.Entry) (Noticing, *rules.Set) {
	n, ok := o.r.cfg.Domain.(Noticing)
	if !ok {
		return nil, nil
	}
	return n, n.RulesFor(e.Form, e.FormVersion)
}

// ruleOf is a key rule as the newest version has it, so that all who have a key
// are compared in one way, whichever version they are of.
func ruleOf(n Noticing, set *rules.Set, id string) rules.KeyRule {
	if r, ok := n.Rules().Rule(id); ok {
		return r
	}
	r, _ := set.Rule(id)
	return r
}

// notice looks at an applied entry by the pack's rules, before it takes effect. It
// returns the entities on which its movements are suspended.
func (o *Round) notice(e *store.Entry) (suspended map[entry.Ref]bool, err error) {
	n, set := o.noticing(e)
	if set == nil || e.Noted == nil {
		return nil, nil
	}
	read := &reader{o: o, asked: make(map[entry.Ref]bool)}
	marks, remarks, trouble := set.Notice(read, *e.Noted)
	if read.err != nil {
		return nil, read.err
	}
	if trouble != nil {
		o.r.cfg.Log.Warn("a rule of the pack could not be worked out; the others were", "entry", e.Dot.String(), "form", e.Form, "err", trouble)
	}
	for _, m := range remarks {
		if err := o.remark(n, e, m); err != nil {
			return nil, err
		}
	}
	if err := o.watch(n, e, read.asked); err != nil {
		return nil, err
	}
	for _, m := range marks {
		twin, err := o.mark(n, set, e, m)
		if err != nil {
			return nil, err
		}
		if rule := ruleOf(n, set, m.Rule); twin && rule.Suspends != "" {
			if suspended == nil {
				suspended = make(map[entry.Ref]bool)
			}
			suspended[entry.Ref{Type: rule.Suspends, ID: m.Entity}] = true
		}
	}
	return suspended, nil
}

// remark notes that something about an entry is remarkable.
func (o *Round) remark(n Noticing, e *store.Entry, m rules.Remark) error {
	j, kind := remarked(n, m)
	choice, err := o.ruled(kind, e, m.Rule, []dot.Dot{e.Dot})
	if err != nil || ends(choice) {
		return err
	}
	if err := o.because(e.Dot, j); err != nil {
		return err
	}
	return o.open(kind, e, m.Rule, []dot.Dot{e.Dot}, Notice{Rule: m.Rule, Words: j.Words})
}

// remarked is the judgement and the kind of item that a remark makes.
func remarked(n Noticing, m rules.Remark) (store.Judgement, string) {
	j := store.Judgement{Verdict: store.Flagged, Code: m.Rule, Words: n.RuleWords(m.Rule, wordsLang)}
	if m.Review {
		j.Verdict = store.Review
		return j, store.Reviews
	}
	return j, store.Flags
}

// withoutMoves is a change without its movements.
func withoutMoves(c merge.Change) merge.Change {
	c.Writes = slices.DeleteFunc(slices.Clone(c.Writes), func(w merge.Write) bool { return w.Op == entry.Move })
	return c
}

// mark notes what an entry counts for, and works out anew who repeats whom under
// that key: an earlier one that comes in late makes a later one the repetition.
// twin reports whether the entry is a twin.
func (o *Round) mark(n Noticing, set *rules.Set, e *store.Entry, m rules.Mark) (twin bool, err error) {
	if err := o.tx.PutMark(store.Mark{Rule: m.Rule, Key: m.Key, Dot: e.Dot, Time: e.CorrectedTime}); err != nil {
		return false, err
	}
	all, err := o.tx.Marks(m.Rule, m.Key)
	if err != nil {
		return false, err
	}
	rule := ruleOf(n, set, m.Rule)
	seen := make([]rules.Seen, len(all))
	for i, x := range all {
		seen[i] = rules.Seen{Dot: x.Dot, Time: x.Time, Arrived: x.Arrived}
	}
	of := rules.Fold(rule, seen)
	for _, x := range all {
		if now := of[x.Dot]; now != x.Of {
			x.Of = now
			if err := o.repeats(n, rule, x, m); err != nil {
				return false, err
			}
		}
	}
	_, repeats := of[e.Dot]
	return repeats && rule.Kind == rules.Twin, nil
}

// repeats writes down that an entry repeats another now, or does not any more.
func (o *Round) repeats(n Noticing, rule rules.KeyRule, x store.Mark, m rules.Mark) error {
	if err := o.tx.PutMark(x); err != nil {
		return err
	}
	e, ok, err := o.entry(x.Dot)
	if err != nil || !ok {
		return err
	}
	j := store.Judgement{Verdict: store.Duplicate, Code: rule.ID}
	kind := store.Duplicates
	if rule.Kind == rules.Twin {
		j.Verdict, kind = store.Flagged, store.Twins
	}
	if x.Of.IsZero() {
		if err := o.unless(x.Dot, j); err != nil {
			return err
		}
		return o.closed(kind, &e, rule.ID)
	}
	words := n.RuleWords(rule.ID, wordsLang)
	j.Words = fmt.Sprintf("%s: %s counts", words, x.Of)
	choice, err := o.ruled(kind, &e, rule.ID, []dot.Dot{x.Of, x.Dot})
	if err != nil || ends(choice) {
		return err
	}
	if err := o.because(x.Dot, j); err != nil {
		return err
	}
	ev := Notice{Rule: rule.ID, Words: words, Keeps: &x.Of, Key: x.Key}
	if rule.Suspends != "" && x.Dot != x.Of {
		ev.Suspended = rule.Suspends + "/" + m.Entity
	}
	return o.open(kind, &e, rule.ID, []dot.Dot{x.Of, x.Dot}, ev)
}

// noticeField tells the items of one entity and kind apart.
func noticeField(rule string, d dot.Dot) string { return rule + " " + d.String() }

// open opens an item about an entry, or brings it up to date.
func (o *Round) open(kind string, e *store.Entry, rule string, entries []dot.Dot, n Notice) error {
	ref := entry.Ref{Type: e.EntityType, ID: e.Entity}
	it, known, err := o.tx.ItemOf(kind, ref, noticeField(rule, e.Dot))
	if err != nil {
		return err
	}
	slices.SortFunc(entries, dot.Dot.Compare)
	evidence, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if known && it.State == store.Decided && slices.Equal(it.Entries, entries) {
		return nil // a person has seen it
	}
	if !known || it.State != store.Open {
		it = store.Item{ID: it.ID, Kind: kind, Entity: ref, Field: noticeField(rule, e.Dot), OpenedAt: o.at, Times: it.Times + 1}
	}
	it.State, it.Entries, it.Evidence = store.Open, entries, evidence
	_, err = o.tx.PutItem(it)
	return err
}

// closed closes an item that has lost its reason.
func (o *Round) closed(kind string, e *store.Entry, rule string) error {
	it, known, err := o.tx.ItemOf(kind, entry.Ref{Type: e.EntityType, ID: e.Entity}, noticeField(rule, e.Dot))
	if err != nil || !known || it.State != store.Open {
		return err
	}
	it.State, it.ClosedAt = store.Answered, o.at
	_, err = o.tx.PutItem(it)
	return err
}
