package sqlite

import (
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"otor/hub/store/tables"
)

var _ tables.Whole = (*conn)(nil)

// Tables lists the tables of the database.
func (c *conn) Tables() (out []tables.Table, err error) {
	err = c.each("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'goose_db_version' ORDER BY name", nil,
		func(s *sqlite3.Stmt) error {
			out = append(out, tables.Table{Name: s.ColumnText(0)})
			return nil
		})
	for i := range out {
		if err == nil {
			err = c.describe(&out[i])
		}
	}
	return out, err
}

func (c *conn) describe(t *tables.Table) error {
	err := c.each("SELECT name, type FROM pragma_table_info(?)", []any{t.Name}, func(s *sqlite3.Stmt) error {
		column := tables.Column{Name: s.ColumnText(0)}
		switch s.ColumnText(1) {
		case "INTEGER":
			column.Kind = tables.Number
		case "TEXT":
			column.Kind = tables.Words
		case "BLOB":
			column.Kind = tables.Octets
		default:
			return fmt.Errorf("column %s of %s has type %s", column.Name, t.Name, s.ColumnText(1))
		}
		t.Columns = append(t.Columns, column)
		return nil
	})
	if err != nil {
		return err
	}
	return c.each("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?)", []any{t.Name}, func(s *sqlite3.Stmt) error {
		t.After = append(t.After, s.ColumnText(0))
		return nil
	})
}

// Filled has nothing to do: SQLite counts on from the highest number.
func (c *conn) Filled([]tables.Table) error { return nil }
