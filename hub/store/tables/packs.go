package tables

import (
	"bytes"
	"context"
	"fmt"

	"otor/hub/store"
)

func packsOf(c *conn) (out []store.Pack, err error) {
	err = c.each("SELECT id, version, signed, at, by FROM packs ORDER BY id, version", nil, func(r Row) error {
		out = append(out, store.Pack{
			ID: r.Text(0), Version: uint32(r.Int64(1)), Signed: blob(r, 2), At: r.Int64(3), By: r.Text(4), //nolint:gosec // was one when it was stored
		})
		return nil
	})
	return out, err
}

func pieceOf(c *conn, h store.PieceHash) (body []byte, err error) {
	found, err := c.one("SELECT body FROM pack_pieces WHERE hash = ?", []any{h[:]}, func(r Row) error { body = blob(r, 0); return nil })
	if err == nil && !found {
		err = fmt.Errorf("piece %x: %w", h, store.ErrNotFound)
	}
	return body, err
}

// Packs lists the published versions.
func (s *Store) Packs(ctx context.Context) (out []store.Pack, err error) {
	err = s.read(ctx, "list packs", func(c *conn) (err error) { out, err = packsOf(c); return err })
	return out, err
}

// Piece gives a piece of packs.
func (s *Store) Piece(ctx context.Context, h store.PieceHash) (body []byte, err error) {
	err = s.read(ctx, "read a pack's piece", func(c *conn) (err error) { body, err = pieceOf(c, h); return err })
	return body, err
}

// PutPiece keeps a piece.
func (t *tx) PutPiece(h store.PieceHash, body []byte) error {
	return t.authored("keep a pack's piece", func() error {
		return t.w.exec("INSERT INTO pack_pieces (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING", h[:], body)
	})
}

// Packs lists the published versions.
func (t *tx) Packs() (out []store.Pack, err error) {
	err = t.authored("list packs", func() (err error) { out, err = packsOf(t.w.conn); return err })
	return out, err
}

// Piece gives a piece of packs.
func (t *tx) Piece(h store.PieceHash) ([]byte, error) { return pieceOf(t.w.conn, h) }

// AddPack adds a version.
func (t *tx) AddPack(p store.Pack) error {
	return t.authored(fmt.Sprintf("add pack %s version %d", p.ID, p.Version), func() error {
		var had []byte
		found, err := t.w.one("SELECT signed FROM packs WHERE id = ? AND version = ?", []any{p.ID, int64(p.Version)},
			func(r Row) error { had = blob(r, 0); return nil })
		switch {
		case err != nil:
			return err
		case found && bytes.Equal(had, p.Signed):
			return nil
		case found:
			return store.ErrExists
		}
		return t.w.exec("INSERT INTO packs (id, version, signed, at, by) VALUES (?, ?, ?, ?, ?)", p.ID, int64(p.Version), p.Signed, p.At, p.By)
	})
}
