package device

import (
	"context"
	"slices"
	"time"

	"otor/agent/store"
	"otor/internal/entry"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// How many photos one contact asks about, and how many one message names.
const (
	prunedAtMost = 256
	prunedAtOnce = 64
)

// askedAgain is how long a photo that was not archived yet is left alone: a day, or a
// part of the time for which photos are kept.
func askedAgain(keep time.Duration) time.Duration {
	return min(max(keep/30, time.Millisecond), 24*time.Hour)
}

// prunePhotos removes photos that the hub has in its archive and that were kept here for
// long enough, by the hub's clock. The hub is asked about each just before: what
// it does not say is archived stays, and so does everything while records wait.
func (d *Device) prunePhotos(ctx context.Context, hubNow time.Time) {
	if d.cfg.KeepPhotos <= 0 || !d.quiet() {
		return
	}
	epoch := d.hubEpoch()
	ripe, fresh := d.ripePhotos(epoch, hubNow)
	if len(fresh) > 0 { // their time begins
		if err := d.store.SetBlobsAt(ctx, epoch, hubNow.UnixMilli(), fresh...); err != nil {
			d.note(err)
			return
		}
	}
	port := &poster{d.link, d.id.Device}
	gone := 0
	for len(ripe) > 0 && ctx.Err() == nil && d.quiet() {
		some := ripe[:min(len(ripe), prunedAtOnce)]
		ripe = ripe[len(some):]
		actx, cancel := context.WithTimeout(ctx, time.Minute)
		answer, err := port.Blob(actx, wire.BlobAsk{Archived: some})
		cancel()
		if err == nil && answer.Refused != nil {
			err = answer.Refused // an older hub does not know the question
		}
		archived := only(answer.Archived, some)
		if err == nil {
			for _, h := range some {
				d.photosAsked[h] = hubNow
			}
			err = d.dropPhotos(ctx, epoch, archived)
		}
		if err != nil {
			d.cfg.Log.Info("archived photos stay here for now", "err", err)
			return
		}
		gone += len(archived)
	}
	if gone > 0 {
		d.cfg.Log.Info("photos that the hub has in its archive were removed here", "photos", gone, "kept_for", d.cfg.KeepPhotos)
		d.bell.Ring()
	}
}

// ripePhotos are those that may go: the hub of this epoch has them, their records lie in
// its archive, and they were kept here for long enough, by the hub's clock alone: the
// device's own may have been wrong when the file was written. fresh are those of which it
// was not noted yet since when the hub has them.
func (d *Device) ripePhotos(epoch receipt.Epoch, hubNow time.Time) (out, fresh []entry.Hash) {
	if d.photosAsked == nil {
		d.photosAsked = make(map[entry.Hash]time.Time)
	}
	offset := time.Duration(d.store.Contact().HubOffsetMillis) * time.Millisecond
	for _, b := range d.store.Blobs() {
		if len(out) >= prunedAtMost {
			break
		}
		if epoch.IsZero() || b.At != epoch || hubNow.Sub(d.photosAsked[b.Hash]) < askedAgain(d.cfg.KeepPhotos) || !d.inArchive(b) {
			continue
		}
		at, here := d.blobs.KeptAt(b.Hash)
		ripe := hubNow.Sub(time.UnixMilli(b.Since)) >= d.cfg.KeepPhotos && hubNow.Sub(at.Add(offset)) >= d.cfg.KeepPhotos
		switch {
		case !here:
		case b.Since == 0:
			fresh = append(fresh, b.Hash)
		case ripe:
			out = append(out, b.Hash)
		}
	}
	return out, fresh
}

// inArchive reports whether the record that names a photo is in the hub's archive.
func (d *Device) inArchive(b store.BlobRef) bool {
	st, ok := d.store.Chain(b.Dot.Chain)
	return ok && b.Dot.Seq <= st.Archived
}

// dropPhotos notes that photos are gone, and removes them. What a crash leaves of the
// second is asked about and removed with a next round.
func (d *Device) dropPhotos(ctx context.Context, epoch receipt.Epoch, hashes []entry.Hash) error {
	if len(hashes) == 0 {
		return nil
	}
	if err := d.store.DropBlobs(ctx, epoch, hashes...); err != nil {
		return err
	}
	for _, b := range d.store.Blobs() {
		if !b.Gone || b.At != epoch || !slices.Contains(hashes, b.Hash) {
			continue
		}
		if _, here := d.blobs.KeptAt(b.Hash); !here {
			continue
		}
		if err := d.blobs.Remove(b.Hash); err != nil {
			return err
		}
	}
	return nil
}

// only keeps of hashes those that were asked about.
func only(hashes, asked []entry.Hash) (out []entry.Hash) {
	in := make(map[entry.Hash]bool, len(asked))
	for _, h := range asked {
		in[h] = true
	}
	for _, h := range hashes {
		if in[h] {
			out = append(out, h)
		}
	}
	return out
}
