package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// rowsAtOnce is how many rows a statement inserts, as the store does it.
const rowsAtOnce = 50

// What the bare loop copies: names are there before the clock starts, rows are
// what ingesting leaves behind of entries, of entities and of feeds.
var (
	bareNames = []string{"chains", "terms", "feeds"}
	bareRows  = []string{"entries", "entities", "entity_parents", "feed_rows", "feed_marks", "marks", "reasons", "items"}
)

// BareInsert is what the hub's speed is measured against: it inserts the rows of
// a hub's database into the same tables of a new one at path by a loop that does
// nothing else. Connection, settings, tables and indexes are the store's own,
// perTx rows a transaction; chains, terms and feeds are there and every row is
// ready in memory before the clock starts. Each row is inserted once, as it
// stands in the end. It returns what the loop took, and how many rows it inserted.
func BareInsert(ctx context.Context, from *Store, path string, perTx int) (took time.Duration, rows int, err error) {
	s, err := Open(ctx, path, Options{})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var names, all []bareTable
	err = from.read(ctx, "read the rows", func(c *conn) (err error) {
		return c.snapshot(func() error {
			if names, err = readTables(c, bareNames); err == nil {
				all, err = readTables(c, bareRows)
			}
			return err
		})
	})
	if err != nil {
		return 0, 0, err
	}
	for _, t := range names {
		if err := s.write(ctx, "name what the rows name", func(w *conn) error { return w.bare(t, t.rows) }); err != nil {
			return 0, 0, err
		}
	}
	began := time.Now()
	for _, t := range all {
		rows += len(t.rows)
		for len(t.rows) > 0 {
			n := min(perTx, len(t.rows))
			if err := s.write(ctx, "insert rows", func(w *conn) error { return w.bare(t, t.rows[:n]) }); err != nil {
				return 0, 0, err
			}
			t.rows = t.rows[n:]
		}
	}
	return time.Since(began), rows, nil
}

// bareTable is a table's rows in memory, and the statements that insert them.
type bareTable struct {
	columns   int
	one, many string // rowsAtOnce rows
	rows      [][]any
}

func readTables(c *conn, names []string) (out []bareTable, err error) {
	for _, name := range names {
		var t bareTable
		var columns []string
		err := c.each("SELECT * FROM "+name, nil, func(s *sqlite3.Stmt) error {
			row := make([]any, s.ColumnCount())
			for i := range row {
				if len(columns) < len(row) {
					columns = append(columns, s.ColumnName(i))
				}
				switch s.ColumnType(i) {
				case sqlite3.INTEGER:
					row[i] = s.ColumnInt64(i)
				case sqlite3.TEXT:
					row[i] = s.ColumnText(i)
				case sqlite3.BLOB:
					row[i] = s.ColumnBlob(i, []byte{})
				case sqlite3.NULL:
				case sqlite3.FLOAT:
					return fmt.Errorf("table %s has a fraction in %s", name, s.ColumnName(i))
				}
			}
			t.rows = append(t.rows, row)
			return nil
		})
		if err != nil {
			return nil, err
		}
		t.columns = len(columns)
		sql := "INSERT INTO " + name + " (" + strings.Join(columns, ", ") + ") VALUES "
		row := "(" + strings.Repeat("?, ", max(1, t.columns)-1) + "?)"
		t.one, t.many = sql+row, sql+strings.Repeat(row+", ", rowsAtOnce-1)+row
		out = append(out, t)
	}
	return out, nil
}

func (w *conn) bare(t bareTable, rows [][]any) error {
	for len(rows) > 0 {
		sql, n := t.one, 1
		if len(rows) >= rowsAtOnce {
			sql, n = t.many, rowsAtOnce
		}
		st, err := w.stmt(sql)
		if err != nil {
			return err
		}
		for i := range n {
			if err := bindAt(st, i*t.columns, rows[i]); err != nil {
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
