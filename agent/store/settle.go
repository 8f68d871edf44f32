package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// receiptRow is the row under 12.
type receiptRow struct {
	Epoch    receipt.Epoch `cbor:"1,keyasint"`
	Through  dot.Seq       `cbor:"2,keyasint"`
	Head     entry.Hash    `cbor:"3,keyasint"`
	Extra    []lane.Range  `cbor:"4,keyasint,omitempty"`
	Archived dot.Seq       `cbor:"5,keyasint,omitempty"`
	Sealed   []lane.Range  `cbor:"6,keyasint,omitempty"`
	Signed   []byte        `cbor:"7,keyasint,omitempty"`
}

func receiptRowOf(st *ChainState) receiptRow {
	return receiptRow{
		Epoch: st.Epoch, Through: st.Received.Through(), Head: st.ReceivedHead,
		Extra: st.Received.Extra(), Archived: st.Archived, Sealed: st.Sealed, Signed: st.Signed,
	}
}

func (r receiptRow) apply(st *ChainState) {
	st.Epoch, st.ReceivedHead, st.Archived = r.Epoch, r.Head, r.Archived
	st.Received = receipt.Receipt{Through: r.Through, Extra: r.Extra}.Set()
	st.Sealed, st.Signed = lane.NewSet(r.Sealed...), r.Signed
}

// maxRanges bounds the ranges above the watermark that are kept. Beyond it the
// highest are forgotten: those entries are sent again, and nothing is lost.
const maxRanges = 1024

// Settlement is what one receipt did.
type Settlement struct {
	Chain    dot.Chain
	Newly    uint64  // entries that were waiting and are not any more
	Waiting  uint64  // entries of the chain that still are
	Through  dot.Seq // the watermark now
	Archived dot.Seq
	// Refused says why the receipt changed nothing. nil: it was taken.
	Refused *Finding
}

// Settle takes the hub's receipts, whose signatures and epoch the caller has
// checked, in one commit. Receipts of one epoch add up, in whatever order they
// come; a receipt of another epoch replaces what was known, so that entries a
// restored hub lacks are waiting again. A receipt that contradicts the chain
// is refused with a finding and changes nothing. The answers are in the order
// of the receipts.
func (s *Store) Settle(ctx context.Context, rs []receipt.Receipt) ([]Settlement, error) {
	return s.settle(ctx, rs, false)
}

// Answer takes the receipts of a hello's answer, all of epoch e, whose
// certificate the caller has accepted. Since they were written after all that
// the device knew, they say more than [Store.Settle]'s: ranges above the
// watermark that they no longer name are due again, and so is every chain that
// goes by another epoch and that they do not speak of.
func (s *Store) Answer(ctx context.Context, e receipt.Epoch, rs []receipt.Receipt) ([]Settlement, error) {
	out, err := s.settle(ctx, rs, true)
	if err != nil || !s.elsewhere(e) {
		return out, err
	}
	var quarrels []dot.Chain
	for i, o := range out {
		if o.Refused != nil {
			quarrels = append(quarrels, rs[i].Chain)
		}
	}
	if err := s.send(ctx, &request{enter: e, quarrels: quarrels}); err != nil {
		return out, fmt.Errorf("enter epoch %s: %w", e, err)
	}
	return out, nil
}

// elsewhere reports whether a chain has receipts of another epoch than e.
func (s *Store) elsewhere(e receipt.Epoch) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, st := range s.chains {
		if !st.Epoch.IsZero() && st.Epoch != e {
			return true
		}
	}
	return false
}

// enter plans that chains with receipts of another epoch forget them. Those of which
// the hub's receipts were refused go by none until both sides have compared: that
// they lack in the new epoch what was removed here is not known.
func (p *plan) enter(e receipt.Epoch, quarrels []dot.Chain) {
	p.s.mu.RLock()
	var stale []dot.Chain
	for c, st := range p.s.chains {
		if !st.Epoch.IsZero() && st.Epoch != e {
			stale = append(stale, c)
		}
	}
	p.s.mu.RUnlock()
	for _, c := range stale {
		st := p.state(c)
		if st.Epoch == e {
			continue // settled in this very commit
		}
		now := e
		if slices.Contains(quarrels, c) {
			now = receipt.Epoch{}
		}
		receiptRow{Epoch: now, Head: entry.Genesis(c), Sealed: st.Sealed}.apply(st)
		p.chains[c], p.settled[c] = st, true
	}
}

func (s *Store) settle(ctx context.Context, rs []receipt.Receipt, answer bool) ([]Settlement, error) {
	const most = 64 // receipts of one commit
	var out []Settlement
	for len(rs) > 0 {
		n := min(len(rs), most)
		r := &request{receipts: rs[:n], answer: answer}
		if err := s.send(ctx, r); err != nil {
			return out, fmt.Errorf("settle receipts: %w", err)
		}
		out, rs = append(out, r.settled...), rs[n:]
	}
	var refused []Finding
	for _, o := range out {
		if o.Refused != nil {
			refused = append(refused, *o.Refused)
		}
	}
	s.note(refused...)
	return out, nil
}

// SetSealed notes what the hub waits for no more, of all chains, in one commit.
// What of it is not here any more is then no longer waiting; what is here is
// sent all the same.
func (s *Store) SetSealed(ctx context.Context, by map[dot.Chain]lane.Set) error {
	act := func() error { return s.setSealed(by) }
	if err := s.send(ctx, &request{act: act}); err != nil {
		return fmt.Errorf("note what the hub has given up: %w", err)
	}
	return nil
}

// setSealed runs on the committer.
func (s *Store) setSealed(by map[dot.Chain]lane.Set) error {
	p := plan{s: s}
	changed := make(map[dot.Chain]*ChainState)
	for _, st := range s.Chains() {
		sealed := by[st.Chain].Below(st.Last)
		if slices.Equal(st.Sealed, sealed) {
			continue
		}
		st.Sealed = sealed
		changed[st.Chain] = &st
		if err := p.addRow(chainKey(kindReceipt, st.Chain), receiptRowOf(&st)); err != nil {
			return err
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := s.write(p.rows); err != nil {
		return s.fail(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, st := range changed {
		st.Lost = s.chains[c].Lost // readers may have noticed more meanwhile
		s.chains[c] = st
	}
	return nil
}

// settle plans receipts.
func (p *plan) settle(rs []receipt.Receipt, answer bool) []Settlement {
	out := make([]Settlement, len(rs))
	for i, r := range rs {
		st := p.state(r.Chain)
		r = clipped(r, st)
		out[i] = Settlement{Chain: r.Chain}
		if st == nil && r.Chain.Device == p.s.o.Device && r.Chain.Incarnation != p.s.current {
			continue // another life of this device, in another folder: the hub speaks of all
		}
		if st == nil {
			f := chainFinding(CodeUnknownChain, r.Chain, nil, "the hub sent a receipt for a chain that this device never had",
				"tell the hub's operator: two devices may share a name")
			out[i].Refused = &f
			continue
		}
		before := waiting(st)
		if f := p.refuse(r, st); f != nil {
			out[i].Refused = f
		} else if p.take(r, st, answer) {
			p.chains[r.Chain], p.settled[r.Chain] = st, true
			out[i].Newly = before - min(before, waiting(st))
		}
		out[i].Waiting, out[i].Through, out[i].Archived = waiting(st), st.Received.Through(), st.Archived
	}
	return out
}

func waiting(st *ChainState) uint64 {
	var n uint64
	for _, r := range st.Waiting() {
		n += r.Len()
	}
	return n
}

// clipped is a receipt cut to what a chain keeps under its own name. What the hub has
// above that is another history's, and its head there proves nothing about what lies
// below: such a receipt counts once that was compared.
func clipped(r receipt.Receipt, st *ChainState) receipt.Receipt {
	if st == nil || st.End == nil || r.Through > st.End.Seq && st.End.Seq > 0 && st.End.Shown != r.Epoch {
		return r
	}
	end := st.End.Seq
	if r.Through > end {
		r.Through, r.Head, r.Extra = end, st.End.Head, nil
	}
	var extra []lane.Range
	for _, x := range r.Extra {
		if x.Last = min(x.Last, end); x.Valid() {
			extra = append(extra, x)
		}
	}
	r.Extra, r.Archived = extra, min(r.Archived, r.Through)
	return r
}

// refuse finds what is wrong with a receipt, against the chain as it is here.
func (p *plan) refuse(r receipt.Receipt, st *ChainState) *Finding {
	highest := r.Through
	for _, x := range r.Extra {
		if !x.Valid() || x.First <= highest+1 {
			f := chainFinding(CodeReceiptBroken, r.Chain, nil, fmt.Sprintf("a receipt's range %s is out of order", x),
				"tell the hub's operator")
			return &f
		}
		highest = x.Last
	}
	if st.End != nil && r.Through > st.End.Seq { // not clipped
		f := chainFinding(CodeHeadMismatch, r.Chain, []lane.Range{lane.Run(max(st.End.Seq, 1), max(st.End.Seq, 1))},
			fmt.Sprintf("the hub has another history than this device after seq %d, and it was not compared yet whether it is the same up to there", st.End.Seq),
			"the next contact compares them")
		return &f
	}
	if highest > st.Last {
		f := chainFinding(CodeReceiptAhead, r.Chain, []lane.Range{lane.Run(st.Last+1, highest)},
			fmt.Sprintf("the hub has received up to %d and this device knows of %d", highest, st.Last),
			"this folder is an older copy of itself, or another device writes under the same name: run doctor")
		return &f
	}
	if head, known := p.s.headAt(st, r.Through); known && head != r.Head {
		f := chainFinding(CodeHeadMismatch, r.Chain, []lane.Range{lane.Run(max(r.Through, 1), max(r.Through, 1))},
			fmt.Sprintf("the hub has other content up to seq %d than this device", r.Through),
			"this folder is an older copy of itself, or another device writes under the same name: run doctor")
		return &f
	}
	return nil
}

// take adds a good receipt to the chain's state and reports whether it changed it.
// Within an epoch the watermark never falls.
func (p *plan) take(r receipt.Receipt, st *ChainState, answer bool) bool {
	was := receiptRowOf(st)
	through := was.Through
	if r.Epoch != st.Epoch || r.Through >= through {
		st.Signed = bytes.Clone(r.Signed)
	}
	if r.Epoch == st.Epoch {
		if answer {
			st.Received = lane.NewSet(lane.Run(1, through))
		}
		for _, x := range r.Set() {
			st.Received = st.Received.Add(x)
		}
		st.Archived = max(st.Archived, r.Archived)
	} else {
		st.Epoch, st.Received, st.Archived, through = r.Epoch, r.Set(), r.Archived, 0
	}
	if extra := st.Received.Extra(); len(extra) > maxRanges {
		st.Received = st.Received[:len(st.Received)-len(extra)+maxRanges]
	}
	switch now := st.Received.Through(); {
	case now == r.Through:
		st.ReceivedHead = r.Head
	case now != through:
		if head, known := p.s.headAt(&ChainState{Chain: st.Chain, Last: st.Last, Head: st.Head}, now); known {
			st.ReceivedHead = head
		}
	}
	return !sameReceipt(was, receiptRowOf(st))
}

func sameReceipt(a, b receiptRow) bool {
	if a.Epoch != b.Epoch || a.Through != b.Through || a.Head != b.Head || a.Archived != b.Archived || len(a.Extra) != len(b.Extra) ||
		(a.Signed == nil) != (b.Signed == nil) { // one that was kept before receipts were kept as they came
		return false
	}
	for i := range a.Extra {
		if a.Extra[i] != b.Extra[i] {
			return false
		}
	}
	return true
}
