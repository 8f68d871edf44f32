package tables

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
)

// SetFinding opens a finding, or updates the open one of its code.
func (s *Store) SetFinding(ctx context.Context, f store.Finding) error {
	return s.write(ctx, "note finding "+f.Code+" of "+string(f.Device), func(w *writer) error { return w.setFinding(f) })
}

// SetFinding does so as part of a transaction.
func (t *tx) SetFinding(f store.Finding) error {
	return t.do("note finding "+f.Code+" of "+string(f.Device)+" as part of", dot.Chain{}, func() error { return t.w.setFinding(f) })
}

func (w *writer) setFinding(f store.Finding) error {
	err := w.exec("UPDATE findings SET words = ?, value = ?, updated_at = ? WHERE device = ? AND code = ? AND closed_at = 0",
		f.Words, f.Value, f.UpdatedAt, string(f.Device), f.Code)
	if err != nil || w.changed > 0 {
		return err
	}
	return w.exec("INSERT INTO findings (device, code, words, value, opened_at, updated_at, closed_at) VALUES (?, ?, ?, ?, ?, ?, 0)",
		string(f.Device), f.Code, f.Words, f.Value, f.OpenedAt, f.UpdatedAt)
}

// ClearFinding closes the device's open finding of that code, if there is one.
func (s *Store) ClearFinding(ctx context.Context, d dot.Device, code string, at int64) error {
	return s.write(ctx, "clear finding "+code+" of "+string(d), func(w *writer) error {
		return w.exec("UPDATE findings SET closed_at = ?, updated_at = ? WHERE device = ? AND code = ? AND closed_at = 0",
			max(at, 1), at, string(d), code)
	})
}

// Findings lists findings by opening time.
func (s *Store) Findings(ctx context.Context, closed bool) (out []store.Finding, err error) {
	sql := "SELECT device, code, words, value, opened_at, updated_at, closed_at FROM findings WHERE closed_at = 0 ORDER BY opened_at, id"
	if closed {
		sql = "SELECT device, code, words, value, opened_at, updated_at, closed_at FROM findings ORDER BY opened_at, id"
	}
	err = s.read(ctx, "list findings", func(c *conn) error {
		return c.each(sql, nil, func(r Row) error {
			out = append(out, store.Finding{
				Device: dot.Device(r.Text(0)), Code: r.Text(1), Words: r.Text(2), Value: r.Int64(3),
				OpenedAt: r.Int64(4), UpdatedAt: r.Int64(5), ClosedAt: r.Int64(6),
			})
			return nil
		})
	})
	return out, err
}

// PutUnattributed stores a frame that nobody vouches for, once for each way by
// which it came.
func (s *Store) PutUnattributed(ctx context.Context, u store.Unattributed) (isNew bool, err error) {
	h := sha256.New()
	h.Write(u.Frame)
	sum := h.Sum(binary.BigEndian.AppendUint64(nil, uint64(max(u.Size, 0))))
	frame := u.Frame
	if len(frame) > store.MaxKeptFrame {
		frame = frame[:store.MaxKeptFrame]
	}
	if frame == nil {
		frame = []byte{}
	}
	err = s.write(ctx, "set a frame aside", func(w *writer) error {
		found, err := w.one("SELECT id FROM unattributed WHERE digest = ? AND via = ?", []any{sum, string(u.Via)}, func(Row) error { return nil })
		if err != nil || found {
			return err
		}
		var last int64
		if err := w.number("SELECT coalesce(max(id), 0) FROM unattributed", nil, &last); err != nil {
			return err
		}
		// Only the oldest go, so that no id comes back. A database that counts by
		// itself would leave holes behind what was rolled back.
		last++
		err = w.exec("INSERT INTO unattributed (id, received_at, via, claims, code, words, size, digest, frame) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			last, u.ReceivedAt, string(u.Via), string(u.Claims), u.Code, u.Words, int64(u.Size), sum, frame)
		if err != nil {
			return err
		}
		if err := w.exec("DELETE FROM unattributed WHERE id <= ?", last-store.MaxUnattributed); err != nil {
			return err
		}
		isNew = true
		return w.exec("UPDATE counters SET n = n + 1 WHERE name = 'unattributed'")
	})
	return isNew && err == nil, err
}

// Unattributed lists what is kept, oldest first, without the frames.
func (s *Store) Unattributed(ctx context.Context) (out []store.Unattributed, err error) {
	err = s.read(ctx, "list unattributed frames", func(c *conn) error {
		return c.each("SELECT id, received_at, via, claims, code, words, size FROM unattributed ORDER BY id", nil, func(r Row) error {
			out = append(out, store.Unattributed{
				ID: r.Int64(0), ReceivedAt: r.Int64(1), Via: dot.Device(r.Text(2)), Claims: dot.Device(r.Text(3)),
				Code: r.Text(4), Words: r.Text(5), Size: int(r.Int64(6)),
			})
			return nil
		})
	})
	return out, err
}

// UnattributedFrame reads the kept bytes of one of them.
func (s *Store) UnattributedFrame(ctx context.Context, id int64) (frame []byte, err error) {
	err = s.read(ctx, fmt.Sprintf("unattributed frame %d", id), func(c *conn) error {
		found, err := c.one("SELECT frame FROM unattributed WHERE id = ?", []any{id}, func(r Row) error {
			frame = blob(r, 0)
			return nil
		})
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return frame, err
}
