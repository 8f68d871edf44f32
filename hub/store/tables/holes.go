package tables

import (
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
)

// errNothing is an answer, not a fault: it does not spoil the transaction.
var errNothing = errors.New("nothing of that name")

func (t *tx) AddSegment(g store.Segment) error {
	return t.do("add segment "+g.Run.String()+" of", g.Chain, func() error {
		if err := checkRun(g.Chain, g.Run); err != nil {
			return err
		}
		id, err := t.w.chain(g.Chain, true)
		if err != nil {
			return err
		}
		err = t.w.exec("INSERT INTO segments (chain, first, last, before, after) VALUES (?, ?, ?, ?, ?)",
			id, int64(g.Run.First), int64(g.Run.Last), g.Before[:], g.After[:]) //nolint:gosec // checked above
		if errors.Is(err, ErrTaken) {
			return store.ErrExists
		}
		return err
	})
}

func (t *tx) SegmentAt(c dot.Chain, first dot.Seq) (g store.Segment, err error) {
	err = t.do(fmt.Sprintf("find segment at %d of", first), c, func() error {
		id, err := t.w.chain(c, false)
		if err != nil {
			return err
		}
		found := false
		if id != 0 && first <= dot.MaxSeq {
			found, err = t.w.one("SELECT last, before, after FROM segments WHERE chain = ? AND first = ?", []any{id, int64(first)}, //nolint:gosec // checked
				func(s Row) error {
					g = store.Segment{Chain: c, Run: lane.Run(first, dot.Seq(s.Int64(0)))} //nolint:gosec // never negative
					return errors.Join(digest(s, 1, g.Before[:]), digest(s, 2, g.After[:]))
				})
		}
		if err == nil && !found {
			return errNothing
		}
		return err
	})
	return g, err
}

func (t *tx) DropSegment(g store.Segment) error {
	return t.do("drop segment "+g.Run.String()+" of", g.Chain, func() error {
		if err := checkRun(g.Chain, g.Run); err != nil {
			return err
		}
		id, err := t.w.chain(g.Chain, false)
		if err != nil {
			return err
		}
		err = t.w.exec("DELETE FROM segments WHERE chain = ? AND first = ?", id, int64(g.Run.First)) //nolint:gosec // checked above
		if err == nil && t.w.changed == 0 {
			return store.ErrNotFound
		}
		return err
	})
}

func (t *tx) OpenGaps(c dot.Chain) (out []store.Gap, err error) {
	err = t.do("read open gaps of", c, func() error {
		id, err := t.w.chain(c, false)
		if err != nil || id == 0 {
			return err
		}
		out, err = t.openGaps(id, c)
		return err
	})
	return out, err
}

func (t *tx) openGaps(id int64, c dot.Chain) (out []store.Gap, err error) {
	err = t.w.each("SELECT first, last, opened_at FROM gaps WHERE chain = ? AND closed_at = 0 ORDER BY first", []any{id},
		func(s Row) error {
			run := lane.Run(dot.Seq(s.Int64(0)), dot.Seq(s.Int64(1))) //nolint:gosec // never negative
			out = append(out, store.Gap{Chain: c, Run: run, OpenedAt: s.Int64(2)})
			return nil
		})
	return out, err
}

// SetGaps writes what is otherwise than it was, and nothing of gaps that stay.
func (t *tx) SetGaps(c dot.Chain, open, closed []store.Gap) error {
	return t.do("set gaps of", c, func() error {
		id, err := t.w.chain(c, len(open)+len(closed) > 0)
		if err != nil || id == 0 {
			return err
		}
		had, err := t.openGaps(id, c)
		if err != nil {
			return err
		}
		wanted, there := make(map[store.Gap]bool, len(open)), make(map[store.Gap]bool, len(had))
		for _, g := range open {
			if g.ClosedAt != 0 {
				return fmt.Errorf("gap %s stands among the open ones but is closed", g.Run)
			}
			wanted[g] = true
		}
		for _, g := range had {
			if there[g] = true; wanted[g] {
				continue
			}
			if err := t.w.later("DELETE FROM gaps WHERE chain = ? AND first = ? AND closed_at = 0", id, int64(g.Run.First)); err != nil { //nolint:gosec // was such when it was stored
				return err
			}
		}
		for _, g := range open {
			if there[g] {
				continue
			}
			if err := t.addGap(id, c, g); err != nil {
				return err
			}
		}
		for _, g := range closed {
			if g.ClosedAt == 0 {
				return fmt.Errorf("gap %s stands among the closed ones but is open", g.Run)
			}
			if err := t.addGap(id, c, g); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) addGap(chain int64, c dot.Chain, g store.Gap) error {
	if g.Chain != c {
		return fmt.Errorf("gap %s belongs to %s", g.Run, g.Chain)
	}
	if err := checkRun(c, g.Run); err != nil {
		return err
	}
	return t.w.later("INSERT INTO gaps (chain, first, last, opened_at, closed_at) VALUES (?, ?, ?, ?, ?)",
		chain, int64(g.Run.First), int64(g.Run.Last), g.OpenedAt, g.ClosedAt) //nolint:gosec // checked above
}

func (t *tx) AddFork(f store.Fork) (isNew bool, err error) {
	err = t.do("keep a fork of", f.Dot.Chain, func() error {
		if err := checkRun(f.Dot.Chain, lane.Run(f.Dot.Seq, f.Dot.Seq)); err != nil {
			return err
		}
		public, private, privateHash := parts(f.Raw)
		var now any
		if !f.Now.IsZero() {
			id, err := t.w.chain(f.Now.Chain, false)
			if err != nil || id == 0 {
				return errors.Join(err, errMissing(id != 0, "chain "+f.Now.Chain.String()))
			}
			now = id
		}
		err := t.w.exec("INSERT INTO forks (device, incarnation, lane, seq, hash, code, via, received_at, public, private, private_hash,"+
			" resolved_at, now_chain, now_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			string(f.Dot.Device), int64(f.Dot.Incarnation), int64(f.Dot.Lane), int64(f.Dot.Seq), f.Hash[:], //nolint:gosec // checked above
			f.Code, string(f.Via), f.ReceivedAt, public, private, privateHash, f.ResolvedAt, now, int64(f.Now.Seq)) //nolint:gosec // a dot of the ledger
		isNew = err == nil && t.w.changed > 0
		return err
	})
	return isNew, err
}
