package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"otor/agent/life"
	"otor/agent/store"
	"otor/agent/uplink"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/failpoint"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// openBook reads which life the folder lives, once the store has it locked.
func (d *Device) openBook(lived []dot.Incarnation) (i dot.Incarnation, o entry.Origin, err error) {
	sense := d.cfg.Sense
	if sense == nil {
		sense = life.Sense
	}
	d.book, err = life.Open(d.cfg.Dir, life.Enrolment{Device: d.id.Device, Incarnation: d.id.Incarnation, Previous: d.id.Previous}, lived, d.cfg.Now, sense)
	if err != nil {
		return 0, o, err
	}
	now := d.book.Current()
	return now.Incarnation, now.Origin(), nil
}

// Lives keeps what a folder holds in step with the hub's history of it: it goes on in
// other lives, and under other names, where the two part (L3). It is safe for concurrent use.
type Lives struct {
	Store    *store.Store
	Book     *life.Book
	Device   dot.Device
	Enrolled dot.Incarnation // the life of the enrolment
	Outbox   *Outbox         // of Store
	Again    func()          // asks for another hello before anything more is sent
	Changed  func()          // is told that entries have other names now
	Log      *slog.Logger

	mu         sync.Mutex
	uplinkOnly bool // guarded by mu: the hub takes this folder for a copy of one that is live
}

// newLife goes on in a new life. next is the lowest number that it may have, when the
// hub has said so; 0: one above that of the current life.
func (l *Lives) newLife(ctx context.Context, reason entry.Reason, next dot.Incarnation) error {
	if next == 0 {
		next = l.Book.Current().Incarnation + 1
	}
	var lived []dot.Incarnation
	for _, c := range l.Store.Chains() {
		if c.Last > 0 || c.End != nil {
			lived = append(lived, c.Chain.Incarnation)
		}
	}
	begun, err := l.Book.Begin(reason, lived, next)
	if err != nil {
		return err
	}
	l.Log.Warn("this device goes on in a new life", "life", uint64(begun.Incarnation), "after", uint64(begun.Previous), "reason", life.Words(begun.Reason))
	failpoint.At(failpoint.Living)
	return l.Store.Begin(ctx, begun.Incarnation, begun.Origin())
}

// Renew goes on in a new life when damage left the current one without a proof of
// where its chains ended: a seq must not be given out twice. It reports whether it
// did. A capture calls it first, since somebody in the field has to be able to go
// on at once; that something may be missing stays a finding (docs/adr/0017).
func (d *Device) Renew(ctx context.Context) (renewed bool, err error) {
	if !d.store.EndUnknown() {
		return false, nil
	}
	d.renewing.Lock() // of many captures at once one begins it
	defer d.renewing.Unlock()
	if !d.store.EndUnknown() {
		return false, nil
	}
	return true, d.lives.newLife(ctx, entry.Damaged, 0)
}

// Hear takes the hub's word, in a welcome, on lives and on what it waits for no more.
// What is held under a number that is another life's gets other names; until then it
// is not sent.
func (l *Lives) Hear(w wire.Welcome) error {
	ctx := context.Background()
	only := false
	for _, a := range w.Lives {
		switch a.State {
		case wire.LifeTaken:
			if err := l.leave(ctx, a.Incarnation, a.Next); err != nil {
				return fmt.Errorf("leave life %d, which is another folder's: %w", a.Incarnation, err)
			}
		case wire.LifeUplinkOnly:
			only = only || a.Incarnation == l.Book.Current().Incarnation
		}
	}
	l.mu.Lock()
	l.uplinkOnly = only
	l.mu.Unlock()
	by := make(map[dot.Chain]lane.Set)
	for _, s := range w.Sealed {
		by[dot.Chain{Device: l.Device, Incarnation: s.Incarnation, Lane: s.Lane}] = lane.NewSet(s.Runs...)
	}
	return l.Store.SetSealed(ctx, by)
}

// leave gives all entries of a life other names, but for those up to the last one that
// was removed here: the hub has these in its archive, under the names that they have.
func (l *Lives) leave(ctx context.Context, i, next dot.Incarnation) error {
	if i == l.Enrolled {
		return l.disown(ctx, next)
	}
	if i == l.Store.Current() {
		if err := l.newLife(ctx, entry.Diverged, next); err != nil {
			return err
		}
		l.Again() // the hub has not heard of it, whether entries go there or not
	}
	for _, c := range l.Store.Chains() {
		if c.Chain.Incarnation == i && c.Last > 0 {
			if err := l.rehome(ctx, c.Chain, c.Pruned.Highest()); err != nil {
				return err
			}
		}
	}
	return nil
}

// disown goes on without a claim to the enrolment's life, which is known at the hub by
// another id: this folder's book was lost and begun anew, or the folder was copied
// before it had one. The number is this device's own all the same: what the hub has of
// it that is not here shows in receipts, and is compared then.
func (l *Lives) disown(ctx context.Context, next dot.Incarnation) error {
	if l.Store.Current() == l.Enrolled {
		if err := l.newLife(ctx, entry.Diverged, next); err != nil {
			return err
		}
	}
	if err := l.Book.Disown(l.Enrolled); err != nil {
		return err
	}
	l.Again() // the hub passed over what the hello said of that life
	return nil
}

// rehome ends a chain at seq; what lies above goes on in the current life, or in
// one more when that has entries of its own in the lane already.
func (l *Lives) rehome(ctx context.Context, c dot.Chain, seq dot.Seq) error {
	st, ok := l.Store.Chain(c)
	if !ok {
		return fmt.Errorf("%s is not here", c)
	}
	if st.End != nil && seq >= st.End.Seq && len(st.End.Pending(st.Last)) == 0 {
		return nil // done before
	}
	target, _ := l.Store.Chain(dot.Chain{Device: c.Device, Incarnation: l.Store.Current(), Lane: c.Lane})
	if c.Incarnation == l.Store.Current() || seq < st.Last && target.Last > 0 {
		if err := l.newLife(ctx, entry.Diverged, 0); err != nil {
			return err
		}
	}
	if _, ok := l.Store.Chain(c); !ok { // it never had an entry, and went with its life
		l.Again()
		return nil
	}
	n, err := l.Store.Rehome(ctx, c, seq)
	if n > 0 || err == nil {
		l.Log.Warn("the hub has another history of a chain", "chain", c.String(), "same_up_to", uint64(seq), "go_on_under_other_names", n)
	}
	l.Again() // the hub hears of it before anything more is sent
	l.Changed()
	return err
}

// Mend implements uplink's Mend: it finds the last agreed seq and re-homes every
// later entry (L3).
func (l *Lives) Mend(ctx context.Context, c dot.Chain, compare uplink.Compare) error {
	r, ok := l.Outbox.quarrel(c)
	if !ok {
		return nil
	}
	var st store.ChainState
	var parts dot.Seq
	var found bool
	err := errMoreAbsent
	for look := 0; errors.Is(err, errMoreAbsent) && look < mostLooks; look++ {
		var here bool
		if st, here = l.Store.Chain(c); !here {
			return nil
		}
		parts, found, err = l.parting(ctx, c, common(r, st.Stays(), st.Absent()), compare)
	}
	if err != nil {
		return err
	}
	agreed := st.Stays()
	// Above Stays another folder wrote more: then the head says nothing of what lies below.
	beyond := r.Through > agreed
	head, known := l.Store.HeadAt(c, r.Through)
	same := known && head == r.Head // all up to there, pruned or not
	if found {
		agreed = parts - 1
	} else if pruned := st.Pruned.Below(min(r.Set().Highest(), agreed)); len(pruned) > 0 && !beyond && !same {
		agreed = pruned[0].First - 1 // they part within what is not here to be compared
	} else if r.Set().Highest() <= agreed {
		return fmt.Errorf("%s: the heads differ, and every entry that is on both sides is the same", c)
	}
	if err := l.rehome(ctx, c, agreed); err != nil {
		return err
	}
	if r.Through >= agreed { // within an epoch the hub's history does not change
		if err := l.Store.Agree(ctx, c, r.Epoch); err != nil {
			return err
		}
	}
	l.Outbox.agree(c)
	return nil
}

// errMoreAbsent says that entries which were to be compared are not here any more: they
// were pruned meanwhile, or turned out to be damaged. A digest without them would differ
// from the hub's where the histories are the same.
var errMoreAbsent = errors.New("entries went while they were compared with the hub's")

// mostLooks bounds how often a comparison begins anew for that.
const mostLooks = 8

// common lists what both sides should hold: what the receipt covers up to last,
// without what is not here.
func common(r receipt.Receipt, last dot.Seq, absent lane.Set) []lane.Range {
	missing := lane.NewSet(r.Set().Missing(last)...)
	for _, x := range absent {
		missing = missing.Add(x)
	}
	return missing.Missing(last)
}

// parting finds the first seq of runs at which the hub holds another entry than
// the device, by comparing digests of ever smaller runs.
func (l *Lives) parting(ctx context.Context, c dot.Chain, runs []lane.Range, compare uplink.Compare) (seq dot.Seq, found bool, err error) {
	for {
		differing := false
		for part := range split(runs) {
			theirs, err := compare(ctx, part)
			if err != nil {
				return 0, false, err
			}
			var first lane.Range
			if first, differing, err = l.firstDiffering(c, part, theirs); err != nil {
				return 0, false, err
			}
			if differing {
				runs = []lane.Range{first}
				break
			}
		}
		switch {
		case !differing && found:
			return 0, false, fmt.Errorf("%s: the hub's answers do not agree with each other", c)
		case !differing:
			return 0, false, nil
		case runs[0].Len() == 1:
			return runs[0].First, true, nil
		}
		found = true
	}
}

func (l *Lives) firstDiffering(c dot.Chain, runs []lane.Range, theirs []entry.Hash) (lane.Range, bool, error) {
	for i, r := range runs {
		own, visited := wire.NewDigest(), uint64(0)
		err := l.Store.Hashes(c, r, func(seq dot.Seq, h entry.Hash) {
			own.Add(seq, h)
			visited++
		})
		if err == nil && visited < r.Len() {
			err = fmt.Errorf("%s %s: %w", c, r, errMoreAbsent)
		}
		if err != nil {
			return r, false, err
		}
		if own.Sum() != theirs[i] {
			return r, true, nil
		}
	}
	return lane.Range{}, false, nil
}

// pieces is how many runs one question names.
const pieces = 64

// split cuts runs into questions of at most pieces runs each; a question that
// has room for more cuts its runs smaller.
func split(runs []lane.Range) func(yield func([]lane.Range) bool) {
	return func(yield func([]lane.Range) bool) {
		var total uint64
		for _, r := range runs {
			total += r.Len()
		}
		size := dot.Seq(max(1, (total+pieces-1)/pieces)) //nolint:gosec // a part of a chain
		var part []lane.Range
		for _, r := range runs {
			for first := r.First; first <= r.Last; first += size {
				part = append(part, lane.Run(first, min(r.Last, first+size-1)))
				if len(part) == pieces {
					if !yield(part) {
						return
					}
					part = nil
				}
			}
		}
		if len(part) > 0 {
			yield(part)
		}
	}
}

// Ended says in a hello which chains end below what this folder once declared.
func (l *Lives) Ended() []wire.Ended {
	var out []wire.Ended
	for _, c := range l.Store.Chains() {
		if c.End != nil && c.End.Seq < c.Last {
			out = append(out, wire.Ended{Incarnation: c.Chain.Incarnation, Lane: c.Chain.Lane, Last: c.Last, Head: c.Head})
		}
	}
	return out[max(0, len(out)-wire.MaxLives):]
}

// lifeStatus says which life the folder lives and how that came.
func (d *Device) lifeStatus() web.Life {
	now := d.book.Current()
	l := web.Life{Incarnation: now.Incarnation, Since: now.Since.In(d.cfg.Zone), Why: life.Words(now.Reason)}
	for _, c := range d.store.Chains() {
		if c.End != nil {
			l.Rehomed += c.End.Done.Len()
		}
	}
	d.lives.mu.Lock()
	defer d.lives.mu.Unlock()
	l.UplinkOnly = d.lives.uplinkOnly
	return l
}
