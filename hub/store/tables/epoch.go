package tables

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// Epoch reads the database's certificate, minting it the first time.
func (s *Store) Epoch(ctx context.Context, mint func() (receipt.EpochCertificate, error)) (cert receipt.EpochCertificate, err error) {
	err = s.write(ctx, "epoch", func(w *writer) error {
		found, err := epochOf(w.conn, &cert)
		if err != nil || found {
			return err
		}
		if cert, err = mint(); err != nil {
			return err
		}
		return w.exec("INSERT INTO epoch (\"only\", epoch, parent, lineage, minted) VALUES (1, ?, ?, ?, ?)",
			cert.Epoch[:], cert.Parent[:], int64(cert.Lineage), cert.Minted)
	})
	if err != nil {
		return receipt.EpochCertificate{}, err
	}
	return cert, nil
}

func epochOf(c *conn, into *receipt.EpochCertificate) (found bool, err error) {
	return c.one("SELECT epoch, parent, lineage, minted FROM epoch", nil, func(r Row) error {
		into.Lineage, into.Minted = uint32(r.Int64(2)), r.Int64(3) //nolint:gosec // was one when it was stored
		return errors.Join(digest(r, 0, into.Epoch[:]), digest(r, 1, into.Parent[:]))
	})
}

// Succeed replaces the epoch, unless somebody else did before.
func (s *Store) Succeed(ctx context.Context, was receipt.Epoch, child receipt.EpochCertificate, losses []store.Loss) (now receipt.EpochCertificate, minted bool, err error) {
	err = s.write(ctx, "begin epoch "+child.Epoch.String(), func(w *writer) error {
		minted = false
		found, err := epochOf(w.conn, &now)
		switch {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("the database has no epoch yet: %w", store.ErrNotFound)
		case now.Epoch != was:
			return nil
		}
		if err := w.exec("UPDATE epoch SET epoch = ?, parent = ?, lineage = ?, minted = ?",
			child.Epoch[:], child.Parent[:], int64(child.Lineage), child.Minted); err != nil {
			return err
		}
		now, minted = child, true
		return w.noteLosses(losses)
	})
	return now, minted && err == nil, err
}

// NoteLosses notes what devices say is missing.
func (s *Store) NoteLosses(ctx context.Context, losses []store.Loss) error {
	return s.write(ctx, "note losses", func(w *writer) error { return w.noteLosses(losses) })
}

func (w *writer) noteLosses(losses []store.Loss) error {
	for _, l := range losses {
		if err := w.noteLoss(l); err != nil {
			return fmt.Errorf("note that %s %s is missing: %w", l.Chain, l.Run, err)
		}
	}
	return nil
}

// noteLoss opens the chain's loss, or widens the open one.
func (w *writer) noteLoss(l store.Loss) error {
	if err := checkRun(l.Chain, l.Run); err != nil {
		return err
	}
	id, err := w.chain(l.Chain, true)
	if err != nil {
		return err
	}
	received, err := w.received(id)
	if err != nil {
		return err
	}
	missing := missingIn(received, l.Run)
	if missing == 0 {
		return nil
	}
	open, found, err := w.openLoss(id)
	if err != nil {
		return err
	}
	if !found {
		return w.exec("INSERT INTO losses (chain, epoch, first, last, missing, noted_at) VALUES (?, ?, ?, ?, ?, ?)",
			id, l.Epoch[:], int64(l.Run.First), int64(l.Run.Last), int64(missing), l.NotedAt) //nolint:gosec // checked above
	}
	wide := lane.Run(min(open.Run.First, l.Run.First), max(open.Run.Last, l.Run.Last))
	if wide == open.Run {
		return nil
	}
	more := missingIn(received, wide) - missingIn(received, open.Run)
	return w.exec("UPDATE losses SET first = ?, last = ?, missing = missing + ?, epoch = ? WHERE chain = ? AND regained_at = 0",
		int64(wide.First), int64(wide.Last), int64(more), l.Epoch[:], id) //nolint:gosec // checked above
}

// received reads the set of received seqs of a chain.
func (w *writer) received(chain int64) (set lane.Set, err error) {
	_, err = w.one("SELECT received FROM chains WHERE id = ?", []any{chain},
		func(r Row) (err error) { set, err = decodeSet(r.Bytes(0)); return err })
	return set, err
}

func (w *writer) openLoss(chain int64) (l store.Loss, found bool, err error) {
	found, err = w.one("SELECT first, last FROM losses WHERE chain = ? AND regained_at = 0", []any{chain}, func(r Row) error {
		l.Run = lane.Run(dot.Seq(r.Int64(0)), dot.Seq(r.Int64(1))) //nolint:gosec // never negative
		return nil
	})
	return l, found, err
}

// closeLoss closes the chain's open loss when all of it is there.
func (w *writer) closeLoss(chain int64, received lane.Set, at int64) error {
	open, found, err := w.openLoss(chain)
	if err != nil || !found || missingIn(received, open.Run) > 0 {
		return err
	}
	return w.exec("UPDATE losses SET regained_at = ? WHERE chain = ? AND regained_at = 0", max(at, 1), chain)
}

// missingIn counts the seqs of r that are not in s.
func missingIn(s lane.Set, r lane.Range) uint64 {
	n := r.Len()
	for _, have := range s {
		if cut := lane.Run(max(have.First, r.First), min(have.Last, r.Last)); cut.Valid() {
			n -= cut.Len()
		}
	}
	return n
}

// Losses lists losses by the time they were noted.
func (s *Store) Losses(ctx context.Context, regained bool) (out []store.Loss, err error) {
	sql := "SELECT " + chainColumns + ", c.received, l.first, l.last, l.epoch, l.missing, l.noted_at, l.regained_at" +
		" FROM losses l JOIN chains c ON c.id = l.chain WHERE l.regained_at = 0 ORDER BY l.noted_at, l.id"
	if regained {
		sql = "SELECT " + chainColumns + ", c.received, l.first, l.last, l.epoch, l.missing, l.noted_at, l.regained_at" +
			" FROM losses l JOIN chains c ON c.id = l.chain ORDER BY l.noted_at, l.id"
	}
	err = s.read(ctx, "list losses", func(c *conn) error {
		return c.each(sql, nil, func(r Row) error {
			received, err := decodeSet(r.Bytes(3))
			if err != nil {
				return err
			}
			l := store.Loss{
				Chain: scanChain(r, 0), Run: lane.Run(dot.Seq(r.Int64(4)), dot.Seq(r.Int64(5))), //nolint:gosec // never negative
				Missing: uint64(r.Int64(7)), NotedAt: r.Int64(8), RegainedAt: r.Int64(9), //nolint:gosec // never negative
			}
			if l.RegainedAt == 0 {
				l.Left = missingIn(received, l.Run)
			}
			out = append(out, l)
			return digest(r, 6, out[len(out)-1].Epoch[:])
		})
	})
	return out, err
}
