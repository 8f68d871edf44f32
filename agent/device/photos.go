package device

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"otor/agent/blob"
	"otor/agent/link"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// KeepFile implements web.Photos.
func (d *Device) KeepFile(_ context.Context, mime string, content []byte) (string, error) {
	free, err := d.store.DiskFree()
	if err == nil && free < fileFloor+uint64(len(content)) {
		return "", &web.Refusal{Code: "disk_full", What: fmt.Sprintf("the phone has %d MB free, too little for a photo", free>>20), Do: "delete photos or other files, then take it again; nothing that was saved is lost"}
	}
	content, err = blob.Clean(mime, content)
	if errors.Is(err, blob.ErrPicture) {
		return "", &web.Refusal{Code: "bad_photo", What: "the photo cannot be read", Which: err.Error(), Do: "take it again; everything else in the form is kept"}
	}
	if err != nil {
		return "", err
	}
	name, err := d.keepFile(mime, content)
	if errors.Is(err, blob.ErrTooLarge) {
		return "", &web.Refusal{Code: "too_large", What: err.Error(), Do: "take a smaller one"}
	}
	return name, err
}

// fileFloor is the free space that files leave to entries: twice what the
// store needs for itself.
const fileFloor = 32 << 20

// File implements web.Photos.
func (d *Device) File(_ context.Context, name string) ([]byte, error) {
	b, err := d.blobs.Read(name)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return nil, &web.Refusal{Code: "not_found", What: err.Error(), Do: "it is on the device that took it, or at the hub"}
	case errors.Is(err, blob.ErrDamaged):
		return nil, &web.Refusal{Code: "damaged", What: err.Error(), Do: "take the photo again if the herder is still there"}
	}
	return b, err
}

// Preview implements web.Photos.
func (d *Device) Preview(ctx context.Context, name string) ([]byte, error) {
	b, err := d.File(ctx, name)
	if err != nil {
		return nil, err
	}
	if small := blob.Preview(http.DetectContentType(b), b); small != nil {
		return small, nil
	}
	return b, nil
}

// newSender makes what takes photos to the hub.
func (d *Device) newSender() *blob.Sender {
	return blob.NewSender(blob.SenderConfig{
		Queue: (*album)(d), Room: d.blobs, Port: &poster{d.link, d.id.Device}, Quiet: d.quiet, Log: d.cfg.Log, Noticed: d.bell.Ring,
		Left:  func() (uint64, bool) { l := d.link.Budget().LeftForPhotos(); return l.Bytes, l.Bounded },
		Spent: d.link.Budget().CountPhotos,
	})
}

// lastPhotos sends photos at the end of a single contact. Only a lost link is worth
// another try: a hub that takes none now must not make the records' contact fail.
func (d *Device) lastPhotos(ctx context.Context) error {
	_, err := d.sender.Drain(ctx)
	if err == nil || errors.Is(err, link.ErrLost) || errors.Is(err, link.ErrOffline) || ctx.Err() != nil {
		return err
	}
	d.cfg.Log.Warn("photos stay here for now", "err", err)
	return nil
}

// quiet reports whether no entry waits that could go up: photos come after all of them.
func (d *Device) quiet() bool {
	for _, c := range d.outbox.Chains() {
		st, ok := d.store.Chain(c.Chain)
		if ok && !c.Disputed && len(st.Sendable()) > 0 {
			return false
		}
	}
	return true
}

// poster lets a sender speak over the link.
type poster struct {
	link   *link.Link
	device dot.Device
}

// Blob implements blob.Port.
func (p *poster) Blob(ctx context.Context, ask wire.BlobAsk) (wire.BlobAnswer, error) {
	if !p.link.May(wire.BlobOn(p.device)) {
		return wire.BlobAnswer{}, errors.New("the hub that gave this device its credentials took no photos yet: newer ones come at a next contact")
	}
	b, err := wire.Marshal(ask)
	if err != nil {
		return wire.BlobAnswer{}, err
	}
	reply, err := p.link.Request(ctx, wire.BlobOn(p.device), b)
	if err != nil {
		return wire.BlobAnswer{}, err
	}
	return wire.Unmarshal[wire.BlobAnswer](reply)
}

// album is the device's files as their sender sees them.
type album Device

// Waiting implements blob.Queue.
func (a *album) Waiting() []entry.Blob {
	d := (*Device)(a)
	epoch := d.hubEpoch()
	var out []entry.Blob
	for _, b := range d.store.Blobs() { // those that went from here too: another hub's database may have them
		if b.Gone && !d.offerGone(b.Hash, epoch) {
			continue
		}
		st, ok := d.store.Chain(b.Dot.Chain)
		// An entry that goes on under another name is found at the hub by the photo itself.
		if b.At != epoch && ok && (st.Received.Contains(b.Dot.Seq) || st.End != nil && b.Dot.Seq > st.End.Seq) {
			out = append(out, b.Blob)
		}
	}
	return out
}

// offer is when a photo that went from here was offered, and to which database.
type offer struct {
	to receipt.Epoch
	at time.Time
}

// offerGone reports whether a photo that went from here is to be offered: a hub with another
// database may have it. Where it has not, nothing can be sent, so it is asked now and then.
func (d *Device) offerGone(h entry.Hash, epoch receipt.Epoch) bool {
	if _, here := d.blobs.KeptAt(h); here {
		return true // a crash left it
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	if last := d.offered[h]; last.to == epoch && now.Sub(last.at).Abs() < time.Hour {
		return false
	}
	if d.offered == nil {
		d.offered = make(map[entry.Hash]offer)
	}
	d.offered[h] = offer{epoch, now}
	return true
}

// Arrived implements blob.Queue.
func (a *album) Arrived(ctx context.Context, hashes ...entry.Hash) error {
	d := (*Device)(a)
	d.mu.Lock()
	var since int64 // 0: a later round of pruning notes it
	if !d.hubSaid.IsZero() {
		since = d.hubSaid.UnixMilli()
	}
	d.mu.Unlock()
	return d.store.SetBlobsAt(ctx, d.hubEpoch(), since, hashes...)
}

// hubEpoch is the epoch of the hub's database that this device goes by.
func (d *Device) hubEpoch() receipt.Epoch {
	e, err := receipt.OpenEpoch(d.epoch(), d.id.HubKey)
	if err != nil {
		return receipt.Epoch{}
	}
	return e.Epoch
}

// photosWaiting counts the files that the hub does not have, and their bytes.
func (d *Device) photosWaiting() (files int, bytes uint64) {
	epoch := d.hubEpoch()
	for _, b := range d.store.Blobs() {
		if b.At != epoch && !b.Gone {
			files++
			bytes += b.Size
		}
	}
	return files, bytes
}

// photosKept counts the files that are here, their bytes, and those that are not any more.
func (d *Device) photosKept() (here int, bytes uint64, gone int) {
	for _, b := range d.store.Blobs() {
		if b.Gone {
			gone++
			continue
		}
		here++
		bytes += b.Size
	}
	return here, bytes, gone
}

// Photos implements web.Photos.
func (d *Device) Photos(context.Context) ([]web.Photo, error) {
	epoch := d.hubEpoch()
	out := []web.Photo{}
	for _, b := range d.store.Blobs() {
		name := blob.Name(b.Blob)
		_, here := d.blobs.Find(name)
		out = append(out, web.Photo{Name: name, Size: b.Size, Mime: b.Mime, Dot: b.Dot, AtHub: b.At == epoch, Here: here})
	}
	return out, nil
}
