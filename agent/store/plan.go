package store

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
)

// plan is what one transaction will write, and the states after it. Making one
// changes nothing but the clock, which may skip.
type plan struct {
	s        *Store
	rows     []row
	chains   map[dot.Chain]*ChainState // changed ones, as they will be
	appended map[dot.Chain]bool
	settled  map[dot.Chain]bool
	contact  *Contact
	traffic  *Traffic
	prefs    *Preferences

	feeds    map[string]*feedState  // scopes that changed; nil: forgotten
	bases    map[string]bool        // base keys that were planned: whether a row stands there
	changed  []scopedName           // rows that the device will show otherwise
	written  []entry.Ref            // entities that new entries write to
	switched []string               // scopes of which everything may be shown otherwise
	drafts   map[string]*draftState // changed form drafts; nil: dropped
	blobs    map[entry.Hash]BlobRef // new or changed ones
}

func (s *Store) plan(batch []*request) *plan {
	p := &plan{
		s: s, rows: make([]row, 0, len(batch)+4),
		chains: make(map[dot.Chain]*ChainState), appended: make(map[dot.Chain]bool), settled: make(map[dot.Chain]bool),
		feeds: make(map[string]*feedState), bases: make(map[string]bool),
		drafts: make(map[string]*draftState), blobs: make(map[entry.Hash]BlobRef),
	}
	full, choked := s.checkSpace()
	now := s.o.Now()
	for _, r := range batch {
		if r.err = choked; r.draft != nil || r.refill != nil || r.formDraft != nil && r.formDraft.Content != nil {
			r.err = full
		}
		switch {
		case r.err != nil:
		case r.draft != nil:
			r.saved, r.err = p.append(r, now)
		case r.formDraft != nil:
			r.err = p.formDraft(r.formDraft, now)
		case r.refill != nil:
			r.err = p.refill(r.refill)
		case r.blobs != nil:
			r.err = p.arrive(r.blobs)
		case r.named != nil:
			for _, b := range r.named {
				r.err = errors.Join(r.err, p.name([]entry.Blob{b.Blob}, b.Dot))
			}
		case r.findings != nil:
			r.err = p.addRow(findingsKey, r.findings)
		case r.contact != nil:
			p.contact = r.contact
		case r.traffic != nil:
			p.traffic = r.traffic
			r.err = p.addRow(trafficKey, r.traffic)
		case r.prefs != nil:
			p.prefs = r.prefs
			r.err = p.addRow(prefsKey, r.prefs)
		case r.feed != nil:
			if err := p.feed(r.feed, now); err != nil { // half of it may be planned
				return refuseAll(batch, err)
			}
		case !r.enter.IsZero():
			p.enter(r.enter, r.quarrels)
		default:
			r.settled = p.settle(r.receipts, r.answer)
		}
	}
	if err := p.finish(); err != nil {
		return refuseAll(batch, err)
	}
	return p
}

func refuseAll(batch []*request, err error) *plan {
	for _, r := range batch {
		r.err = err
	}
	return &plan{}
}

// settleFloor is the free space that receipts and settings still need: what
// they write is small, and they are what lets a full device be emptied.
const settleFloor = 1 << 20

// checkSpace says whether drafts, and whether anything at all, must be refused.
func (s *Store) checkSpace() (full, choked error) {
	free, err := durable.Free(s.dir)
	if err != nil {
		err = fmt.Errorf("measure the free space of %s: %w", s.dir, err)
		return err, err
	}
	if free < floor {
		full = errFull(s.dir, free)
	}
	if free < settleFloor {
		choked = full
	}
	return full, choked
}

// state returns the planned state of a chain, nil when there is none such.
func (p *plan) state(c dot.Chain) *ChainState {
	if st := p.chains[c]; st != nil {
		return st
	}
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	st := p.s.chains[c]
	if st == nil {
		return nil
	}
	own := *st
	return &own
}

// append gives a draft its dot, its logical time and its place in the chain.
func (p *plan) append(r *request, now time.Time) (Saved, error) {
	id := r.draft.FormDraft
	if id != "" {
		if st, ok := p.draftState(id); ok && st.completed != nil {
			return *st.completed, nil // asked again after a lost reply
		}
	}
	c := dot.Chain{Device: p.s.o.Device, Incarnation: p.s.current, Lane: r.draft.Lane}
	st := p.state(c)
	if st.endUnknown {
		return Saved{}, damaged(c.String(), "after damage nothing proves where it ended",
			"continue under a new incarnation")
	}
	if st.Last >= dot.MaxSeq {
		return Saved{}, fmt.Errorf("append entry to %s: the chain is full", c)
	}
	pub := r.draft.Public
	pub.Dot = c.At(st.Last + 1)
	if pub.Wall == 0 {
		pub.Wall = now.UnixMilli()
	}
	pub.HLC = p.s.clock.Tick(max(now.UnixMilli(), pub.Wall))
	if pub.Corrects != nil { // people name it as it is listed, in its first form
		now := p.s.nameOf(*pub.Corrects)
		pub.Corrects = &now
	}
	pub.Origin = nil
	if pub.Dot.Seq == 1 {
		pub.Origin = p.origin(c.Lane)
	}
	public, err := pub.Encode()
	if err != nil {
		return Saved{}, fmt.Errorf("append entry %s: %w", pub.Dot, err)
	}
	raw := entry.Raw{Public: public, Private: r.draft.Private, PrivateHash: r.privateHash}
	if raw.Private == nil {
		raw = entry.NewRaw(public, []byte{}) // nil would mean: erased
	}
	if raw.Size() > entry.MaxFor(c.Lane) {
		return Saved{}, tooLarge(c.Lane, raw.Size())
	}
	written, err := p.s.overlayRows(r.draft.Written, pub.Dot)
	if err != nil {
		return Saved{}, fmt.Errorf("append entry %s: %w", pub.Dot, err)
	}
	p.rows = append(p.rows, written...)
	p.written = append(p.written, r.draft.Written...)
	if err := p.name(pub.Blobs, pub.Dot); err != nil {
		return Saved{}, fmt.Errorf("append entry %s: %w", pub.Dot, err)
	}
	e := stored{before: st.Head, savedAt: now, raw: raw}
	key := entryKey(c, pub.Dot.Seq)
	p.rows = append(p.rows, row{key, p.s.box.sealEntry(key, e)})

	st.Last, st.Head, st.LastHLC = pub.Dot.Seq, e.after(), pub.HLC
	p.chains[c], p.appended[c] = st, true
	saved := Saved{Dot: pub.Dot, Hash: raw.Hash(), Head: st.Head, HLC: pub.HLC, SavedAt: now, Size: raw.Size()}
	if id != "" {
		err = p.complete(id, saved)
	}
	return saved, err
}

// origin says for one lane why this incarnation began and where the one before it ended.
func (p *plan) origin(l dot.Lane) *entry.Origin {
	o := p.s.origin
	if o.Previous != 0 && o.LastSeq == 0 {
		before := dot.Chain{Device: p.s.o.Device, Incarnation: o.Previous, Lane: l}
		o.LastHead = entry.Genesis(before) // a chain without entries is not kept
		if st := p.state(before); st != nil {
			o.LastSeq, o.LastHead = st.Stays(), st.Tip()
		}
	}
	return &o
}

// finish adds the rows of the chains that changed.
func (p *plan) finish() error {
	for c := range p.appended {
		st := p.chains[c]
		if err := p.addRow(chainKey(kindTail, c), tail{st.Last, st.Head, st.LastHLC}.row()); err != nil {
			return err
		}
	}
	for c := range maps.Keys(p.settled) {
		if err := p.addRow(chainKey(kindReceipt, c), receiptRowOf(p.chains[c])); err != nil {
			return err
		}
	}
	for scope, f := range p.feeds {
		if f == nil {
			continue
		}
		if err := p.addRow(feedKey(scope), f.feedRow); err != nil {
			return err
		}
	}
	if p.contact != nil {
		return p.addRow(contactKey, p.contact.row())
	}
	return nil
}

func (p *plan) addRow(key []byte, content any) error {
	value, err := p.s.box.sealRow(key, content)
	if err != nil {
		return err
	}
	p.rows = append(p.rows, row{key, value})
	return nil
}
