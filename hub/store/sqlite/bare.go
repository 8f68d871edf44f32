package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
)

// BareInsert is what the hub's speed is measured against: it inserts entries
// into the same tables of a new database at path by a loop that does nothing
// else. Connection, settings and statements are the store's own, perTx entries
// a transaction; chains and terms have their numbers and every row is ready
// before the clock starts. It returns what the loop took.
func BareInsert(ctx context.Context, path string, es []store.Entry, perTx int) (took time.Duration, err error) {
	s, err := Open(ctx, path, Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	rows := make([][insertColumns]any, len(es))
	err = s.write(ctx, "number what the rows name", func(w *writer) error {
		for i := range es {
			if err := w.row(&rows[i], &es[i]); err != nil {
				return fmt.Errorf("entry %s: %w", es[i].Dot, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for len(rows) > 0 {
		n := min(perTx, len(rows))
		if err := s.write(ctx, "insert rows", func(w *writer) error { return w.bare(rows[:n]) }); err != nil {
			return 0, err
		}
		rows = rows[n:]
	}
	return time.Since(began), nil
}

// row gives an entry's columns in insertSQL's order.
func (w *writer) row(into *[insertColumns]any, e *store.Entry) error {
	chain, err := w.chain(e.Dot.Chain, true)
	if err != nil {
		return err
	}
	verdict, err := verdictNumber(e.Judgement.Verdict)
	if err != nil {
		return err
	}
	var ids [5]any
	for i, word := range [...]string{e.Judgement.Code, e.Form, e.EntityType, e.Actor, string(e.Via)} {
		if ids[i], err = w.term(word); err != nil {
			return err
		}
	}
	if e.Dot.Seq > dot.MaxSeq {
		return fmt.Errorf("seq %d is above the highest possible", e.Dot.Seq)
	}
	public, private, privateHash := parts(e.Raw)
	*into = [insertColumns]any{
		chain, int64(e.Dot.Seq), verdict, ids[0], ids[1], int64(e.FormVersion), ids[2], ids[3], ids[4], //nolint:gosec // checked above
		e.DeviceTime, e.CorrectedTime, e.ReceivedAt, text(e.Entity), text(e.Judgement.Words), e.Hash[:], public, private, privateHash,
	}
	return nil
}

func (w *writer) bare(rows [][insertColumns]any) error {
	for len(rows) > 0 {
		sql, n := insertOne, 1
		if len(rows) >= rowsAtOnce {
			sql, n = insertMany, rowsAtOnce
		}
		st, err := w.stmt(sql)
		if err != nil {
			return err
		}
		for i := range n {
			if err := bindAt(st, i*insertColumns, rows[i][:]); err != nil {
				return err
			}
		}
		if err := st.Exec(); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
