package tables

import (
	"errors"
	"fmt"
	"strings"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// Entries are inserted rowsAtOnce a statement, as long as so many are left;
// the last ones one by one. insertColumns is the number of their columns.
const (
	rowsAtOnce    = 50
	insertColumns = 18
)

var (
	insertOne  = insertSQL(1)
	insertMany = insertSQL(rowsAtOnce)
)

func insertSQL(rows int) string {
	row := "(" + strings.Repeat("?, ", insertColumns-1) + "?)"
	return "INSERT INTO entries (chain, seq, verdict, code, form, form_version, entity_type, actor, via, device_time, corrected_time," +
		" received_at, entity, words, hash, public, private, private_hash) VALUES " + strings.Repeat(row+", ", rows-1) + row
}

func (t *tx) Insert(es []store.Entry) error {
	if len(es) == 0 {
		return nil
	}
	return t.do("insert entries of", es[0].Dot.Chain, func() error {
		for len(es) > 0 {
			sql, n := insertOne, 1
			if len(es) >= rowsAtOnce {
				sql, n = insertMany, rowsAtOnce
			}
			if err := t.insert(sql, es[:n]); err != nil {
				return err
			}
			es = es[n:]
			if len(t.found) > mostPostings {
				if err := t.saveFound(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// insert runs one statement, which has room for exactly es.
func (t *tx) insert(sql string, es []store.Entry) error {
	t.w.args = t.w.args[:0]
	for i := range es {
		if err := t.entryArgs(&es[i]); err != nil {
			return fmt.Errorf("entry %s: %w", es[i].Dot, err)
		}
	}
	err := t.w.exec(sql, t.w.args...)
	if errors.Is(err, ErrTaken) {
		return fmt.Errorf("%s: %w (%w)", t.taken(es), store.ErrExists, err)
	}
	return err
}

// taken names the entry that made an insert fail: one that the ledger holds, or
// the second of two with the same dot. A database that answers nothing after an
// error leaves it at the run.
func (t *tx) taken(es []store.Entry) string {
	seen := make(map[dot.Dot]bool, len(es))
	for _, e := range es {
		have, err := t.hashes(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq))
		if seen[e.Dot] || (err == nil && len(have) > 0) {
			return "entry " + e.Dot.String()
		}
		seen[e.Dot] = true
	}
	return fmt.Sprintf("one of the entries %s to %s", es[0].Dot, es[len(es)-1].Dot)
}

// entryArgs adds one entry's columns to the writer's arguments, in insertSQL's order.
func (t *tx) entryArgs(e *store.Entry) (err error) {
	if err := checkRun(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq)); err != nil {
		return err
	}
	if t.lastID == 0 || t.last != e.Dot.Chain { // a frame's entries are of one chain
		if t.lastID, err = t.w.chain(e.Dot.Chain, true); err != nil {
			return err
		}
		t.last = e.Dot.Chain
	}
	verdict, err := verdictNumber(e.Judgement.Verdict)
	if err != nil {
		return err
	}
	var ids [5]any
	for i, word := range [...]string{e.Judgement.Code, e.Form, e.EntityType, e.Actor, string(e.Via)} {
		if ids[i], err = t.w.term(word); err != nil {
			return err
		}
	}
	public, private, privateHash := parts(e.Raw)
	t.w.args = append(
		t.w.args, t.lastID, int64(e.Dot.Seq), verdict, ids[0], ids[1], int64(e.FormVersion), ids[2], ids[3], ids[4], //nolint:gosec // checked above
		e.DeviceTime, e.CorrectedTime, e.ReceivedAt, text(e.Entity), text(e.Judgement.Words), e.Hash[:], public, private, privateHash,
	)
	t.count(t.lastID, verdict, 1)
	place := store.Place{Time: e.CorrectedTime, Chain: t.lastID, Seq: int64(e.Dot.Seq)} //nolint:gosec // checked above
	t.index(place, wordsOf(verdict))
	t.index(place, e.Words)
	return nil
}

func (t *tx) Hashes(c dot.Chain, run lane.Range) (out map[dot.Seq]entry.Hash, err error) {
	err = t.do("read hashes of", c, func() (err error) { out, err = t.hashes(c, run); return err })
	return out, err
}

func (t *tx) hashes(c dot.Chain, run lane.Range) (map[dot.Seq]entry.Hash, error) {
	if err := checkRun(c, run); err != nil {
		return nil, err
	}
	out := make(map[dot.Seq]entry.Hash)
	id, err := t.w.chain(c, false)
	if err != nil || id == 0 {
		return out, err
	}
	err = t.w.each("SELECT seq, hash FROM entries WHERE chain = ? AND seq BETWEEN ? AND ?", []any{id, int64(run.First), int64(run.Last)}, //nolint:gosec // checked above
		func(s Row) error {
			var h entry.Hash
			if err := digest(s, 1, h[:]); err != nil {
				return err
			}
			out[dot.Seq(s.Int64(0))] = h //nolint:gosec // never negative
			return nil
		})
	return out, err
}

func (t *tx) Entries(c dot.Chain, run lane.Range) (out []store.Entry, err error) {
	err = t.do("read entries of", c, func() error {
		if err := checkRun(c, run); err != nil {
			return err
		}
		id, err := t.w.chain(c, false)
		if err != nil || id == 0 {
			return err
		}
		return t.w.each("SELECT "+entryColumns+rawColumns+entryTables+" WHERE e.chain = ? AND e.seq BETWEEN ? AND ? ORDER BY e.seq",
			[]any{id, int64(run.First), int64(run.Last)}, //nolint:gosec // checked above
			func(s Row) error {
				e, err := scanEntry(s, true)
				out = append(out, e.Entry)
				return err
			})
	})
	return out, err
}
