package tables

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"otor/hub/store"
)

// rosterPage is how many lines of a list are read at a time.
const rosterPage = 2000

const rosterColumns = "kind, import, at, by, file, digest, columns, row_count, matched, matched_at FROM rosters"

func scanRoster(r Row) store.RosterList {
	return store.RosterList{
		Kind: r.Text(0), Import: uint64(r.Int64(1)), At: r.Int64(2), By: r.Text(3), File: r.Text(4), //nolint:gosec // never negative
		Digest: r.Text(5), Columns: json.RawMessage(r.Text(6)), Rows: int(r.Int64(7)), Matched: uint64(r.Int64(8)), MatchedAt: r.Int64(9), //nolint:gosec // the same
	}
}

// Rosters lists the lists.
func (s *Store) Rosters(ctx context.Context) (out []store.RosterList, err error) {
	err = s.read(ctx, "list rosters", func(c *conn) error {
		return c.each("SELECT "+rosterColumns+" ORDER BY kind", nil, func(r Row) error { out = append(out, scanRoster(r)); return nil })
	})
	return out, err
}

const rosterRowColumns = "r.row_key, r.line, r.name, r.number, r.birth, r.phone, r.place, r.problems, r.since, r.until"

// scanRosterRow reads a row from a column on.
func scanRosterRow(r Row, i int) store.RosterRow {
	return store.RosterRow{
		Key: r.Text(i), Line: int(r.Int64(i + 1)), Name: r.Text(i + 2), Number: r.Text(i + 3), Birth: r.Text(i + 4),
		Phone: r.Text(i + 5), Place: r.Text(i + 6), Problems: json.RawMessage(r.Text(i + 7)),
		Since: uint64(r.Int64(i + 8)), Until: uint64(r.Int64(i + 9)), //nolint:gosec // never negative
	}
}

// paged lists what a query gives page by page: next reads up to rosterPage rows behind
// the last one that was given.
func paged[T any](next func(last *T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last *T
		for {
			page, err := next(last)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) < rosterPage {
				return
			}
			last = &page[len(page)-1]
		}
	}
}

// RosterRows lists the rows that stand.
func (s *Store) RosterRows(ctx context.Context, kind string) iter.Seq2[store.RosterRow, error] {
	return paged(func(last *store.RosterRow) (page []store.RosterRow, err error) {
		after := ""
		if last != nil {
			after = last.Key
		}
		err = s.read(ctx, "list rows of roster "+kind, func(c *conn) error {
			return c.each("SELECT "+rosterRowColumns+" FROM roster_rows r WHERE r.kind = ? AND r.row_key > ? AND r.until = 0 ORDER BY r.row_key LIMIT ?",
				[]any{kind, after, int64(rosterPage)}, func(r Row) error { page = append(page, scanRosterRow(r, 0)); return nil })
		})
		return page, err
	})
}

// RosterHistory lists what a row said.
func (s *Store) RosterHistory(ctx context.Context, kind, key string) (out []store.RosterRow, err error) {
	err = s.read(ctx, "history of a row of roster "+kind, func(c *conn) error {
		return c.each("SELECT "+rosterRowColumns+" FROM roster_rows r WHERE r.kind = ? AND r.row_key = ? ORDER BY r.since", []any{kind, key},
			func(r Row) error { out = append(out, scanRosterRow(r, 0)); return nil })
	})
	return out, err
}

const rosterMatchColumns = "m.row_key, m.line, m.standing, m.person, m.waits, m.seen, m.evidence"

func scanRosterMatch(r Row) store.RosterMatch {
	return store.RosterMatch{
		Key: r.Text(0), Line: int(r.Int64(1)), Standing: r.Text(2), Person: r.Text(3), Open: int(r.Int64(4)) == 1, Seen: r.Text(5),
		Evidence: json.RawMessage(r.Text(6)),
	}
}

// linesQuery is the query for lines; its parameters are kind, line, key, limit, and the
// one that is searched by.
func linesQuery(q store.RosterQuery) (sql string, args []any) {
	sql = "SELECT " + rosterMatchColumns + ", " + rosterRowColumns + ", d.ruling FROM roster_matches m" +
		" LEFT JOIN roster_rows r ON r.kind = m.kind AND r.row_key = m.row_key AND r.until = 0" +
		" LEFT JOIN roster_rulings d ON d.kind = m.kind AND d.row_key = m.row_key" +
		" WHERE m.kind = ?1 AND (m.line, m.row_key) > (?2, ?3)"
	args = []any{q.Kind, int64(q.AfterLine), q.AfterKey, int64(rosterPage)}
	if q.Standing != "" {
		sql += " AND m.standing = ?5"
		args = append(args, q.Standing)
	} else if q.Key != "" {
		sql += " AND m.row_key = ?5"
		args = append(args, q.Key)
	}
	if q.Open {
		sql += " AND m.waits = 1"
	}
	return sql + " ORDER BY m.line, m.row_key LIMIT ?4", args
}

// RosterLines lists matched lines.
func (s *Store) RosterLines(ctx context.Context, q store.RosterQuery) iter.Seq2[store.RosterLine, error] {
	all := paged(func(last *store.RosterLine) (page []store.RosterLine, err error) {
		if last != nil {
			q.AfterLine, q.AfterKey = last.Line, last.Key
		}
		sql, args := linesQuery(q)
		if q.Limit > 0 && q.Limit < rosterPage {
			args[3] = int64(q.Limit)
		}
		err = s.read(ctx, "list lines of roster "+q.Kind, func(c *conn) error {
			return c.each(sql, args, func(r Row) error {
				l := store.RosterLine{RosterMatch: scanRosterMatch(r)}
				if !r.Null(7) {
					row := scanRosterRow(r, 7)
					l.Row = &row
				}
				if !r.Null(17) {
					l.Ruling = new(store.RosterRuling)
					if err := json.Unmarshal([]byte(r.Text(17)), l.Ruling); err != nil {
						return fmt.Errorf("%w: ruling on %s: %w", ErrDamagedRow, l.Key, err)
					}
				}
				page = append(page, l)
				return nil
			})
		})
		return page, err
	})
	if q.Limit <= 0 {
		return all
	}
	return func(yield func(store.RosterLine, error) bool) {
		left := q.Limit
		for l, err := range all {
			if !yield(l, err) || err != nil {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// RosterMatches lists the matches of a list.
func (s *Store) RosterMatches(ctx context.Context, kind string) iter.Seq2[store.RosterMatch, error] {
	return paged(func(last *store.RosterMatch) (page []store.RosterMatch, err error) {
		after := ""
		if last != nil {
			after = last.Key
		}
		err = s.read(ctx, "list matches of roster "+kind, func(c *conn) error {
			return c.each("SELECT "+rosterMatchColumns+" FROM roster_matches m WHERE m.kind = ? AND m.row_key > ? ORDER BY m.row_key LIMIT ?",
				[]any{kind, after, int64(rosterPage)}, func(r Row) error { page = append(page, scanRosterMatch(r)); return nil })
		})
		return page, err
	})
}

func scanRuling(r Row) (d store.RosterRuling, err error) {
	if err := json.Unmarshal([]byte(r.Text(0)), &d); err != nil {
		return d, fmt.Errorf("%w: a ruling on a roster: %w", ErrDamagedRow, err)
	}
	return d, nil
}

// RosterRulings lists what was decided.
func (s *Store) RosterRulings(ctx context.Context, kind string) iter.Seq2[store.RosterRuling, error] {
	return paged(func(last *store.RosterRuling) (page []store.RosterRuling, err error) {
		after := ""
		if last != nil {
			after = last.Key
		}
		err = s.read(ctx, "list rulings on roster "+kind, func(c *conn) error {
			return c.each("SELECT ruling FROM roster_rulings WHERE kind = ? AND row_key > ? ORDER BY row_key LIMIT ?",
				[]any{kind, after, int64(rosterPage)}, func(r Row) error {
					d, err := scanRuling(r)
					page = append(page, d)
					return err
				})
		})
		return page, err
	})
}

// RosterCounts counts the matched lines.
func (s *Store) RosterCounts(ctx context.Context) (out []store.RosterCount, err error) {
	err = s.read(ctx, "count the lines of rosters", func(c *conn) error {
		return c.each("SELECT kind, standing, count(*), CAST(sum(waits) AS BIGINT) FROM roster_matches GROUP BY kind, standing ORDER BY kind, standing", nil, func(r Row) error {
			out = append(out, store.RosterCount{Kind: r.Text(0), Standing: r.Text(1), Lines: r.Int64(2), Open: r.Int64(3)})
			return nil
		})
	})
	return out, err
}

// PutRosterMatches writes what comparing came to.
func (s *Store) PutRosterMatches(ctx context.Context, kind string, imported uint64, at int64, put []store.RosterMatch, drop []string) (done bool, err error) {
	err = s.write(ctx, "write matches of roster "+kind, func(w *writer) error {
		done, err = w.one("UPDATE rosters SET matched = import, matched_at = ? WHERE kind = ? AND import = ? RETURNING import", []any{at, kind, int64(imported)}, //nolint:gosec // a count
			func(Row) error { return nil })
		if err != nil || !done {
			return err
		}
		for _, key := range drop {
			if err := w.exec("DELETE FROM roster_matches WHERE kind = ? AND row_key = ?", kind, key); err != nil {
				return err
			}
		}
		for _, m := range put {
			waits := int64(0)
			if m.Open {
				waits = 1
			}
			err := w.exec("INSERT INTO roster_matches (kind, row_key, line, standing, person, waits, seen, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"+
				" ON CONFLICT (kind, row_key) DO UPDATE SET line = excluded.line, standing = excluded.standing, person = excluded.person,"+
				" waits = excluded.waits, seen = excluded.seen, evidence = excluded.evidence",
				kind, m.Key, int64(m.Line), m.Standing, m.Person, waits, m.Seen, string(m.Evidence))
			if err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// RosterOf gives a list.
func (t *tx) RosterOf(kind string) (l store.RosterList, ok bool, err error) {
	err = t.authored("read roster "+kind, func() error {
		ok, err = t.w.one("SELECT "+rosterColumns+" WHERE kind = ?", []any{kind}, func(r Row) error { l = scanRoster(r); return nil })
		return err
	})
	return l, ok, err
}

// PutRoster writes a list.
func (t *tx) PutRoster(l store.RosterList) error {
	return t.authored("write roster "+l.Kind, func() error {
		return t.w.exec("INSERT INTO rosters (kind, import, at, by, file, digest, columns, row_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (kind) DO UPDATE SET import = excluded.import, at = excluded.at, by = excluded.by, file = excluded.file, digest = excluded.digest,"+
			" columns = excluded.columns, row_count = excluded.row_count",
			l.Kind, int64(l.Import), l.At, l.By, l.File, l.Digest, string(l.Columns), int64(l.Rows)) //nolint:gosec // a count
	})
}

// PutRosterRows has rows stand.
func (t *tx) PutRosterRows(kind string, imported uint64, rows []store.RosterRow) error {
	return t.authored("write rows of roster "+kind, func() error {
		for _, r := range rows {
			if err := t.w.endRosterRow(kind, imported, r.Key); err != nil {
				return err
			}
			err := t.w.exec("INSERT INTO roster_rows (kind, row_key, since, until, line, name, number, birth, phone, place, problems) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
				kind, r.Key, int64(imported), int64(r.Line), r.Name, r.Number, r.Birth, r.Phone, r.Place, string(r.Problems)) //nolint:gosec // a count
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *writer) endRosterRow(kind string, imported uint64, key string) error {
	return w.exec("UPDATE roster_rows SET until = ? WHERE kind = ? AND row_key = ? AND until = 0", int64(imported), kind, key) //nolint:gosec // a count
}

// EndRosterRows ends rows.
func (t *tx) EndRosterRows(kind string, imported uint64, keys []string) error {
	return t.authored("end rows of roster "+kind, func() error {
		for _, key := range keys {
			if err := t.w.endRosterRow(kind, imported, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// MoveRosterRows notes where rows stand now.
func (t *tx) MoveRosterRows(kind string, lines map[string]int) error {
	return t.authored("move rows of roster "+kind, func() error {
		for key, line := range lines {
			if err := t.w.exec("UPDATE roster_rows SET line = ? WHERE kind = ? AND row_key = ? AND until = 0", int64(line), kind, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// StageRoster keeps a piece of a list.
func (t *tx) StageRoster(h store.PieceHash, body []byte) error {
	return t.authored("keep a piece of a roster", func() error {
		return t.w.exec("INSERT INTO roster_pieces (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING", h[:], body)
	})
}

// StagedRoster gives a piece of a list back.
func (t *tx) StagedRoster(h store.PieceHash) (body []byte, err error) {
	found, err := t.w.one("SELECT body FROM roster_pieces WHERE hash = ?", []any{h[:]}, func(r Row) error { body = blob(r, 0); return nil })
	if err == nil && !found {
		err = fmt.Errorf("piece %x of a roster: %w", h, store.ErrNotFound)
	}
	return body, err
}

// DropStagedRoster forgets all pieces of lists.
func (t *tx) DropStagedRoster() error {
	return t.authored("forget pieces of a roster", func() error { return t.w.exec("DELETE FROM roster_pieces") })
}

// RosterRulingOf gives what was decided about a row.
func (t *tx) RosterRulingOf(kind, key string) (d store.RosterRuling, ok bool, err error) {
	err = t.authored("read a ruling on roster "+kind, func() error {
		ok, err = t.w.one("SELECT ruling FROM roster_rulings WHERE kind = ? AND row_key = ?", []any{kind, key},
			func(r Row) (err error) { d, err = scanRuling(r); return err })
		return err
	})
	return d, ok, err
}

// PutRosterRuling writes what was decided about a row.
func (t *tx) PutRosterRuling(d store.RosterRuling) error {
	return t.authored("write a ruling on roster "+d.Kind, func() error {
		b, err := json.Marshal(d)
		if err != nil {
			return err
		}
		return t.w.exec("INSERT INTO roster_rulings (kind, row_key, ruling) VALUES (?, ?, ?) ON CONFLICT (kind, row_key) DO UPDATE SET ruling = excluded.ruling",
			d.Kind, d.Key, string(b))
	})
}

// DropRosterRuling forgets what was decided about a row.
func (t *tx) DropRosterRuling(kind, key string) error {
	return t.authored("forget a ruling on roster "+kind, func() error {
		return t.w.exec("DELETE FROM roster_rulings WHERE kind = ? AND row_key = ?", kind, key)
	})
}
