package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// conn is one connection with the statements that were prepared on it. It is
// used by one goroutine at a time. Every SQL text is a constant of this
// package, so the number of statements is bounded.
type conn struct {
	db    *sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

func (c *conn) close() error {
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
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	err := fn()
	c.db.SetInterrupt(context.Background()) // the end must be reached
	return errors.Join(err, c.exec("ROLLBACK"))
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

// blob copies a column's bytes: nil for NULL, never nil otherwise.
func blob(s *sqlite3.Stmt, col int) []byte {
	if s.ColumnType(col) == sqlite3.NULL {
		return nil
	}
	return s.ColumnBlob(col, []byte{})
}

// digest reads a column of exactly len(into) bytes. NULL leaves into alone.
func digest(s *sqlite3.Stmt, col int, into []byte) error {
	if s.ColumnType(col) == sqlite3.NULL {
		return nil
	}
	b := s.ColumnRawBlob(col)
	if len(b) != len(into) {
		return fmt.Errorf("%w: column %s holds %d bytes, want %d", errDamagedRow, s.ColumnName(col), len(b), len(into))
	}
	copy(into, b)
	return nil
}
