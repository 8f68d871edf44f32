package tables

import (
	"context"
	"fmt"
	"math"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

const blobColumns = "hash, size, mime, entry, named_at, coalesce(got_at, 0), number, coalesce(archived_at, 0)"

func scanBlob(s Row) (b store.Blob, err error) {
	h := s.Bytes(0)
	if len(h) != len(b.Hash) {
		return b, fmt.Errorf("%w: a photo's hash has %d bytes", ErrDamagedRow, len(h))
	}
	b.Hash = entry.Hash(h)
	b.Size, b.Mime, b.NamedAt, b.GotAt, b.Number, b.ArchivedAt = uint64(s.Int64(1)), s.Text(2), s.Int64(4), s.Int64(5), s.Int64(6), s.Int64(7) //nolint:gosec // never negative
	if b.Dot, err = dot.Parse(s.Text(3)); err != nil {
		return b, fmt.Errorf("%w: the entry of photo %x: %w", ErrDamagedRow, h, err)
	}
	return b, nil
}

// NameBlobs notes what an entry names.
func (t *tx) NameBlobs(d dot.Dot, at int64, blobs []entry.Blob) error {
	return t.do("note photos of", d.Chain, func() error {
		for _, b := range blobs {
			err := t.w.later("INSERT INTO blobs (hash, size, mime, device, entry, named_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				b.Hash[:], int64(min(b.Size, 1<<62)), b.Mime, string(d.Device), d.String(), at) //nolint:gosec // bounded
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Blob gives one file.
func (s *Store) Blob(ctx context.Context, h entry.Hash) (b store.Blob, err error) {
	err = s.read(ctx, "read a photo", func(c *conn) error {
		found, err := c.one("SELECT "+blobColumns+" FROM blobs WHERE hash = ?", []any{h[:]}, func(r Row) (err error) { b, err = scanBlob(r); return err })
		if err == nil && !found {
			err = fmt.Errorf("photo %x: %w", h, store.ErrNotFound)
		}
		return err
	})
	return b, err
}

// Blobs lists files in the order in which they were named.
func (s *Store) Blobs(ctx context.Context, q store.BlobQuery) (out []store.Blob, err error) {
	where, args := " WHERE 1 = 1", []any(nil)
	if q.Missing {
		where += " AND got_at IS NULL"
	}
	if q.Lost {
		where += " AND lost = 1"
	}
	if q.Device != "" {
		where += " AND device = ?"
		args = append(args, string(q.Device))
	}
	if !q.Entry.IsZero() {
		where += " AND entry = ?"
		args = append(args, q.Entry.String())
	}
	for _, bound := range []struct {
		at  int64
		sql string
	}{{q.From, " AND named_at >= ?"}, {q.Until, " AND named_at < ?"}, {q.Before, " AND number < ?"}} {
		if bound.at != 0 {
			where += bound.sql
			args = append(args, bound.at)
		}
	}
	order := " ORDER BY number"
	if q.Newest {
		order += " DESC"
	}
	limit := int64(math.MaxInt64)
	if q.Limit > 0 {
		limit = int64(q.Limit)
	}
	err = s.read(ctx, "list photos", func(c *conn) error {
		out = nil
		return c.each("SELECT "+blobColumns+" FROM blobs"+where+order+" LIMIT ?", append(args, limit), func(r Row) error {
			b, err := scanBlob(r)
			out = append(out, b)
			return err
		})
	})
	return out, err
}

// CountBlobs counts files.
func (s *Store) CountBlobs(ctx context.Context) (n store.BlobCounts, err error) {
	err = s.read(ctx, "count photos", func(c *conn) error {
		_, err := c.one("SELECT count(*), count(*) - count(got_at), CAST(coalesce(sum(size), 0) AS BIGINT), CAST(coalesce(sum(size) FILTER (WHERE got_at IS NULL), 0) AS BIGINT) FROM blobs", nil,
			func(r Row) error {
				n = store.BlobCounts{Named: r.Int64(0), Missing: r.Int64(1), NamedBytes: r.Int64(2), MissingBytes: r.Int64(3)}
				return nil
			})
		return err
	})
	return n, err
}

// SetBlobGot notes when the hub had all of a file.
func (s *Store) SetBlobGot(ctx context.Context, h entry.Hash, at int64) error {
	return s.write(ctx, "note that a photo is here", func(w *writer) error {
		var err error
		if at == 0 {
			err = w.exec("UPDATE blobs SET lost = CASE WHEN got_at IS NOT NULL THEN 1 ELSE lost END, got_at = NULL, archived_at = NULL WHERE hash = ?", h[:])
		} else {
			err = w.exec("UPDATE blobs SET got_at = ?, lost = 0 WHERE hash = ?", at, h[:])
		}
		if err == nil && w.changed == 0 {
			err = fmt.Errorf("photo %x: %w", h, store.ErrNotFound)
		}
		return err
	})
}

// ArchiveBlobs notes which files lie in two verified backups.
func (s *Store) ArchiveBlobs(ctx context.Context, held []entry.Hash, gotBefore, at int64) (n int64, err error) {
	err = s.write(ctx, "note which photos are archived", func(w *writer) error {
		n = 0
		for _, h := range held {
			if err := w.exec("UPDATE blobs SET archived_at = ? WHERE hash = ? AND got_at < ? AND archived_at IS NULL", at, h[:], gotBefore); err != nil {
				return err
			}
			n += w.changed
		}
		return nil
	})
	return n, err
}
