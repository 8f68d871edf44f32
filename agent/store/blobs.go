package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/receipt"
)

// BlobRef is a photo or file that an entry of this device names. Its row is in
// the entry's own commit, so none is forgotten on its way to the hub.
type BlobRef struct {
	entry.Blob
	Dot dot.Dot // the first entry that names it
	// At is the epoch of the hub's database that has the whole file; zero: none has.
	At receipt.Epoch
	// Since is the hub's clock, in Unix milliseconds, when At was noted; 0: not known.
	Since int64
	// Gone: it is not on the device any more, since it is in the hub's archive.
	Gone bool
}

// blobRow is the row under 40.
type blobRow struct {
	Size uint64 `cbor:"1,keyasint"`
	Mime string `cbor:"2,keyasint,omitempty"`
	Dot  string `cbor:"3,keyasint"`
	At   []byte `cbor:"4,keyasint,omitempty"`
	Gone bool   `cbor:"5,keyasint,omitempty"`

	Since int64 `cbor:"6,keyasint,omitempty"`
}

func blobKey(h entry.Hash) []byte { return append([]byte{kindBlob}, h[:]...) }

func (b BlobRef) row() blobRow {
	r := blobRow{Size: b.Size, Mime: b.Mime, Dot: b.Dot.String(), Gone: b.Gone, Since: b.Since}
	if !b.At.IsZero() {
		r.At = b.At[:]
	}
	return r
}

// loadBlob remembers a row at Open.
func (s *Store) loadBlob(key []byte, r blobRow) {
	d, err := dot.Parse(r.Dot)
	if len(key) != 1+len(entry.Hash{}) || err != nil {
		s.note(Finding{
			Code: CodeRowDamaged, Which: fmt.Sprintf("row %x", key), What: "it does not say of which entry the photo is",
			Do: "nothing: the photo stays here, and the entry that names it is safe",
		})
		return
	}
	b := BlobRef{Blob: entry.Blob{Hash: entry.Hash(key[1:]), Size: r.Size, Mime: r.Mime}, Dot: d, Gone: r.Gone, Since: r.Since}
	if len(r.At) == len(b.At) {
		b.At = receipt.Epoch(r.At)
	}
	s.blobs[b.Hash] = b
}

// name plans the rows of the files that an entry names.
func (p *plan) name(blobs []entry.Blob, by dot.Dot) error {
	for _, b := range blobs {
		if _, known := p.blob(b.Hash); known {
			continue
		}
		ref := BlobRef{Blob: b, Dot: by}
		p.blobs[b.Hash] = ref
		if err := p.addRow(blobKey(b.Hash), ref.row()); err != nil {
			return err
		}
	}
	return nil
}

// blob is what will be known of a file after the plan.
func (p *plan) blob(h entry.Hash) (BlobRef, bool) {
	if b, ok := p.blobs[h]; ok {
		return b, true
	}
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	b, ok := p.s.blobs[h]
	return b, ok
}

// blobsAt says that the hub whose database is of an epoch has these files.
type blobsAt struct {
	hashes []entry.Hash
	epoch  receipt.Epoch
	gone   bool  // they are removed here
	since  int64 // see [BlobRef.Since]
}

// arrive plans what the hub said about files.
func (p *plan) arrive(a *blobsAt) error {
	for _, h := range a.hashes {
		b, ok := p.blob(h)
		switch {
		case !ok, a.gone && (b.Gone || b.At != a.epoch):
			continue // what the hub does not have is not removed
		case a.gone:
			b.Gone = true
		case b.At == a.epoch && b.Since == 0 && a.since != 0:
			b.Since = a.since
		case b.At == a.epoch, b.Gone && a.epoch.IsZero():
			continue // one that is gone cannot go again: it is in the hub's backups
		default:
			b.At, b.Since = a.epoch, a.since
		}
		p.blobs[h] = b
		if err := p.addRow(blobKey(h), b.row()); err != nil {
			return err
		}
	}
	return nil
}

// SetBlobsAt notes durably that the hub has these files whole, and since when at most, by
// its clock in Unix milliseconds. Files that no entry names are passed over.
func (s *Store) SetBlobsAt(ctx context.Context, e receipt.Epoch, since int64, hashes ...entry.Hash) error {
	if e.IsZero() {
		return errors.New("files at the hub: of no epoch")
	}
	if err := s.send(ctx, &request{blobs: &blobsAt{hashes: hashes, epoch: e, since: since}}); err != nil {
		return fmt.Errorf("note that files are at the hub: %w", err)
	}
	return nil
}

// ForgetBlobsAt notes durably that the hub has lost these files: they go again.
func (s *Store) ForgetBlobsAt(ctx context.Context, hashes ...entry.Hash) error {
	if err := s.send(ctx, &request{blobs: &blobsAt{hashes: hashes}}); err != nil {
		return fmt.Errorf("note that files are to go again: %w", err)
	}
	return nil
}

// DropBlobs notes durably that these files are not kept here any more, BEFORE they are
// removed; the hub whose database is of epoch e must have them.
func (s *Store) DropBlobs(ctx context.Context, e receipt.Epoch, hashes ...entry.Hash) error {
	if e.IsZero() {
		return errors.New("files are removed: the hub is of no epoch")
	}
	if err := s.send(ctx, &request{blobs: &blobsAt{hashes: hashes, epoch: e, gone: true}}); err != nil {
		return fmt.Errorf("note that files are removed here: %w", err)
	}
	return nil
}

// namedAtOnce is how many files one commit names anew.
const namedAtOnce = 256

// NameBlobs looks through all entries for those that name these files, and notes it
// durably where damage has taken that.
func (s *Store) NameBlobs(ctx context.Context, files ...entry.Hash) error {
	found := make(map[entry.Hash]BlobRef)
	for it, err := range s.List(ctx, ListQuery{}) {
		if err != nil {
			return fmt.Errorf("look who names files: %w", err)
		}
		for _, b := range it.Public.Blobs {
			if slices.Contains(files, b.Hash) {
				found[b.Hash] = BlobRef{Blob: b, Dot: it.Dot} // the oldest comes last
			}
		}
	}
	for some := range slices.Chunk(slices.Collect(maps.Values(found)), namedAtOnce) {
		if err := s.send(ctx, &request{named: some}); err != nil {
			return fmt.Errorf("note who names files: %w", err)
		}
	}
	return nil
}

// Blobs lists the files that entries of this device name, in the order of these entries.
func (s *Store) Blobs() []BlobRef {
	s.mu.RLock()
	out := slices.Collect(maps.Values(s.blobs))
	s.mu.RUnlock()
	slices.SortFunc(out, func(a, b BlobRef) int {
		if c := a.Dot.Compare(b.Dot); c != 0 {
			return c
		}
		return slices.Compare(a.Hash[:], b.Hash[:])
	})
	return out
}

// Blob is one of them.
func (s *Store) Blob(h entry.Hash) (BlobRef, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.blobs[h]
	return b, ok
}
