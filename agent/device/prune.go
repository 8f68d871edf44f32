package device

import (
	"context"
	"time"
)

// reclaimAfter is how many bytes of entries must have gone before their space is
// worth a merge of the database's tables.
const reclaimAfter = 2 << 20

// settledAt notes that a hello's receipts are settled, whose answer told the hub's
// time: from now on what they say is archived may be pruned.
func (d *Device) settledAt() {
	d.mu.Lock()
	at := d.hubSaid
	d.mu.Unlock()
	select {
	case <-d.prunable: // an older contact's
	default:
	}
	select {
	case d.prunable <- at:
	default:
	}
}

// prunes removes archived entries after each contact (L8). That it cannot now is no
// trouble: it comes with another contact.
func (d *Device) prunes(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-d.prunable:
			d.prune(ctx, at)
		}
	}
}

// pruneNow does what prunes does, for a program that does not stay.
func (d *Device) pruneNow(ctx context.Context) {
	select {
	case at := <-d.prunable:
		d.prune(ctx, at)
	default:
	}
}

func (d *Device) prune(ctx context.Context, at time.Time) {
	d.prunePhotos(ctx, at)
	if err := d.pruneUnnamed(ctx, at); err != nil {
		d.cfg.Log.Warn("photos that no record names stay here for now", "err", err)
	}
	if d.cfg.Keep <= 0 {
		return
	}
	var gone int
	for more := true; more && ctx.Err() == nil; {
		p, err := d.store.Prune(ctx, at, d.cfg.Keep, d.outbox.Disputed()...)
		if err != nil {
			d.cfg.Log.Warn("archived entries are not removed yet", "err", err)
			return
		}
		gone += p.Entries
		more = p.More
	}
	if gone == 0 {
		return
	}
	d.cfg.Log.Info("entries that the hub has in its archive were removed here", "entries", gone, "kept_for", d.cfg.Keep)
	d.bell.Ring()
	if d.store.Owed() < reclaimAfter {
		return
	}
	if _, err := d.store.Reclaim(ctx); err != nil {
		d.cfg.Log.Warn("the space of removed entries is not free yet", "err", err)
	}
}
