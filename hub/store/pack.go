package store

import "context"

// Pack is a version of a form pack that was published.
type Pack struct {
	ID      string
	Version uint32
	Signed  []byte // the edition as devices get it
	At      int64  // when it was published
	By      string
}

// PieceHash names a piece of packs by its SHA-256.
type PieceHash [32]byte

// PackStore keeps what was published. The database looks no further than these columns.
type PackStore interface {
	// Packs lists the published versions by id and version.
	Packs(ctx context.Context) ([]Pack, error)
	// Piece gives a piece; ErrNotFound when it is not there.
	Piece(ctx context.Context, h PieceHash) ([]byte, error)
}

// PackTx is what a transaction does about packs.
type PackTx interface {
	// PutPiece keeps a piece, unless it is there.
	PutPiece(h PieceHash, body []byte) error
	// Packs and Piece do what the Store's own do; that a piece is not there spoils nothing.
	Packs() ([]Pack, error)
	Piece(h PieceHash) ([]byte, error)
	// AddPack adds a version. The same again changes nothing; ErrExists when that
	// version is there and is another.
	AddPack(p Pack) error
}
