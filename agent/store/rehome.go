package store

import (
	"context"
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/failpoint"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// End says that a chain goes on in another life: from Seq on the hub has
// another history of it.
type End struct {
	Seq  dot.Seq    // the last one that the hub has, or may get, under this name
	Head entry.Hash // there
	// Done are the later ones that have their new names, or that damage took.
	Done lane.Set
	Runs []Move
	// Shown is the hub's epoch in which it was compared that the hub has all up to Seq
	// as it is here. The hub's heads do not say so once its history is longer.
	Shown receipt.Epoch
}

// Move says where consecutive entries are now: those of Run, from To on.
type Move struct {
	Run lane.Range
	To  dot.Dot
}

// Pending lists what must get another name and has none yet.
func (e *End) Pending(last dot.Seq) []lane.Range {
	return e.Done.Add(lane.Run(1, e.Seq)).Missing(last)
}

// place says what became of the chain up to seq.
func (e *End) place(seq dot.Seq) entry.Place {
	p := entry.Place{Stayed: e.Seq}
	for _, m := range e.Runs {
		if m.Run.First > seq {
			continue
		}
		p.Covers = append(p.Covers, m.To.Chain.At(m.To.Seq+(min(seq, m.Run.Last)-m.Run.First)))
		if m.Run.Contains(seq) {
			p.Exact = m.To.Chain.At(m.To.Seq + (seq - m.Run.First))
		}
	}
	return p
}

// endRow is the row under 15.
type endRow struct {
	Seq  dot.Seq      `cbor:"1,keyasint"`
	Head entry.Hash   `cbor:"2,keyasint"`
	Done []lane.Range `cbor:"3,keyasint,omitempty"`
	Runs []moveRow    `cbor:"4,keyasint,omitempty"`

	Shown receipt.Epoch `cbor:"5,keyasint"`
}

type moveRow struct {
	_           struct{} `cbor:",toarray"`
	Run         lane.Range
	Device      dot.Device
	Incarnation dot.Incarnation
	Lane        dot.Lane
	Seq         dot.Seq
}

func (e *End) row() endRow {
	r := endRow{Seq: e.Seq, Head: e.Head, Done: e.Done, Shown: e.Shown}
	for _, m := range e.Runs {
		r.Runs = append(r.Runs, moveRow{Run: m.Run, Device: m.To.Device, Incarnation: m.To.Incarnation, Lane: m.To.Lane, Seq: m.To.Seq})
	}
	return r
}

func (r endRow) end() *End {
	e := &End{Seq: r.Seq, Head: r.Head, Done: lane.NewSet(r.Done...), Shown: r.Shown}
	for _, m := range r.Runs {
		c := dot.Chain{Device: m.Device, Incarnation: m.Incarnation, Lane: m.Lane}
		e.Runs = append(e.Runs, Move{Run: m.Run, To: c.At(m.Seq)})
	}
	return e
}

// Current is the life that new entries belong to.
func (s *Store) Current() dot.Incarnation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current
}

// Begin makes another life the current one. The caller has noted it durably
// where the next [Open] learns of it. What was handed over before still goes to
// the life before.
func (s *Store) Begin(ctx context.Context, i dot.Incarnation, o entry.Origin) error {
	var err error
	act := func() error { err = s.beginLife(i, o); return s.fatalOnly(err) }
	if sent := s.send(ctx, &request{act: act}); sent != nil {
		err = sent
	}
	if err != nil {
		return fmt.Errorf("begin life %d in store %s: %w", i, s.dir, err)
	}
	return nil
}

// fatalOnly lets an act's error through only if the store cannot go on.
func (s *Store) fatalOnly(err error) error {
	if s.Err() != nil {
		return err
	}
	return nil
}

// beginLife runs on the committer.
func (s *Store) beginLife(i dot.Incarnation, o entry.Origin) error {
	if i == s.current {
		return nil
	}
	if err := (dot.Chain{Device: s.o.Device, Incarnation: i, Lane: dot.Record}).Check(); err != nil {
		return err
	}
	for _, st := range s.Chains() {
		if st.Chain.Incarnation == i && st.Last > 0 {
			return fmt.Errorf("%s has entries already", st.Chain)
		}
	}
	tails, err := openTails(s.dir, i)
	if err != nil {
		return err
	}
	if err := s.tails.close(); err != nil {
		s.log.Warn("the tails of the life before are not synced", "err", err)
	}
	s.tails = tails
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.current
	s.current, s.origin = i, o
	for _, l := range dot.Lanes() {
		left := dot.Chain{Device: s.o.Device, Incarnation: before, Lane: l}
		if st := s.chains[left]; st != nil && st.blank() {
			delete(s.chains, left) // what has no entry by now never gets one
		}
		c := dot.Chain{Device: s.o.Device, Incarnation: i, Lane: l}
		if s.chains[c] == nil {
			s.chains[c] = &ChainState{Chain: c, Head: entry.Genesis(c), ReceivedHead: entry.Genesis(c)}
		}
	}
	return nil
}

// Hashes gives the own hashes of the entries of c within run, by seq; damaged
// ones are left out. It holds no more than one entry's bytes at a time.
func (s *Store) Hashes(c dot.Chain, run lane.Range, visit func(dot.Seq, entry.Hash)) error {
	st, ok := s.Chain(c)
	if !ok || run.First > st.Last {
		return nil
	}
	w := walk{s: s, st: st, visit: func(seq dot.Seq, e stored, _ entry.Hash) bool {
		visit(seq, e.raw.Hash())
		return true
	}}
	err := w.over(lane.Run(run.First, min(run.Last, st.Last)))
	s.note(w.findings()...)
	return err
}

// Rehome ends chain c at seq, up to which the hub's history is this one, and
// gives every later entry a new dot in the current life: the original facts and
// times, and was = its first form. It is crash-safe and idempotent; what was
// captured meanwhile stands behind. The lane of the current life must have no
// entries but those that Rehome put there, and must not be c itself unless c
// has nothing above seq. moved counts the entries that got a new dot by this call.
func (s *Store) Rehome(ctx context.Context, c dot.Chain, seq dot.Seq) (moved int, err error) {
	act := func() error { moved, err = s.rehome(c, seq); return s.fatalOnly(err) }
	if sent := s.send(ctx, &request{act: act}); sent != nil {
		err = sent
	}
	if err != nil {
		return moved, fmt.Errorf("re-home %s from %d on: %w", c, seq+1, err)
	}
	return moved, nil
}

func (s *Store) rehome(c dot.Chain, seq dot.Seq) (int, error) {
	st, ok := s.Chain(c)
	if !ok || seq > st.Last {
		return 0, fmt.Errorf("it has no seq %d: %w", seq, ErrNotFound)
	}
	if st.End != nil && seq >= st.End.Seq {
		return s.move(c)
	}
	if err := s.endAt(st, seq); err != nil {
		return 0, err
	}
	return s.move(c)
}

// endAt ends a chain at seq, in a commit of its own.
func (s *Store) endAt(st ChainState, seq dot.Seq) error {
	head, known := s.headAt(&st, seq)
	if !known {
		return damaged(st.Chain.String(), fmt.Sprintf("its head at %d is not known", seq), "run doctor")
	}
	end := End{Seq: seq, Head: head}
	if st.End != nil { // the hub was put back, and its history parts earlier now
		end.Done, end.Runs = st.End.Done, st.End.Runs
	}
	return s.saveEnd(st.Chain, &end, nil)
}

// Agree notes that in epoch e the hub has all of c up to its end as it is here: from
// now on receipts of that epoch count that reach beyond the end.
func (s *Store) Agree(ctx context.Context, c dot.Chain, e receipt.Epoch) error {
	act := func() error {
		st, ok := s.Chain(c)
		if !ok || st.End == nil || st.End.Shown == e {
			return nil
		}
		end := *st.End
		end.Shown = e
		return s.fatalOnly(s.saveEnd(c, &end, nil))
	}
	if err := s.send(ctx, &request{act: act}); err != nil {
		return fmt.Errorf("note that the hub has %s up to its end: %w", c, err)
	}
	return nil
}

// saveEnd commits a chain's end together with other rows, and shows it.
func (s *Store) saveEnd(c dot.Chain, end *End, rows []row) error {
	p := plan{s: s, rows: rows}
	if err := p.addRow(chainKey(kindEnd, c), end.row()); err != nil {
		return err
	}
	failpoint.At(failpoint.Moving)
	if err := s.write(p.rows); err != nil {
		return s.fail(err)
	}
	failpoint.At(failpoint.Moved)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := *s.chains[c]
	st.End = end
	st.cut()
	s.chains[c] = &st
	s.forget(c, CodeHeadMismatch, CodeReceiptAhead)
	return nil
}

// cut lets receipts count up to the chain's end.
func (c *ChainState) cut() {
	if c.End == nil {
		return
	}
	if c.Received = c.Received.Below(c.End.Seq); c.Received.Through() == c.End.Seq {
		c.ReceivedHead = c.End.Head
	}
	c.Archived = min(c.Archived, c.End.Seq)
}

// forget drops findings of a chain that are settled. The caller holds mu.
func (s *Store) forget(c dot.Chain, codes ...Code) {
	kept := s.findings[:0]
	for _, f := range s.findings {
		settled := false
		for _, code := range codes {
			settled = settled || f.Chain == c && f.Code == code
		}
		if !settled {
			kept = append(kept, f)
		}
	}
	s.findings = kept
}

// moveStep is how many entries get their new names in one commit.
const moveStep = 64

// move gives what lies above a chain's end its new names. It runs on the
// committer, or before there is one.
func (s *Store) move(c dot.Chain) (moved int, err error) {
	for {
		st, _ := s.Chain(c)
		if st.End == nil || len(st.End.Pending(st.Last)) == 0 {
			return moved, nil
		}
		if full, _ := s.checkSpace(); full != nil {
			return moved, full
		}
		n, err := s.moveSome(st, st.End.Pending(st.Last)[0])
		moved += n
		if err != nil {
			return moved, err
		}
	}
}

// moveSome moves the next entries, in one commit with how far it has got.
// Entries that damage took have no new names: they are lost either way.
func (s *Store) moveSome(st ChainState, due lane.Range) (int, error) {
	run, err := s.Read(st.Chain, due.First, int(min(moveStep, due.Len())), s.o.batchBytes()/2)
	if err != nil {
		return 0, err
	}
	end := *st.End
	if len(run.Entries) == 0 || run.First > due.First {
		upto := due.Last
		if len(run.Entries) > 0 {
			upto = min(upto, run.First-1)
		}
		end.Done = end.Done.Add(lane.Run(due.First, upto))
		return 0, s.saveEnd(st.Chain, &end, nil)
	}
	to := dot.Chain{Device: s.o.Device, Incarnation: s.current, Lane: st.Chain.Lane}
	target, ok := s.Chain(to)
	if !ok || to == st.Chain {
		return 0, errors.New("the current life is not another one")
	}
	p := plan{s: s, chains: map[dot.Chain]*ChainState{to: &target}, appended: map[dot.Chain]bool{to: true}}
	end.Runs = append([]Move(nil), end.Runs...)
	for i, raw := range run.Entries {
		seq := run.First + dot.Seq(i)
		now := to.At(target.Last + 1)
		end.add(seq, now)
		if err := p.rehome(st, &end, seq, raw, now, &target); err != nil {
			return 0, err
		}
	}
	end.Done = end.Done.Add(lane.Run(run.First, run.Last()))
	if err := p.finish(); err != nil {
		return 0, err
	}
	if err := s.saveEnd(st.Chain, &end, p.rows); err != nil {
		return 0, err
	}
	if err := s.tails.write(to, tail{target.Last, target.Head, target.LastHLC}); err != nil {
		s.log.Warn("the tail beside the database is behind", "chain", to, "err", err)
	}
	s.mu.Lock()
	target.Lost = s.chains[to].Lost
	s.chains[to] = &target
	s.mu.Unlock()
	return len(run.Entries), nil
}

// add notes that the entry at seq is at now.
func (e *End) add(seq dot.Seq, now dot.Dot) {
	if n := len(e.Runs); n > 0 {
		last := &e.Runs[n-1]
		if last.Run.Last+1 == seq && last.To.Chain == now.Chain && last.To.Seq+dot.Seq(last.Run.Len()) == now.Seq {
			last.Run.Last = seq
			return
		}
	}
	e.Runs = append(e.Runs, Move{Run: lane.Run(seq, seq), To: now})
}

// rehome plans one entry under its new dot.
func (p *plan) rehome(from ChainState, end *End, seq dot.Seq, raw entry.Raw, now dot.Dot, target *ChainState) error {
	old, err := p.s.stored(from.Chain, seq)
	if err != nil {
		return err
	}
	pub, err := entry.DecodePublic(raw.Public)
	if err != nil {
		return fmt.Errorf("read %s: %w", from.Chain.At(seq), err)
	}
	var origin *entry.Origin
	if now.Seq == 1 {
		origin = p.origin(now.Lane)
	}
	next := pub.Rehome(now, origin, raw.Hash(), p.places(from.Chain, end))
	public, err := next.Encode()
	if err == nil && len(public)+len(raw.Private) > next.MaxSize() {
		// Contexts that name two chains each do not fit: by the old names what it
		// replaces shows as a conflict, which an operator sees.
		public, err = pub.Rehome(now, origin, raw.Hash(), nowhere).Encode()
	}
	if err != nil {
		return err
	}
	e := stored{before: target.Head, savedAt: old.savedAt, raw: entry.Raw{Public: public, Private: raw.Private, PrivateHash: raw.PrivateHash}}
	key := entryKey(now.Chain, now.Seq)
	p.rows = append(p.rows, row{key, p.s.box.sealEntry(key, e)})
	target.Last, target.Head = now.Seq, e.after()
	if pub.HLC.Compare(target.LastHLC) > 0 {
		target.LastHLC = pub.HLC
	}
	return nil
}

func nowhere(dot.Dot) (entry.Place, bool) { return entry.Place{}, false }

// places says where the device's own entries are now, while c is being moved.
func (p *plan) places(c dot.Chain, end *End) entry.Places {
	return func(d dot.Dot) (entry.Place, bool) {
		if d.Chain == c {
			return end.place(d.Seq), true
		}
		st, ok := p.s.Chain(d.Chain)
		if !ok || st.End == nil {
			return entry.Place{}, false
		}
		return st.End.place(d.Seq), true
	}
}

// resumeMoves finishes what a crash interrupted, before anything is captured.
// What cannot be done yet is a finding, and is tried again at the next contact.
func (s *Store) resumeMoves() error {
	for _, st := range s.Chains() {
		if st.End == nil || s.o.ReadOnly {
			continue
		}
		pending := st.End.Pending(st.Last)
		if len(pending) == 0 {
			continue
		}
		if _, err := s.move(st.Chain); err != nil {
			if s.Err() != nil {
				return err
			}
			s.note(chainFinding(CodeNotRehomed, st.Chain, pending,
				"these entries must go on under other names: "+err.Error(), "they are safe here; free some space, then start the agent again"))
		}
	}
	return nil
}
