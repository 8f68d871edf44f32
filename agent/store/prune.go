package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/failpoint"
	"otor/internal/lane"
	"otor/internal/merge"
	"otor/internal/receipt"
)

// Pruning (law L8) removes entries that the hub has in a verified backup, once the
// device has known that for as long as it keeps such entries. What is proved by a
// chain stays provable: each removed run leaves the heads before and after it.
//
// Time is the hub's. The device's own clock may jump by years, so what is measured
// is the hub's time in the answer to a hello: when the device first heard that the
// archive had come so far, and now. Between contacts no time passes.

// cut is a run of entries that were pruned, with the heads around it.
type cut struct {
	Run           lane.Range
	Before, After entry.Hash
}

// mark says that the archive had reached Seq by At.
type mark struct {
	Seq dot.Seq
	At  int64 // the hub's clock, Unix ms
}

// pruning is what a chain knows of its own pruning.
type pruning struct {
	cuts  []cut  // rising, neither overlapping nor touching
	marks []mark // rising in both
	turn  int64  // the span of hub time in which all was looked through last, see grain
	owed  int64  // bytes of entries that went since Reclaim
}

// prunedRow is the row under 13.
type prunedRow struct {
	Cuts  []cutRow  `cbor:"1,keyasint,omitempty"`
	Marks []markRow `cbor:"2,keyasint,omitempty"`
	Turn  int64     `cbor:"3,keyasint,omitempty"`
	Owed  int64     `cbor:"4,keyasint,omitempty"`
}

type cutRow struct {
	_             struct{} `cbor:",toarray"`
	First, Last   dot.Seq
	Before, After entry.Hash
}

type markRow struct {
	_   struct{} `cbor:",toarray"`
	Seq dot.Seq
	At  int64
}

func (p pruning) row() prunedRow {
	r := prunedRow{Turn: p.turn, Owed: p.owed}
	for _, c := range p.cuts {
		r.Cuts = append(r.Cuts, cutRow{First: c.Run.First, Last: c.Run.Last, Before: c.Before, After: c.After})
	}
	for _, m := range p.marks {
		r.Marks = append(r.Marks, markRow{Seq: m.Seq, At: m.At})
	}
	return r
}

func (r prunedRow) apply(st *ChainState) {
	p := pruning{turn: r.Turn, owed: r.Owed}
	for _, c := range r.Cuts {
		run := lane.Run(c.First, c.Last)
		st.Pruned = st.Pruned.Add(run)
		p.cuts = append(p.cuts, cut{run, c.Before, c.After})
	}
	for _, m := range r.Marks {
		p.marks = append(p.marks, mark{m.Seq, m.At})
	}
	st.pruning = p
}

// readPruned brings what a chain's state says of pruning to the moment of a
// transaction. A row that is damaged or not there says nothing.
func (s *Store) readPruned(txn *badger.Txn, st *ChainState) {
	key := chainKey(kindPruned, st.Chain)
	item, err := txn.Get(key)
	if err != nil {
		return
	}
	var r prunedRow
	if err := item.Value(func(v []byte) error { return s.box.openRow(key, v, &r) }); err == nil {
		r.apply(st)
	}
}

// Bounds of the row: it stays far below valueThreshold. A chain with more runs
// keeps what lies between them.
const (
	maxCuts  = 512
	maxMarks = 64
)

// add puts an entry that goes into the cuts; ok is false when there are too many.
func (p *pruning) add(seq dot.Seq, before, after entry.Hash) (ok bool) {
	i, _ := slices.BinarySearchFunc(p.cuts, seq, func(c cut, q dot.Seq) int { return int(c.Run.First) - int(q) }) //nolint:gosec // seqs stay below 2^53
	joinsLeft := i > 0 && p.cuts[i-1].Run.Last+1 == seq
	joinsRight := i < len(p.cuts) && seq+1 == p.cuts[i].Run.First
	switch {
	case joinsLeft && joinsRight:
		p.cuts[i-1].Run.Last, p.cuts[i-1].After = p.cuts[i].Run.Last, p.cuts[i].After
		p.cuts = slices.Delete(p.cuts, i, i+1)
	case joinsLeft:
		p.cuts[i-1].Run.Last, p.cuts[i-1].After = seq, after
	case joinsRight:
		p.cuts[i].Run.First, p.cuts[i].Before = seq, before
	case len(p.cuts) >= maxCuts:
		return false
	default:
		p.cuts = slices.Insert(p.cuts, i, cut{lane.Run(seq, seq), before, after})
	}
	return true
}

// headAt is the head after seq where that is the edge of a cut.
func (p pruning) headAt(seq dot.Seq) (head entry.Hash, known bool) {
	for _, c := range p.cuts {
		if seq == c.Run.Last {
			return c.After, true
		}
		if seq == c.Run.First-1 {
			return c.Before, true
		}
	}
	return entry.Hash{}, false
}

// grain is the span of hub time within which a device does not look again: a
// contact that comes soon after another must cost nothing.
func grain(keep time.Duration) int64 {
	return min(max(keep/30, time.Millisecond), 24*time.Hour).Milliseconds()
}

// hear notes how far the archive has come by now, and returns the seq up to which
// entries have been archived for as long as they are kept.
func (p *pruning) hear(archived dot.Seq, now int64, keep time.Duration) (ripe dot.Seq) {
	var known []mark
	for _, m := range p.marks {
		// A hub that was put back promises less; a hub's clock that was ahead is right again.
		m.Seq, m.At = min(m.Seq, archived), min(m.At, now)
		if n := len(known); m.Seq > 0 && (n == 0 || known[n-1].Seq < m.Seq) {
			known = append(known, m)
		}
	}
	if n := len(known); archived > 0 && (n == 0 || known[n-1].Seq < archived) {
		if n > 0 && known[n-1].At/grain(keep) == now/grain(keep) || n == maxMarks {
			known = known[:n-1] // what it says of lower seqs counts from later on: they stay longer
		}
		known = append(known, mark{archived, now})
	}
	for len(known) > 0 && known[0].At+keep.Milliseconds() <= now {
		ripe = known[0].Seq
		if len(known) == 1 || known[1].At+keep.Milliseconds() > now {
			break // the highest ripe one stays: it says so next time
		}
		known = known[1:]
	}
	p.marks = known
	return ripe
}

// Pruned is what one step of [Store.Prune] did.
type Pruned struct {
	Entries int  // removed
	Kept    int  // looked at, and kept for a reason of their own
	More    bool // there is more to look at: call again
}

// pruneStep bounds how many entries one step looks at, and so one commit.
const pruneStep = 256

// Prune does one bounded step of law L8: of entries that have been archived for at
// least keep, it removes some in one commit. hub is the hub's time in the answer
// to a hello whose receipts are settled ([Store.Answer]); a caller that has none
// does not prune. With keep of 0 or less nothing is pruned.
//
// Chains that are named in but are left alone: while the hub contradicts a chain, what
// it promised of it is another history's, and what is here has to be compared.
//
// An entry stays, however old, while it is a chain's last one, names a photo that
// the hub does not have, was set aside by the hub so that its author may have to
// put it right, or writes something that is still shown over what the hub sent.
func (s *Store) Prune(ctx context.Context, hub time.Time, keep time.Duration, but ...dot.Chain) (Pruned, error) {
	var out Pruned
	if keep <= 0 || hub.UnixMilli() <= 0 {
		return out, nil
	}
	var err error
	act := func() error { out, err = s.prune(hub.UnixMilli(), keep, but); return s.fatalOnly(err) }
	if sent := s.send(ctx, &request{act: act}); sent != nil {
		err = sent
	}
	if err != nil {
		return out, fmt.Errorf("prune store %s: %w", s.dir, err)
	}
	return out, nil
}

// prune runs on the committer.
func (s *Store) prune(now int64, keep time.Duration, but []dot.Chain) (Pruned, error) {
	if _, choked := s.checkSpace(); choked != nil {
		return Pruned{}, choked
	}
	for _, st := range s.Chains() {
		if st.Archived == 0 && st.End == nil || s.pruneFrom[st.Chain] == 0 && st.pruning.turn == now/grain(keep) {
			continue
		}
		if slices.Contains(but, st.Chain) {
			continue // and it is looked through once the quarrel is over
		}
		out, done, err := s.pruneSome(st, now, keep)
		if err != nil || !done {
			out.More = err == nil
			return out, err
		}
	}
	return Pruned{}, nil
}

// pruneSome looks at the next entries of one chain; done says that none is left.
func (s *Store) pruneSome(st ChainState, now int64, keep time.Duration) (out Pruned, done bool, err error) {
	p := st.pruning
	p.cuts = slices.Clone(p.cuts)
	ripe := p.hear(min(st.Archived, st.Received.Through()), now, keep)
	due := s.prunable(st, ripe, s.pruneFrom[st.Chain])
	if len(due) == 0 {
		delete(s.pruneFrom, st.Chain)
		p.turn = now / grain(keep)
		return out, true, s.savePruned(st.Chain, p, nil)
	}
	var rows []row
	w := whether{s: s, epoch: st.Epoch, bases: make(map[entry.Ref]*merge.State)}
	for _, seq := range due {
		e, err := s.stored(st.Chain, seq)
		if err != nil {
			continue // damage is a finding of its own
		}
		goes, gone, err := w.goes(st.Chain.At(seq), e)
		if err != nil {
			return out, false, err
		}
		if !goes || !p.add(seq, e.before, e.after()) {
			out.Kept++
			continue
		}
		rows = append(rows, gone...)
		out.Entries++
		p.owed += int64(e.raw.Size())
	}
	if len(rows) > 0 {
		if err := s.savePruned(st.Chain, p, rows); err != nil {
			return Pruned{}, false, err
		}
	}
	s.pruneFrom[st.Chain] = due[len(due)-1] + 1
	return out, false, nil
}

// prunable lists the next entries that may go, by what is known of the chain.
func (s *Store) prunable(st ChainState, ripe, from dot.Seq) (out []dot.Seq) {
	absent := st.Absent()
	// An old form of a re-homed entry goes once its new form went.
	upto := min(ripe, st.Stays())
	if st.End != nil {
		upto = max(upto, st.Last)
	}
	upto = min(upto, st.Last-min(st.Last, 1)) // the last one stays: it proves where the chain ends
	for _, r := range absent.Missing(upto) {
		for seq := max(r.First, from); seq <= r.Last; seq++ {
			if seq > min(ripe, st.Stays()) && !s.newFormWent(st, seq) {
				continue
			}
			if out = append(out, seq); len(out) == pruneStep {
				return out
			}
		}
	}
	return out
}

func (s *Store) newFormWent(st ChainState, seq dot.Seq) bool {
	for st.End != nil && seq > st.End.Seq {
		now := st.End.place(seq).Exact
		next, ok := s.Chain(now.Chain)
		if now.IsZero() || !ok {
			return false
		}
		if next.Pruned.Contains(now.Seq) {
			return true
		}
		st, seq = next, now.Seq
	}
	return false
}

// savePruned commits what a chain knows of its pruning with the rows that go.
func (s *Store) savePruned(c dot.Chain, p pruning, rows []row) error {
	plan := plan{s: s, rows: rows}
	if err := plan.addRow(chainKey(kindPruned, c), p.row()); err != nil {
		return err
	}
	failpoint.At(failpoint.Planned)
	if err := s.write(plan.rows); err != nil {
		return s.fail(err)
	}
	failpoint.At(failpoint.Committed)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := *s.chains[c]
	st.pruning, st.Pruned = p, nil
	for _, x := range p.cuts {
		st.Pruned = append(st.Pruned, x.Run)
	}
	s.chains[c] = &st
	return nil
}

// whether decides if entries may go; it remembers the entities that it read.
type whether struct {
	s     *Store
	epoch receipt.Epoch
	bases map[entry.Ref]*merge.State // nil: not in the base
}

// goes reports whether an entry may go, and lists the rows that go with it.
func (w *whether) goes(d dot.Dot, e stored) (goes bool, rows []row, err error) {
	pub, err := entry.DecodePublic(e.raw.Public)
	if err != nil || !w.arrived(pub.Blobs) {
		return false, nil, nil //nolint:nilerr // damage is a finding of its own
	}
	// The hub judges the name that it knows; the rows of writes keep the first one.
	name, first := w.s.nameOf(d), d
	if pub.Was != nil {
		first = pub.Was.Dot
	}
	outcome, told, err := w.s.Outcome(name)
	if err != nil || told && outcome.Returned() {
		return false, nil, err
	}
	for _, ref := range pub.Refs {
		key, err := overlayKey(ref, first)
		if err != nil || !w.s.has(key) {
			continue
		}
		base, known := w.bases[ref]
		if !known {
			if base, err = w.base(ref); err != nil {
				return false, nil, err
			}
			w.bases[ref] = base
		}
		over, err := w.s.overlaid(OwnWrite{ref, name}, base)
		if err != nil || over {
			return false, nil, err
		}
		rows = append(rows, row{key: key})
	}
	return true, append(rows, row{key: entryKey(d.Chain, d.Seq)}), nil
}

// arrived reports whether the hub of this epoch has the files that an entry names.
func (w *whether) arrived(blobs []entry.Blob) bool {
	for _, b := range blobs {
		if ref, known := w.s.Blob(b.Hash); !known || ref.At.IsZero() || ref.At != w.epoch {
			return false
		}
	}
	return true
}

func (w *whether) base(ref entry.Ref) (*merge.State, error) {
	b, in, err := w.s.Base(ref)
	if err != nil || !in {
		return nil, err
	}
	st, err := merge.Decode(b.Body)
	if err != nil {
		return nil, nil //nolint:nilerr // it is fetched again; until then its writes stay
	}
	return st, nil
}

// overlaid reports whether an own write is still shown over the base row, nil: none.
func (s *Store) overlaid(w OwnWrite, base *merge.State) (bool, error) {
	switch {
	case base != nil && base.Seen.Covers(w.Dot), base == nil && s.left(w.Ref) && s.taken(w.Dot):
		return false, nil
	}
	_, shown, err := s.unsettled(w, base != nil)
	return shown, err
}

// has reports whether a row stands at key.
func (s *Store) has(key []byte) bool {
	return s.view(func(txn *badger.Txn) error { _, err := txn.Get(key); return err }) == nil
}

// Absent are the entries of 1..Last that are not here: pruned, or taken by damage.
func (c ChainState) Absent() lane.Set { return join(c.Pruned, c.Lost) }

// present leaves out of a run what was pruned.
func (c ChainState) present(r lane.Range) lane.Set {
	out := lane.NewSet(r)
	for _, p := range c.Pruned {
		if p.First > r.Last {
			break
		}
		if p.Last >= r.First {
			out = out.Without(p)
		}
	}
	return out
}

// Broken lists pruned entries that the hub does not have (any more): it was put
// back to a backup older than the archive that it had promised.
func (c ChainState) Broken() lane.Set {
	var out lane.Set
	if c.Epoch.IsZero() {
		return nil // its receipts were damaged: the next contact brings them again
	}
	for _, p := range c.Pruned {
		for seq := p.First; seq <= p.Last; {
			// Receipts and moves come in runs, and so does what is missing.
			next, broken := c.brokenFrom(seq, p.Last)
			if broken {
				out = out.Add(lane.Run(seq, next))
			}
			seq = next + 1
		}
	}
	return out
}

// brokenFrom says how far up to last the seqs from seq on fare alike, and how.
func (c ChainState) brokenFrom(seq, last dot.Seq) (upto dot.Seq, broken bool) {
	known := c.Received
	if seq > c.Stays() {
		known = nil
		for _, m := range c.End.Runs {
			known = known.Add(m.Run)
		}
	} else {
		last = min(last, c.Stays())
	}
	for _, r := range known {
		switch {
		case r.Contains(seq):
			return min(last, r.Last), false
		case r.First > seq:
			return min(last, r.First-1), true
		}
	}
	return last, true
}

func archiveBroken(c dot.Chain, seqs lane.Set) Finding {
	return chainFinding(CodeArchiveBroken, c, seqs,
		fmt.Sprintf("the hub had %d entries in a verified backup, they were removed here for that, and now it does not have them: it was put back to an older backup than it had promised to keep", seqs.Len()),
		"tell the hub's operator these numbers at once: a newer backup or the old disk has them")
}
