package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"otor/hub/store/tables"
)

// conn is one connection with the statements that were prepared on it. It is
// used by one goroutine at a time.
type conn struct {
	db    *sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

// row is a statement that stands on a row.
type row struct{ *sqlite3.Stmt }

func (r row) Null(col int) bool   { return r.ColumnType(col) == sqlite3.NULL }
func (r row) Int64(col int) int64 { return r.ColumnInt64(col) }
func (r row) Text(col int) string { return r.ColumnText(col) }
func (r row) Bytes(col int) []byte {
	if r.ColumnType(col) == sqlite3.TEXT {
		return r.ColumnRawText(col)
	}
	return r.ColumnRawBlob(col)
}

// Watch has the end of ctx interrupt what runs.
func (c *conn) Watch(ctx context.Context) { c.db.SetInterrupt(ctx) }

// Alive holds always: a file does not hang up.
func (c *conn) Alive() bool { return true }

// Begin begins a transaction. One that is to write waits here, and not half way.
func (c *conn) Begin(writes bool) error {
	if writes {
		return c.exec("BEGIN IMMEDIATE")
	}
	return c.exec("BEGIN")
}

// End ends the transaction. Some errors have rolled it back already.
func (c *conn) End(commit bool) error {
	switch {
	case commit:
		return c.exec("COMMIT")
	case c.db.GetAutocommit():
		return nil
	}
	return c.exec("ROLLBACK")
}

// Exec runs a statement that gives no rows.
func (c *conn) Exec(sql string, args []any) (changed int64, err error) {
	if err := c.exec(sql, args...); err != nil {
		return 0, taken(err)
	}
	return c.db.Changes(), nil
}

// Later runs a statement at once: it is not far to the file.
func (c *conn) Later(sql string, args []any) error { return taken(c.exec(sql, args...)) }

// Each calls fn for every row of a query.
func (c *conn) Each(sql string, args []any, fn func(tables.Row) error) error {
	return taken(c.each(sql, args, func(s *sqlite3.Stmt) error { return fn(row{s}) }))
}

// taken tells package tables that a row exists already.
func taken(err error) error {
	if errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) || errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY) {
		return fmt.Errorf("%w: %w", tables.ErrTaken, err)
	}
	return err
}

// Close closes the connection.
func (c *conn) Close() error {
	for _, s := range c.stmts {
		_ = s.Close() // reports the statement's last error, which was reported when it happened
	}
	return c.db.Close()
}

// stmt returns the prepared statement of sql, preparing it the first time.
func (c *conn) stmt(sql string) (*sqlite3.Stmt, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, nil
	}
	s, _, err := c.db.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	c.stmts[sql] = s
	return s, nil
}

// exec runs a statement that gives no rows.
func (c *conn) exec(sql string, args ...any) error {
	s, err := c.stmt(sql)
	if err != nil {
		return err
	}
	if err := bind(s, args); err != nil {
		return err
	}
	return s.Exec()
}

// each calls row for every row of a query.
func (c *conn) each(sql string, args []any, row func(s *sqlite3.Stmt) error) (err error) {
	s, err := c.stmt(sql)
	if err != nil {
		return err
	}
	if err := bind(s, args); err != nil {
		return err
	}
	// A statement that is not reset keeps its view of the database open.
	defer func() { err = errors.Join(err, s.Reset()) }()
	for s.Step() {
		if err := row(s); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		_ = s.Reset() // gives the same error once more
		return err
	}
	return nil
}

// one calls row for the first row of a query, if there is one.
func (c *conn) one(sql string, args []any, row func(s *sqlite3.Stmt) error) (found bool, err error) {
	err = c.each(sql, args, func(s *sqlite3.Stmt) error {
		if found {
			return nil
		}
		found = true
		return row(s)
	})
	return found, err
}

// snapshot runs fn so that all its queries see the database of one moment.
func (c *conn) snapshot(fn func() error) error {
	if err := c.Begin(false); err != nil {
		return err
	}
	err := fn()
	c.Watch(context.Background()) // the end must be reached
	return errors.Join(err, c.End(false))
}

// bind sets the parameters of s from args, in order.
func bind(s *sqlite3.Stmt, args []any) error { return bindAt(s, 0, args) }

// bindAt sets the parameters after the first so many from args, in order.
func bindAt(s *sqlite3.Stmt, after int, args []any) error {
	for i, a := range args {
		var err error
		switch at := after + i + 1; v := a.(type) {
		case nil:
			err = s.BindNull(at)
		case int64:
			err = s.BindInt64(at, v)
		case string:
			err = s.BindText(at, v)
		case []byte:
			err = s.BindBlob(at, v)
		default:
			err = fmt.Errorf("parameter %d has type %T", at, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
