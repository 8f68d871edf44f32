package blob

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/wire"
)

// Ledger says which files entries name.
type Ledger interface {
	Blob(ctx context.Context, h entry.Hash) (store.Blob, error)
	SetBlobGot(ctx context.Context, h entry.Hash, at int64) error
	Device(ctx context.Context, id dot.Device) (store.Device, error)
	Blobs(ctx context.Context, q store.BlobQuery) ([]store.Blob, error)
}

// Desk answers devices that offer and send files. All of it is needed.
type Desk struct {
	Ledger Ledger
	Room   *Room
	Now    func() time.Time
	Log    *slog.Logger
	// Arrived is told of each file that has become whole.
	Arrived func()
}

// Answer answers one ask. What a device says is never an error of the hub: it is
// told what is wrong. An error is the database's.
func (d *Desk) Answer(ctx context.Context, from dot.Device, data []byte) (wire.BlobAnswer, error) {
	ask, err := wire.Unmarshal[wire.BlobAsk](data)
	if err != nil {
		return refusal("malformed", err.Error(), "", "update the agent"), nil
	}
	dev, err := d.Ledger.Device(ctx, from)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refusal("unknown_device", "this hub does not know the device", string(from), "enrol it"), nil
	case err != nil:
		return wire.BlobAnswer{}, err
	case dev.RevokedAt != 0:
		return refusal("revoked", "this device was revoked", string(from), "bring it to the office"), nil
	}
	var out wire.BlobAnswer
	switch {
	case ask.Piece != nil:
		at, err := d.piece(ctx, from, ask.Piece)
		if err != nil {
			return out, err
		}
		out.At = []wire.BlobAt{at}
	case ask.Preview != nil:
		at, err := d.preview(ctx, ask.Preview)
		if err != nil {
			return out, err
		}
		out.At = []wire.BlobAt{at}
	case len(ask.Archived) > 0:
		if out.Archived, err = d.archived(ctx, ask.Archived); err != nil {
			return out, err
		}
	default:
		for _, h := range ask.Offers {
			at, err := d.offer(ctx, h)
			if err != nil {
				return out, err
			}
			out.At = append(out.At, at)
		}
	}
	return out, nil
}

// archived gives those of the files that lie in verified backups and are whole here now:
// whoever asks would remove its own.
func (d *Desk) archived(ctx context.Context, hashes []entry.Hash) (out []entry.Hash, err error) {
	for _, h := range hashes {
		b, known, err := d.named(ctx, h)
		if err != nil {
			return nil, err
		}
		if !known || b.GotAt == 0 || b.ArchivedAt == 0 {
			continue
		}
		_, whole, err := d.Room.At(ctx, h)
		if err != nil {
			d.Log.Warn("it could not be looked at whether a photo is here", "photo", fmt.Sprintf("%x", h[:4]), "err", err)
			continue // another time
		}
		if whole {
			out = append(out, h)
		}
	}
	return out, nil
}

// Lost lists files of a device's entries that the hub had and has lost, some at a time: the
// newest first, since older ones may be gone from the device.
func (d *Desk) Lost(ctx context.Context, from dot.Device) ([]entry.Hash, error) {
	list, err := d.Ledger.Blobs(ctx, store.BlobQuery{Lost: true, Newest: true, Device: from, Limit: wire.MaxOffers})
	var out []entry.Hash
	for _, b := range list {
		out = append(out, b.Hash)
	}
	return out, err
}

func refusal(code, what, which, do string) wire.BlobAnswer {
	return wire.BlobAnswer{Refused: &wire.Refusal{Code: code, What: what, Which: which, Do: do}}
}

// offer says how far the hub is with a file.
func (d *Desk) offer(ctx context.Context, h entry.Hash) (wire.BlobAt, error) {
	b, known, err := d.named(ctx, h)
	if err != nil || !known {
		return wire.BlobAt{Hash: h, Preview: true}, err
	}
	at, whole, err := d.Room.At(ctx, h)
	if err == nil && !whole && at > 0 && uint64(at) >= b.Size { //nolint:gosec // a file's size
		if whole, err = d.Room.Finish(ctx, h, int64(b.Size)); errors.Is(err, ErrUnfit) { //nolint:gosec // bounded by the piece before
			at, err = 0, nil
		}
	}
	if err != nil {
		d.Log.Error("photo not taken", "photo", fmt.Sprintf("%x", h[:4]), "err", err)
		return wire.BlobAt{Hash: h, State: wire.BlobLater, Preview: true}, nil
	}
	return d.told(ctx, b, at, whole)
}

// named is what the ledger says of a file; known is false when no entry names it.
func (d *Desk) named(ctx context.Context, h entry.Hash) (b store.Blob, known bool, err error) {
	b, err = d.Ledger.Blob(ctx, h)
	if errors.Is(err, store.ErrNotFound) {
		return b, false, nil
	}
	return b, err == nil, err
}

// told is the answer about a file of which at bytes are here.
func (d *Desk) told(ctx context.Context, b store.Blob, at int64, whole bool) (wire.BlobAt, error) {
	out := wire.BlobAt{Hash: b.Hash, State: wire.BlobWanted, At: uint64(at), Preview: d.Room.HasPreview(b.Hash)} //nolint:gosec // a file's size
	switch {
	case whole:
		out.State, out.Preview = wire.BlobWhole, true
		if b.GotAt == 0 {
			if err := d.Ledger.SetBlobGot(ctx, b.Hash, d.Now().UnixMilli()); err != nil {
				return out, err
			}
			if d.Arrived != nil {
				d.Arrived()
			}
		}
	case b.Size > wire.MaxBlob || b.Size == 0:
		out.State, out.Preview = wire.BlobUnfit, true
	}
	return out, nil
}

// piece takes a piece in.
func (d *Desk) piece(ctx context.Context, from dot.Device, p *wire.BlobPiece) (wire.BlobAt, error) {
	b, known, err := d.named(ctx, p.Hash)
	if err != nil || !known || b.Size > wire.MaxBlob || b.Size == 0 {
		out := wire.BlobAt{Hash: p.Hash, Preview: true}
		if known {
			out.State = wire.BlobUnfit
		}
		return out, err
	}
	at, whole, err := d.Room.Append(ctx, p.Hash, int64(b.Size), int64(p.Offset), p.Bytes) //nolint:gosec // both bounded
	switch {
	case errors.Is(err, ErrUnfit):
		d.Log.Warn("photo is not what its entry says", "device", string(from), "entry", b.Dot.String(), "photo", fmt.Sprintf("%x", p.Hash[:4]))
		return wire.BlobAt{Hash: p.Hash, State: wire.BlobUnfit, Preview: true}, nil
	case err != nil:
		d.Log.Error("photo not taken", "device", string(from), "photo", fmt.Sprintf("%x", p.Hash[:4]), "err", err)
		return wire.BlobAt{Hash: p.Hash, State: wire.BlobLater, At: uint64(max(at, 0)), Preview: true}, nil //nolint:gosec // a file's size
	}
	return d.told(ctx, b, at, whole)
}

// preview keeps a preview of a file that is not here yet. It is what a device
// says, not what the entry promised: the photo itself takes its place.
func (d *Desk) preview(ctx context.Context, p *wire.BlobPiece) (wire.BlobAt, error) {
	_, known, err := d.named(ctx, p.Hash)
	if err != nil || !known {
		return wire.BlobAt{Hash: p.Hash, Preview: true}, err
	}
	if p.Offset == 0 && !d.Room.HasPreview(p.Hash) && http.DetectContentType(p.Bytes) == "image/jpeg" {
		if err := d.Room.SetPreview(p.Hash, p.Bytes); err != nil {
			d.Log.Error("preview not kept", "photo", fmt.Sprintf("%x", p.Hash[:4]), "err", err)
			return wire.BlobAt{Hash: p.Hash, State: wire.BlobLater, Preview: true}, nil
		}
	}
	out, err := d.offer(ctx, p.Hash)
	out.Preview = true
	return out, err
}
