package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
)

// sight is what somebody had in view who filled in a form.
type sight map[entry.Ref]*merge.State

// oracle knows who had seen what. It was told by those who looked at the screens,
// and knows nothing of contexts.
type oracle struct {
	saw map[dot.Dot]sight
	// away are those who wrote about what their device did not hold. They count as
	// knowing what the device itself wrote there before, in either lane, though it is not
	// displayed any more: a context names one's own entries up to the last one displayed.
	away map[dot.Dot]bool
	// own are the hub's entries, also those that a rollback lost for good: somebody
	// may have had them in view.
	own map[dot.Dot][]merge.Touch
	// lied are the places where a device wrote that says of anything that it saw it.
	lied map[place]bool
}

func newOracle() *oracle {
	return &oracle{saw: make(map[dot.Dot]sight), away: make(map[dot.Dot]bool), own: make(map[dot.Dot][]merge.Touch), lied: make(map[place]bool)}
}

// place is a register of an entity.
type place struct {
	ref      entry.Ref
	register string
}

func comparePlaces(a, b place) int {
	return cmp.Or(strings.Compare(a.ref.String(), b.ref.String()), strings.Compare(a.register, b.register))
}

// write is what one entry wrote into a place.
type write struct {
	merge.Write
	lost bool // the hub does not have it any more
}

// account is all that was ever written, as it came to stand in the ledger.
type account struct {
	o      *oracle
	writes map[place]map[dot.Dot]write
	below  map[place]map[dot.Dot]map[dot.Dot]bool // what a write replaced, at whatever remove
	ledger map[dot.Dot]hubstore.Entry
}

// tell reads what the ledger's entries write.
func (o *oracle) tell(ledger map[dot.Dot]hubstore.Entry) (*account, error) {
	a := &account{
		o: o, ledger: ledger, writes: make(map[place]map[dot.Dot]write), below: make(map[place]map[dot.Dot]map[dot.Dot]bool),
	}
	for d, touches := range o.own {
		if _, kept := ledger[d]; !kept {
			a.add(d, touches, true)
		}
	}
	for d, e := range ledger {
		if v := e.Judgement.Verdict; d.Device == hostileName || v == hubstore.Quarantined || v == hubstore.Held {
			continue // none is linked: no device has two folders here
		}
		pub, err := entry.DecodePublic(e.Raw.Public)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		priv, err := entry.DecodePrivate(e.Raw.Private)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		touches, err := merge.Changes(pub, priv)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		a.add(d, touches, false)
	}
	return a, nil
}

func (a *account) add(d dot.Dot, touches []merge.Touch, lost bool) {
	for _, t := range touches {
		for _, w := range t.Writes {
			p := place{t.Ref, w.Register}
			if a.writes[p] == nil {
				a.writes[p] = make(map[dot.Dot]write)
			}
			a.writes[p][d] = write{w, lost}
		}
	}
}

// replaced is all that the author of a write had replaced when writing it: what
// was in view there, and what that had replaced. What stands beside a conflict
// replaces nothing.
func (a *account) replaced(p place, d dot.Dot) map[dot.Dot]bool {
	if out, known := a.below[p][d]; known {
		return out
	}
	if a.below[p] == nil {
		a.below[p] = make(map[dot.Dot]map[dot.Dot]bool)
	}
	out := make(map[dot.Dot]bool)
	a.below[p][d] = out
	seen := a.o.saw[d][p.ref]
	if seen == nil || a.writes[p][d].Op == entry.Add {
		return out
	}
	for _, v := range seen.Values(p.register) {
		for _, x := range v.Dots {
			out[x] = true
			maps.Copy(out, a.replaced(p, x))
		}
	}
	for x := range a.writes[p] {
		if a.o.away[d] && x.Device == d.Device && x != d && seen.Seen.Covers(x) {
			out[x] = true
			maps.Copy(out, a.replaced(p, x))
		}
	}
	return out
}

// blind names the writes that took a value away without having had it in view, and
// what stood on the screens of those who made them.
func (a *account) blind(p place, gone dot.Dot) string {
	var out []string
	for _, x := range slices.SortedFunc(maps.Keys(a.writes[p]), dot.Dot.Compare) {
		if !a.writes[p][x].Context.Covers(gone) || a.replaced(p, x)[gone] {
			continue
		}
		var dots []dot.Dot
		seen := a.o.saw[x][p.ref]
		for _, v := range seen.Values(p.register) {
			dots = append(dots, v.Dots...)
		}
		out = append(out, fmt.Sprintf("%s by a page of %v, seen %v, its context %v", x, dots, seen.Seen, a.writes[p][x].Context))
	}
	return strings.Join(out, "; ")
}

// maximal lists the writes that nobody replaced, of those that the hub has.
func (a *account) maximal(p place) map[dot.Dot]write {
	out := maps.Clone(a.writes[p])
	maps.DeleteFunc(out, func(_ dot.Dot, w write) bool { return w.lost })
	for d, w := range a.writes[p] {
		if !w.lost {
			for x := range a.replaced(p, d) {
				delete(out, x)
			}
		}
	}
	return out
}

// checkEntities holds the hub's entities against who had seen what: no false and
// no missed conflict, one effect a dot, and everything where it belongs.
func (w *world) checkEntities(ctx context.Context, l *ledger, ledger map[dot.Dot]hubstore.Entry) error {
	rows := make(map[entry.Ref]hubstore.Entity)
	states := make(map[entry.Ref]*merge.State)
	for e, err := range l.EntitiesOf(ctx, "") {
		if err != nil {
			return err
		}
		rows[e.Ref] = e
		if states[e.Ref], err = merge.Decode(e.State); err != nil {
			return err
		}
	}
	err := errors.Join(w.checkOrder(ledger, states), w.checkSums(ledger, states))
	w.mu.Lock()
	split := len(w.split) > 0
	if !split {
		w.work.Whole++
	}
	w.mu.Unlock()
	if err != nil || split { // one name may stand for two facts on two screens until they are told apart
		return errors.Join(err, w.checkScopes(ctx, l, rows, states))
	}
	a, err := w.oracle.tell(ledger)
	if err != nil {
		return err
	}
	for p := range a.writes {
		if states[p.ref] == nil {
			states[p.ref] = merge.New(p.ref)
		}
	}
	for ref, s := range states {
		for _, name := range s.Registers() {
			if p := (place{ref, name}); a.writes[p] == nil && !w.oracle.lied[p] {
				w.violate("I2: %s of %s has a value that nobody wrote", name, ref)
			}
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(a.writes), comparePlaces) {
		if w.oracle.lied[p] {
			continue
		}
		writes := a.writes[p]
		w.checkPlace(a, p, writes, states[p.ref])
	}
	if err := w.checkItems(ctx, a, l, states); err != nil {
		return err
	}
	return w.checkScopes(ctx, l, rows, states)
}

// checkPlace holds what survives in one register against the writes that nobody replaced.
func (w *world) checkPlace(a *account, p place, writes map[dot.Dot]write, s *merge.State) {
	if t := w.domain.Type(p.ref.Type); t != nil {
		if _, rule, _ := t.Register(p.register); rule == merge.Count {
			var sum int64
			for _, x := range writes {
				if !x.lost {
					sum += x.Move
				}
			}
			if got := s.Tally(p.register).Sum; got != sum {
				w.violate("I2: %s of %s is %d, and the movements make %d", p.register, p.ref, got, sum)
			}
			return
		}
	}
	got, want := make(map[dot.Dot]bool), a.maximal(p)
	for _, v := range s.Values(p.register) {
		for _, d := range v.Dots {
			got[d] = true
			if _, ok := want[d]; !ok {
				w.violate("I3: %s of %s: the value of %s stands, though somebody replaced it who had it in view", p.register, p.ref, d)
			}
		}
	}
	for d := range want {
		if !got[d] {
			w.violate("I3: %s of %s: the value of %s is gone, though nobody who replaced it had it in view (%s)",
				p.register, p.ref, d, a.blind(p, d))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.work.Writes += len(writes)
}

// checkItems holds the open conflicts against the truth, and the verdicts of the
// entries that stand in them, or stood in one once.
func (w *world) checkItems(ctx context.Context, a *account, l *ledger, states map[entry.Ref]*merge.State) error {
	items, err := l.Items(ctx, hubstore.ItemQuery{State: hubstore.Open, Kind: hubstore.Conflicts})
	if err != nil {
		return err
	}
	open := make(map[place]hubstore.Item, len(items))
	for _, it := range items {
		open[place{it.Entity, it.Field}] = it
	}
	want := make(map[place]bool)
	for ref, s := range states {
		if s.View(w.domain.Type(ref.Type)).DeletionConflict {
			want[place{ref, merge.Deleted}] = true
		}
	}
	for p := range a.writes {
		_, rule, _ := w.domain.Type(p.ref.Type).Register(p.register)
		sides := a.maximal(p)
		if strings.Contains(p.register, "/") || rule != merge.Ask || agreed(sides) || w.oracle.lied[p] {
			continue
		}
		want[p] = true
		if entries := slices.SortedFunc(maps.Keys(sides), dot.Dot.Compare); !slices.Equal(entries, open[p].Entries) {
			w.violate("I3: %s of %s is in conflict between %v, and the item says %v", p.register, p.ref, entries, open[p].Entries)
		}
		for d := range sides {
			if v := a.ledger[d].Judgement.Verdict; v != hubstore.Conflict {
				w.violate("I3: %s stands in conflict in %s of %s and its verdict is %s", d, p.register, p.ref, v)
			}
		}
	}
	for p := range open {
		if !want[p] && !w.oracle.lied[p] {
			w.violate("I3: %s of %s is listed as in conflict, and is not", p.register, p.ref)
		}
	}
	for p := range want {
		if _, listed := open[p]; !listed {
			w.violate("I3: %s of %s is in conflict and not listed", p.register, p.ref)
		}
	}
	w.mu.Lock()
	w.work.Conflicts += len(want)
	w.mu.Unlock()
	for d, e := range a.ledger {
		if e.Judgement.Verdict == hubstore.Conflict && d.Device != hostileName && !a.disputed(d) {
			w.violate("I3: the verdict of %s is conflict, and everybody who wrote there had it in view, or was in its", d)
		}
	}
	return nil
}

// agreed reports whether values are the same.
func agreed(sides map[dot.Dot]write) bool {
	values := make(map[string]bool)
	for _, s := range sides {
		values[string(s.Raw)] = true
	}
	return len(values) < 2
}

// disputed reports whether an entry ever stood in conflict: in one of its
// registers somebody wrote another value, and neither had the other's in view. Of
// an entity that somebody deleted all entries may have.
func (a *account) disputed(d dot.Dot) bool {
	for p, writes := range a.writes {
		own, mine := writes[d]
		if !mine {
			continue
		}
		deleted := place{p.ref, merge.Deleted}
		if len(a.writes[deleted]) > 0 || a.o.lied[deleted] || a.o.lied[p] {
			return true
		}
		for x, w := range writes {
			if x != d && string(w.Raw) != string(own.Raw) && !a.replaced(p, d)[x] && !a.replaced(p, x)[d] {
				return true
			}
		}
	}
	return false
}

// checkScopes holds the feeds against the entities: each is where its household
// lives, as the hub has it, and nowhere else.
func (w *world) checkScopes(ctx context.Context, l *ledger, rows map[entry.Ref]hubstore.Entity, states map[entry.Ref]*merge.State) error {
	field := func(ref entry.Ref, name string) string {
		s := states[ref]
		if s == nil {
			return ""
		}
		v, _ := s.View(w.domain.Type(ref.Type)).Field(name)
		text, _ := v.(string)
		return text
	}
	want := make(map[string]map[string]hubstore.Entity) // by scope and key
	for ref, row := range rows {
		if len(w.domain.Lives(ref.Type)) == 0 || states[ref].View(w.domain.Type(ref.Type)).Deleted {
			continue
		}
		home := ref
		if ref.Type == "person" {
			home = entry.Ref{Type: "household", ID: field(ref, "household")}
		}
		scope := field(home, "area")
		if want[scope] == nil {
			want[scope] = make(map[string]hubstore.Entity)
		}
		want[scope][feed.EntityKey(ref)] = row
	}
	for _, scope := range append([]string{feed.Everybody}, scopes...) {
		p, err := l.Feed(ctx, scope, 0, 1<<30)
		if err != nil {
			return err
		}
		for _, r := range p.Rows {
			ref, ok := feed.RefOf(r.Key)
			if r.Kind != feed.Entity || !ok || ref.Type == madeUp {
				continue
			}
			e, here := want[scope][r.Key]
			large, err := w.tooLarge(ctx, l, e)
			if err != nil {
				return err
			}
			switch {
			case !here:
				w.violate("%s is in the feed of %s, where it does not belong", r.Key, scope)
			case large:
			case e.Rev != r.Rev || string(e.State) != string(r.Body):
				w.violate("%s is in the feed of %s as of revision %d and the hub has %d", r.Key, scope, r.Rev, e.Rev)
			}
			delete(want[scope], r.Key)
		}
		for key, e := range want[scope] {
			large, err := w.tooLarge(ctx, l, e)
			if err != nil {
				return err
			}
			if !large {
				w.violate("%s is not in the feed of %s", key, scope)
			}
		}
	}
	return nil
}

// overlay says which writes a device still shows over what the hub has; "" when there
// are none. Of an entity that the device does not hold nobody asks: where it left a
// scope before that was loaded anew, no mark says so (docs/reliability.md).
func (w *world) overlay(ctx context.Context, d *device) string {
	own, err := d.proc.store.Overlay(ctx)
	if err != nil {
		return err.Error()
	}
	if len(own) == 0 {
		return ""
	}
	large, err := w.unsent(ctx)
	if err != nil {
		return err.Error()
	}
	for _, o := range own {
		if large[o.Ref] {
			continue // no feed will say that the hub has it
		}
		shown, err := d.proc.store.Shown(o.Ref)
		if err != nil {
			return err.Error()
		}
		if shown.InBase {
			return fmt.Sprintf("%d writes over the base, one of them %s in %s", len(own), o.Dot, o.Ref)
		}
	}
	return ""
}
