package ingest

import (
	"cmp"
	"maps"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// applier puts one prepared frame into the ledger, inside a transaction.
type applier struct {
	ingest *Ingest
	tx     store.Tx
	p      *prepared
	round  Round
	room   *room // for what the transaction releases

	lane  store.Lane
	fresh []lane.Range  // runs of the frame that the hub does not have
	taken []store.Entry // those that take their effect

	forms []store.Form // older forms under the frame's dots whose facts are elsewhere now

	added, copies, forked int
	linked, rehomed       int
	unlinked              int // held entries that were released and do not link
	left                  int // entries that the hub did not take, since the chain has too many holes
}

func (a *applier) apply() (store.Lane, error) {
	var err error
	if a.lane, err = a.tx.Lane(a.p.header.Chain); err != nil {
		return store.Lane{}, err
	}
	if a.forms, err = a.tx.Forms(a.p.header.Chain, a.p.header.Run); err != nil {
		return store.Lane{}, err
	}
	if err := a.sift(); err != nil {
		return store.Lane{}, err
	}
	a.bound()
	before := a.lane.Received
	if len(a.fresh) > 0 {
		if err := a.insert(); err != nil {
			return store.Lane{}, err
		}
	}
	if err := a.gaps(before); err != nil {
		return store.Lane{}, err
	}
	if err := a.effects(); err != nil {
		return store.Lane{}, err
	}
	a.lane.Duplicates += uint64(a.copies)
	a.lane.ReceivedAt = a.p.at
	return a.lane, a.tx.SaveLane(a.lane)
}

// effects hands over what the entries that were taken do to entities.
func (a *applier) effects() error {
	slices.SortFunc(a.taken, func(x, y store.Entry) int { return x.Dot.Compare(y.Dot) })
	return a.round.Take(a.taken, a.p.scopes)
}

// sift tells the frame's entries apart: copies, forks, and what is new.
func (a *applier) sift() error {
	run, have := a.p.header.Run, a.lane.Received
	var forks []store.Fork
	if a.ingest.cfg.NoDedup {
		have = nil
	}
	a.fresh = missingWithin(have, run)
	if countOf(a.fresh) < run.Len() {
		hashes, err := a.tx.Hashes(a.lane.Chain, run)
		if err != nil {
			return err
		}
		for i := range a.p.entries {
			e := &a.p.entries[i]
			switch h, ok := hashes[e.Dot.Seq]; {
			case !ok:
			case h == e.Hash:
				a.copies++
			default:
				forks = append(forks, a.fork(e, "fork"))
			}
		}
	}
	// What follows a fork continues a chain that the hub does not have; what
	// comes before it is the chain that the hub has, and is taken in.
	cut := a.p.header.Run.Last + 1
	if len(forks) > 0 {
		cut = forks[0].Dot.Seq
	}
	if !a.links() {
		cut = a.p.header.Run.First
	}
	for i := range a.p.entries {
		if e := &a.p.entries[i]; e.Dot.Seq >= cut && contains(a.fresh, e.Dot.Seq) {
			forks = append(forks, a.fork(e, "chain_mismatch"))
		}
	}
	a.fresh = below(a.fresh, cut)
	for _, f := range forks {
		isNew, err := a.tx.AddFork(f)
		if err != nil {
			return err
		}
		if isNew && f.ResolvedAt == 0 {
			a.forked++
		}
	}
	return nil
}

// maxRuns bounds the runs in which a chain is received. An honest device sends what is
// missing from the lowest seq on, so it leaves a hole only where a frame was lost on the way.
const maxRuns = 1024

// bound leaves out what would make more holes in the chain than the hub keeps account of.
// It is neither inserted nor in a receipt, so the device sends it again: the lowest first,
// which fills the holes.
func (a *applier) bound() {
	received, taken := a.lane.Received, make([]lane.Range, 0, len(a.fresh))
	for _, r := range a.fresh {
		with := received.Add(r)
		if len(with) > maxRuns && len(with) > len(received) {
			a.left += int(r.Len()) //nolint:gosec // at most a frame's
			continue
		}
		received, taken = with, append(taken, r)
	}
	a.fresh = taken
}

func (a *applier) fork(e *store.Entry, code string) store.Fork {
	f := store.Fork{Dot: e.Dot, Hash: e.Hash, Raw: e.Raw, ReceivedAt: e.ReceivedAt, Via: e.Via, Code: code}
	if now := a.elsewhere(e); !now.IsZero() {
		f.ResolvedAt, f.Now = e.ReceivedAt, now
	}
	return f
}

// links reports whether the frame's own chain agrees with the verified head,
// as far as the two meet. Above a hole they do not meet yet.
func (a *applier) links() bool {
	through := a.lane.Received.Through()
	meets := func(at dot.Seq, head entry.Hash) bool {
		if a.p.header.Run.First > at+1 || a.p.header.Run.Last < at {
			return true
		}
		return a.headAt(at) == head
	}
	if at, head := a.reached(); at > through && !head.IsZero() && !meets(at, head) {
		return false
	}
	return meets(through, a.lane.Head)
}

// headAt is the frame's head after seq s, which lies in Run or just before it.
func (a *applier) headAt(s dot.Seq) entry.Hash {
	if s+1 == a.p.header.Run.First {
		return a.p.header.Before
	}
	return a.p.heads[s-a.p.header.Run.First]
}

// insert adds what is new. What continues the verified chain is applied, and
// with it whatever was held right above; the rest is held. What comes for a
// sealed seq is too late: it is kept and quarantined.
func (a *applier) insert() error {
	var late []lane.Range
	a.fresh, late = apart(a.fresh, a.lane.Sealed)
	received := a.lane.Received
	for _, r := range append(late, a.fresh...) {
		received = received.Add(r)
	}
	start, _ := a.reached()
	reached, head, err := a.advance(received)
	if err != nil {
		return err
	}
	rows := make([]store.Entry, 0, countOf(a.fresh)+countOf(late))
	for _, r := range a.fresh {
		for s := r.First; s <= r.Last; s++ {
			e := a.p.entries[s-a.p.header.Run.First]
			if lacksForm(e.Judgement) {
				e = a.again(e) // the form may have come since the frame was read
			}
			if s > reached {
				e.Judgement = store.Judgement{Verdict: store.Held}
			} else if err := a.link(&e); err != nil {
				return err
			}
			if e.Judgement.Verdict != store.Held && (len(e.Touches) > 0 || e.Noted != nil) {
				a.taken = append(a.taken, e)
			}
			rows = append(rows, e)
		}
		if r.First > reached {
			seg := store.Segment{Chain: a.lane.Chain, Run: r, Before: a.headAt(r.First - 1), After: a.headAt(r.Last)}
			if err := a.tx.AddSegment(seg); err != nil {
				return err
			}
		}
	}
	for _, r := range late {
		for s := r.First; s <= r.Last; s++ {
			e := a.p.entries[s-a.p.header.Run.First]
			tooLate(&e, e.Dot)
			// Whoever accepts it must not bring about what another form of it did.
			if err := a.link(&e); err != nil {
				return err
			}
			if len(e.Touches) > 0 {
				a.taken = append(a.taken, e) // its dot is disposed of
			}
			rows = append(rows, e)
		}
	}
	a.added = len(rows)
	if err := a.tx.Insert(rows); err != nil {
		return err
	}
	for i := range rows {
		if len(rows[i].Blobs) == 0 {
			continue
		}
		if err := a.tx.NameBlobs(rows[i].Dot, a.p.at, rows[i].Blobs); err != nil {
			return err
		}
	}
	before := a.lane.Received.Through()
	a.lane.Received = received
	if err := a.rejoin(before, start, reached, head); err != nil {
		return err
	}
	return a.judged(rows)
}

// judged tells of what was inserted, and settles what is a correction.
func (a *applier) judged(rows []store.Entry) error {
	told := make(map[dot.Seq]store.Judgement)
	for i := range rows {
		if rows[i].Judgement.Worth() {
			told[rows[i].Dot.Seq] = rows[i].Judgement
		}
	}
	if err := a.tell(told); err != nil {
		return err
	}
	return a.settleCorrected(rows)
}

// again judges an entry anew by the forms of this moment.
func (a *applier) again(was store.Entry) store.Entry {
	e := Describe(was.Dot, was.Raw, was.DeviceTime-was.CorrectedTime, a.ingest.cfg)
	e.ReceivedAt, e.Via = was.ReceivedAt, was.Via
	return e
}

// tell publishes first judgements to the device's own scope, where they are
// worth it.
func (a *applier) tell(by map[dot.Seq]store.Judgement) error {
	maps.DeleteFunc(by, func(_ dot.Seq, j store.Judgement) bool { return !j.Worth() })
	return store.TellAuthor(a.tx, a.p.at, a.lane.Chain, by)
}

// endOf is the last seq of the run of the set that s lies in.
func endOf(s lane.Set, at dot.Seq) dot.Seq {
	for _, r := range s {
		if r.Contains(at) {
			return r.Last
		}
	}
	return at
}

// apart tells the parts of runs that are not in the set from those that are.
func apart(rs []lane.Range, s lane.Set) (outside, inside []lane.Range) {
	if len(s) == 0 {
		return rs, nil
	}
	for _, r := range rs {
		outside = append(outside, missingWithin(s, r)...)
		inside = append(inside, within(s, r)...)
	}
	return outside, inside
}

// endOfFresh is the last seq of the new run that s lies in.
func (a *applier) endOfFresh(s dot.Seq) dot.Seq {
	for _, r := range a.fresh {
		if r.Contains(s) {
			return r.Last
		}
	}
	return s
}

// gaps opens and closes gaps by what changed.
func (a *applier) gaps(before lane.Set) error {
	is := a.lane.Received
	for _, r := range a.lane.Sealed {
		is = is.Add(r)
	}
	return a.setGaps(before.Gaps(), is.Missing(a.lane.Received.Highest()))
}

func (a *applier) setGaps(was, is []lane.Range) error {
	if len(was) == 0 && len(is) == 0 {
		return nil
	}
	open, err := a.tx.OpenGaps(a.lane.Chain)
	if err != nil {
		return err
	}
	stillOpen, closed := diffGaps(a.lane.Chain, open, is, a.p.at)
	return a.tx.SetGaps(a.lane.Chain, stillOpen, closed)
}

// diffGaps brings the open gaps, which come by seq, in line with what is missing now. A
// gap that fills in part is split: each part keeps the time at which it opened.
func diffGaps(c dot.Chain, open []store.Gap, missing lane.Set, at int64) (stillOpen, closed []store.Gap) {
	known := make(lane.Set, 0, len(open))
	for _, g := range open {
		known = append(known, g.Run)
		for _, r := range within(missing, g.Run) {
			stillOpen = append(stillOpen, store.Gap{Chain: c, Run: r, OpenedAt: g.OpenedAt})
		}
		for _, r := range missingWithin(missing, g.Run) {
			closed = append(closed, store.Gap{Chain: c, Run: r, OpenedAt: g.OpenedAt, ClosedAt: at})
		}
	}
	for _, m := range missing {
		for _, r := range missingWithin(known, m) {
			stillOpen = append(stillOpen, store.Gap{Chain: c, Run: r, OpenedAt: at})
		}
	}
	return stillOpen, closed
}

// missingWithin lists the parts of r that are not in s.
func missingWithin(s lane.Set, r lane.Range) []lane.Range {
	var out []lane.Range
	next := r.First
	for _, have := range within(s, r) {
		if have.First > next {
			out = append(out, lane.Run(next, have.First-1))
		}
		next = have.Last + 1
	}
	if next <= r.Last {
		out = append(out, lane.Run(next, r.Last))
	}
	return out
}

// within lists the parts of r that are in s, whose runs rise.
func within(s lane.Set, r lane.Range) []lane.Range {
	var out []lane.Range
	from, _ := slices.BinarySearchFunc(s, r.First, func(have lane.Range, at dot.Seq) int { return cmp.Compare(have.Last, at) })
	for _, have := range s[from:] {
		if have.First > r.Last {
			break
		}
		out = append(out, lane.Run(max(have.First, r.First), min(have.Last, r.Last)))
	}
	return out
}

// below lists the parts of rs that lie below seq s.
func below(rs []lane.Range, s dot.Seq) []lane.Range {
	if s == 0 {
		return nil
	}
	return within(rs, lane.Run(1, s-1))
}

// contains reports whether s lies in one of rs, which rise.
func contains(rs []lane.Range, s dot.Seq) bool { return lane.Set(rs).Contains(s) }

func countOf(rs []lane.Range) uint64 {
	var n uint64
	for _, r := range rs {
		n += r.Len()
	}
	return n
}
