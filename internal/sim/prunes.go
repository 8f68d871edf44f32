package sim

import (
	"context"
	"time"

	"otor/agent/store"
	"otor/agent/uplink"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

// settledAt tells who prunes, as agent/device does, that a hello's receipts are settled.
func (p *process) settledAt() {
	select {
	case <-p.prunable: // an older contact's
	default:
	}
	p.prunable <- p.hubSaid
}

// prunes removes from a device what has been archived for long enough (L8), beside all
// else that the program does: also while histories are compared.
func (d *device) prunes(ctx context.Context, p *process, own dice) {
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-p.prunable:
			for more := d.keep > 0; more && sleep(ctx, own.about(300*time.Millisecond)); {
				more = d.prune(p, at)
			}
		}
	}
}

func (d *device) prune(p *process, at time.Time) (more bool) {
	out, err := p.store.Prune(context.Background(), at, d.keep, p.outbox.Disputed()...)
	if err != nil {
		d.w.violate("%s cannot prune: %v", d.name, err)
	}
	d.w.did("prunes of "+d.name, func(w *Work) { w.Pruned += out.Entries }, "pruned %d", out.Entries)
	return out.More
}

// mend is what becomes of a chain of which the hub has another history.
func (d *device) mend(p *process) func(context.Context, dot.Chain, uplink.Compare) error {
	if d.w.cfg.Control == NoRehome {
		return nil
	}
	return func(ctx context.Context, c dot.Chain, compare uplink.Compare) error {
		was, _ := p.store.Chain(c)
		own := make(map[dot.Seq]entry.Hash) // what is here to be compared
		err := p.store.Hashes(c, lane.Run(1, was.Last), func(s dot.Seq, h entry.Hash) { own[s] = h })
		if err != nil {
			d.w.violate("%s cannot list %s: %v", d.name, c, err)
		}
		err = p.lives.Mend(ctx, c, compare)
		if now, ok := p.store.Chain(c); ok && now.End != nil && (was.End == nil || was.End.Seq != now.End.Seq) {
			d.checkEnd(p, now, own)
		}
		return err
	}
}

// checkEnd asks that a chain does not end below an entry that both sides have alike, but
// where that one was not here any more to be compared when the comparison began.
func (d *device) checkEnd(p *process, now store.ChainState, own map[dot.Seq]entry.Hash) {
	above := now.End.Seq + 1
	hash, here := own[above]
	l := d.w.hub.current()
	if l == nil || !here || d.goesBy(p.store) != l.epochs.Epoch() {
		return
	}
	theirs, err := l.ledger.Compare(context.Background(), now.Chain, []lane.Range{lane.Run(above, above)})
	if err != nil {
		return // the hub has ended meanwhile
	}
	ours := wire.NewDigest()
	ours.Add(above, hash)
	if ours.Sum() == theirs[0] {
		d.w.violate("%s ends %s at %d, and the hub has the next one as it is here", d.name, now.Chain, now.End.Seq)
	}
}
