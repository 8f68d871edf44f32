package ingest

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// What is held above a hole may be much more than fits into memory at once, and there is one
// writer for all devices. So a transaction releases what it has room for, in the order of
// the chain, and leaves the rest held: the lane says how far it came ([store.Lane.Joined]), receipts go
// so far and name the rest as what is held (L5), and [Ingest.Release] goes on. After a crash between two
// transactions whoever starts finds the lane as it is, and goes on there.

// Bounds of what one transaction releases; a segment, which is at most a frame, is
// released whole.
const (
	maxReleased      = batch.MaxCount
	maxReleasedBytes = 2 * batch.MaxRaw
)

// room is what a transaction may release still.
type room struct{ entries, bytes int }

func (r *room) spent() bool { return r.entries <= 0 || r.bytes <= 0 }

func (r *room) take(es []store.Entry) {
	r.entries -= len(es)
	for _, e := range es {
		r.bytes -= e.Raw.Size()
	}
}

// Unreleased reports whether entries of the lane are held with nothing missing below them.
func Unreleased(l store.Lane) bool {
	a := applier{lane: l}
	at, _ := a.reached()
	if l.Sealed.Contains(at + 1) {
		at = endOf(l.Sealed, at+1)
	}
	return l.Received.Contains(at + 1)
}

// Release goes on releasing what is held of a chain with nothing missing below it, as far as one
// transaction has room. The result has a receipt if something was released, and says whether
// more is to be released.
func (g *Ingest) Release(ctx context.Context, c dot.Chain) (r Result, err error) {
	p := &prepared{at: g.cfg.Now().UnixMilli(), header: batch.Header{Chain: c}}
	if err := g.know(ctx, p, c.Device); err != nil {
		return r, fmt.Errorf("release what is held of %s: %w", c, err)
	}
	var l store.Lane
	err = g.cfg.Store.Ingest(ctx, func(tx store.Tx) error {
		room := g.room
		a := applier{ingest: g, tx: tx, p: p, round: g.cfg.begin(tx, g.cfg.Now()), room: &room}
		var err error
		if a.lane, err = tx.Lane(c); err != nil {
			return err
		}
		r, l = Result{Chain: c}, a.lane
		if !Unreleased(a.lane) {
			return nil
		}
		at, _ := a.reached()
		if err := a.goOn(); err != nil {
			return err
		}
		to, _ := a.reached()
		p.header.Run = lane.Run(at+1, to)
		if err := errors.Join(a.effects(), a.round.Finish()); err != nil {
			return err
		}
		r, l = Result{Chain: c, Unlinked: a.unlinked, Linked: a.linked, Rehomed: a.rehomed, Unreleased: Unreleased(a.lane)}, a.lane
		return tx.SaveLane(a.lane)
	})
	if err != nil {
		return Result{Chain: c, Unreleased: true}, fmt.Errorf("release what is held of %s: %w", c, err)
	}
	if r.Receipt, err = ReceiptOf(g.cfg.Epoch(), l).Sign(g.cfg.Key); err != nil {
		return r, err
	}
	g.alarm(ctx, p, r)
	return r, nil
}

// goOn releases what is held as far as it follows what was applied.
func (a *applier) goOn() error {
	start, _ := a.reached()
	at, head, err := a.advance(a.lane.Received)
	if err != nil {
		return err
	}
	return a.rejoin(a.lane.Received.Through(), start, at, head)
}

// rejoin notes how far the chain is whole and how far it was applied: from
// start, where that ended before, to at with the head there. The two differ
// across sealed seqs, and while held entries are released. Where sealed ones came in late
// the head is worked out from what the ledger holds, so that a device which has another
// history there sees it.
func (a *applier) rejoin(before, start, at dot.Seq, head entry.Hash) error {
	through := a.lane.Received.Through()
	a.lane.Joined, a.lane.JoinedHead = 0, entry.Hash{}
	// Sealed seqs that came in late with nothing above them hold nothing back.
	top := at < through && a.lane.Sealed.Contains(at+1) && endOf(a.lane.Sealed, at+1) >= through
	if at != through && !top {
		a.lane.Joined, a.lane.JoinedHead = at, head
	}
	if through == before {
		return nil
	}
	if start == before && at == through {
		a.lane.Head = head
		return nil
	}
	from, last := before, a.lane.Head
	if start == before && at < through && !head.IsZero() {
		from, last = at, head
	}
	var err error
	a.lane.Head, err = a.headAfter(from, last, through)
	return err
}

// walkedAtOnce is how many entries are read at once where a head is worked out.
const walkedAtOnce = 128

// headAfter works the head at through out, from the one at a seq before. What is held and
// links there was walked when it came; all else is read.
func (a *applier) headAfter(at dot.Seq, head entry.Hash, through dot.Seq) (entry.Hash, error) {
	for at < through {
		seg, err := a.tx.SegmentAt(a.lane.Chain, at+1)
		switch {
		case err == nil && seg.Before == head && seg.Run.Last <= through:
			at, head = seg.Run.Last, seg.After
			continue
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return head, err
		}
		es, err := a.tx.Entries(a.lane.Chain, lane.Run(at+1, min(at+walkedAtOnce, through)))
		if err != nil {
			return head, err
		}
		if len(es) == 0 {
			return head, fmt.Errorf("seq %d of %s is received and not there", at+1, a.lane.Chain)
		}
		for _, e := range es {
			at, head = e.Dot.Seq, entry.Next(head, e.Raw)
		}
	}
	return head, nil
}

// reached is how far entries were applied, and the head there; the zero head
// after a sealed seq, to which anything joins.
func (a *applier) reached() (dot.Seq, entry.Hash) {
	if a.lane.Joined > 0 {
		return a.lane.Joined, a.lane.JoinedHead
	}
	return a.lane.Received.Through(), a.lane.Head
}

// advance moves on as far as entries follow each other without a hole that is
// not sealed, through the frame and through held segments, which it releases as long as
// the transaction has room: the rest is held until another one goes on.
func (a *applier) advance(received lane.Set) (at dot.Seq, head entry.Hash, err error) {
	run := a.p.header.Run
	at, head = a.reached()
	for next := at + 1; received.Contains(next) || a.lane.Sealed.Contains(next); next = at + 1 {
		if a.lane.Sealed.Contains(next) {
			if a.room.spent() && !head.IsZero() {
				return at, head, nil
			}
			if !received.Contains(endOf(a.lane.Sealed, next) + 1) {
				break // nothing above it yet
			}
			at, head = endOf(a.lane.Sealed, next), entry.Hash{}
			continue
		}
		seg, err := a.tx.SegmentAt(a.lane.Chain, next)
		switch {
		case err == nil && a.room.spent() && !head.IsZero(): // after a sealed seq there is no head that a receipt could say
			return at, head, nil
		case err == nil:
			if head, err = a.release(seg, head); err != nil {
				return 0, head, err
			}
			at = seg.Run.Last
		case !errors.Is(err, store.ErrNotFound):
			return 0, head, err
		case run.Contains(next) && contains(a.fresh, next):
			at = a.endOfFresh(next)
			head = a.headAt(at)
		default:
			return 0, head, fmt.Errorf("seq %d of %s is received but neither applied nor held", next, a.lane.Chain)
		}
	}
	return at, head, nil
}

// release judges a held segment whose hole has filled, or was sealed. A segment
// that does not link to the verified head belongs to another history of the
// device: it stays received and is quarantined. The head after it is then that
// of what the ledger holds, which neither history has: so both show.
func (a *applier) release(seg store.Segment, head entry.Hash) (entry.Hash, error) {
	held, err := a.tx.Entries(seg.Chain, seg.Run)
	if err != nil {
		return head, err
	}
	forms, err := a.tx.Forms(seg.Chain, seg.Run)
	if err != nil {
		return head, err
	}
	a.forms = append(a.forms, forms...)
	links := seg.Before == head || head.IsZero()
	a.room.take(held)
	by := make(map[dot.Seq]store.Judgement, len(held))
	released := make([]store.Entry, 0, len(held))
	for _, e := range held {
		now := Describe(e.Dot, e.Raw, e.DeviceTime-e.CorrectedTime, a.ingest.cfg)
		now.ReceivedAt = a.p.at
		if !links {
			a.unlinked++
			now.Judgement = quarantine("chain_mismatch", "follows a different history of this device than the one before it")
			by[e.Dot.Seq], released = now.Judgement, append(released, now)
			head = entry.Next(head, e.Raw) // nothing was disposed of here: it is of another history
			continue
		}
		if err := a.link(&now); err != nil {
			return head, err
		}
		by[e.Dot.Seq], released = now.Judgement, append(released, now)
		if len(now.Touches) > 0 || now.Noted != nil {
			a.taken = append(a.taken, now)
		}
	}
	if links {
		head = seg.After
	}
	if err := a.tx.Judge(seg.Chain, by); err != nil {
		return head, err
	}
	if err := errors.Join(a.tell(by), a.tx.DropSegment(seg)); err != nil {
		return head, err
	}
	return head, a.settleCorrected(released)
}
