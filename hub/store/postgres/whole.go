package postgres

import (
	"fmt"

	"otor/hub/store/tables"
)

var _ tables.Whole = (*link)(nil)

// Tables lists the tables of the database.
func (l *link) Tables() (out []tables.Table, err error) {
	err = l.Each("SELECT c.table_name::text, c.column_name::text, c.data_type::text FROM information_schema.columns c JOIN information_schema.tables t"+
		" ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'"+
		" WHERE c.table_schema = current_schema() AND c.table_name <> 'goose_db_version' ORDER BY c.table_name, c.ordinal_position", nil,
		func(r tables.Row) error {
			name, column := r.Text(0), tables.Column{Name: r.Text(1)}
			switch r.Text(2) {
			case "bigint":
				column.Kind = tables.Number
			case "text":
				column.Kind = tables.Words
			case "bytea":
				column.Kind = tables.Octets
			default:
				return fmt.Errorf("column %s of %s has type %s", column.Name, name, r.Text(2))
			}
			if n := len(out); n == 0 || out[n-1].Name != name {
				out = append(out, tables.Table{Name: name})
			}
			t := &out[len(out)-1]
			t.Columns = append(t.Columns, column)
			return nil
		})
	if err != nil {
		return nil, err
	}
	refers := make(map[string][]string)
	err = l.Each("SELECT DISTINCT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace", nil,
		func(r tables.Row) error { refers[r.Text(0)] = append(refers[r.Text(0)], r.Text(1)); return nil })
	for i := range out {
		out[i].After = refers[out[i].Name]
	}
	return out, err
}

// Filled has the numbers that the database gives begin above those that are there.
func (l *link) Filled(ts []tables.Table) error {
	for _, t := range ts {
		key := t.Columns[0]
		if key.Kind != tables.Number {
			continue
		}
		sequence := ""
		if err := l.Each("SELECT coalesce(pg_get_serial_sequence(?, ?), '')", []any{t.Name, key.Name}, func(r tables.Row) error { sequence = r.Text(0); return nil }); err != nil {
			return err
		}
		if sequence == "" {
			continue
		}
		err := l.Each("SELECT setval('"+sequence+"', coalesce(max(\""+key.Name+"\"), 0) + 1, false) FROM "+t.Name, nil, func(tables.Row) error { return nil })
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return nil
}
