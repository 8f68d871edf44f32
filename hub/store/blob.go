package store

import (
	"context"

	"otor/internal/dot"
	"otor/internal/entry"
)

// Blob is a photo or file that an entry of the ledger names. Its bytes are not in
// the database.
type Blob struct {
	Hash    entry.Hash
	Size    uint64 // bytes, as the entry says
	Mime    string
	Dot     dot.Dot // the first entry that named it
	NamedAt int64
	// ArchivedAt is when it lay in two verified backups; 0: it does not, or was lost since.
	ArchivedAt int64
	Number     int64 // in the order in which they were named; set by the store
	GotAt      int64 // when the hub had all of it, and it was what the hash says; 0: not yet
}

// BlobQuery chooses files in the order in which they were named.
type BlobQuery struct {
	Missing bool       // those alone that the hub does not have yet
	Lost    bool       // those alone that it had and has lost
	Device  dot.Device // of whose entries; empty: of all
	Entry   dot.Dot    // that named them first; zero: any
	// From and Until are moments at which they were named, the second exclusive; 0: any.
	From, Until int64
	// Newest turns the order round; Before then goes on behind a [Blob.Number], 0: from the newest.
	Newest bool
	Before int64
	Limit  int // 0: no limit
}

// BlobCounts counts what entries name.
type BlobCounts struct {
	Named, Missing           int64
	NamedBytes, MissingBytes int64
}

// BlobStore remembers which files entries name, and which of them are here.
type BlobStore interface {
	// Blob gives one; ErrNotFound when no entry names it.
	Blob(ctx context.Context, h entry.Hash) (Blob, error)
	// Blobs lists them.
	Blobs(ctx context.Context, q BlobQuery) ([]Blob, error)
	CountBlobs(ctx context.Context) (BlobCounts, error)
	// SetBlobGot notes when the hub had all of it; 0: it has lost it. ErrNotFound
	// when no entry names it.
	SetBlobGot(ctx context.Context, h entry.Hash, at int64) error
	// ArchiveBlobs notes, at a moment, that those of the held ones lie in two verified
	// backups which the hub had before another one and has not lost since. It returns how
	// many that are newly.
	ArchiveBlobs(ctx context.Context, held []entry.Hash, gotBefore, at int64) (int64, error)
}

// BlobTx is what a transaction does about files.
type BlobTx interface {
	// NameBlobs notes what an entry names. One that was named before keeps its first entry.
	NameBlobs(d dot.Dot, at int64, blobs []entry.Blob) error
}
