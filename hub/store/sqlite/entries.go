package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

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
		}
		return nil
	})
}

// insert runs one statement, which has room for exactly es.
func (t *tx) insert(sql string, es []store.Entry) error {
	s, err := t.w.stmt(sql)
	if err != nil {
		return err
	}
	for i := range es {
		if err := t.bindEntry(s, 1+i*insertColumns, &es[i]); err != nil {
			return fmt.Errorf("entry %s: %w", es[i].Dot, err)
		}
	}
	if err := s.Exec(); err != nil {
		if errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) {
			return fmt.Errorf("entry %s: %w", t.taken(es), store.ErrExists)
		}
		return err
	}
	return nil
}

// taken finds the entry that made an insert fail: one that the ledger holds,
// or the second of two with the same dot.
func (t *tx) taken(es []store.Entry) dot.Dot {
	seen := make(map[dot.Dot]bool, len(es))
	for _, e := range es {
		have, err := t.hashes(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq))
		if seen[e.Dot] || (err == nil && len(have) > 0) {
			return e.Dot
		}
		seen[e.Dot] = true
	}
	return es[0].Dot
}

// binder binds parameters one after the other and keeps the first error.
type binder struct {
	s   *sqlite3.Stmt
	at  int
	err error
}

func (b *binder) note(err error) {
	if b.err == nil {
		b.err = err
	}
	b.at++
}

func (b *binder) int(v int64) { b.note(b.s.BindInt64(b.at, v)) }

// id binds the number of a term, NULL for none.
func (b *binder) id(v any) {
	if id, ok := v.(int64); ok {
		b.int(id)
		return
	}
	b.note(b.s.BindNull(b.at))
}

// text binds a text, NULL for an empty one.
func (b *binder) text(v string) {
	if v == "" {
		b.note(b.s.BindNull(b.at))
		return
	}
	b.note(b.s.BindText(b.at, v))
}

// blob binds bytes, NULL for nil.
func (b *binder) blob(v []byte) { b.note(b.s.BindBlob(b.at, v)) }

// bindEntry binds one entry's columns from parameter at on, in insertSQL's order.
func (t *tx) bindEntry(s *sqlite3.Stmt, at int, e *store.Entry) (err error) {
	if err := checkRun(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq)); err != nil {
		return err
	}
	if t.lastID == 0 || t.last != e.Dot.Chain { // a frame's entries are of one chain
		if t.lastID, err = t.w.chain(e.Dot.Chain, true); err != nil {
			return err
		}
		t.last = e.Dot.Chain
	}
	chain := t.lastID
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
	b := binder{s: s, at: at}
	b.int(chain)
	b.int(int64(e.Dot.Seq)) //nolint:gosec // checked above
	b.int(verdict)
	b.id(ids[0])
	b.id(ids[1])
	b.int(int64(e.FormVersion))
	b.id(ids[2])
	b.id(ids[3])
	b.id(ids[4])
	b.int(e.DeviceTime)
	b.int(e.CorrectedTime)
	b.int(e.ReceivedAt)
	b.text(e.Entity)
	b.text(e.Judgement.Words)
	b.blob(e.Hash[:])
	public, private, privateHash := parts(e.Raw)
	b.blob(public)
	b.blob(private)
	b.blob(privateHash)
	t.count(chain, verdict, 1)
	return b.err
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
		func(s *sqlite3.Stmt) error {
			var h entry.Hash
			if err := digest(s, 1, h[:]); err != nil {
				return err
			}
			out[dot.Seq(s.ColumnInt64(0))] = h //nolint:gosec // never negative
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
			func(s *sqlite3.Stmt) error {
				e, err := scanEntry(s, true)
				out = append(out, e.Entry)
				return err
			})
	})
	return out, err
}
