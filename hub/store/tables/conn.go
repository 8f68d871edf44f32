package tables

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// conn is a connection with the words that this package uses of it.
type conn struct {
	Link
	changed int64 // rows that the last exec touched
}

// exec runs a statement that gives no rows.
func (c *conn) exec(sql string, args ...any) (err error) {
	c.changed, err = c.Exec(sql, args)
	return err
}

// later runs a statement whose outcome nothing waits for: where the database is
// elsewhere many of them make one journey.
func (c *conn) later(sql string, args ...any) error { return c.Later(sql, args) }

// each calls row for every row of a query.
func (c *conn) each(sql string, args []any, row func(r Row) error) error {
	return c.Each(sql, args, row)
}

// one calls row for the first row of a query, if there is one.
func (c *conn) one(sql string, args []any, row func(r Row) error) (found bool, err error) {
	err = c.Each(sql, args, func(r Row) error {
		if found {
			return nil
		}
		found = true
		return row(r)
	})
	return found, err
}

// number reads a single number.
func (c *conn) number(sql string, args []any, into *int64) error {
	_, err := c.one(sql, args, func(r Row) error { *into = r.Int64(0); return nil })
	return err
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

// together runs fn, in a snapshot where it reads more than once.
func (c *conn) together(more bool, fn func() error) error {
	if more {
		return c.snapshot(fn)
	}
	return fn()
}

// blob copies a column's bytes: nil for NULL, never nil otherwise.
func blob(r Row, col int) []byte {
	if r.Null(col) {
		return nil
	}
	if b := r.Bytes(col); len(b) > 0 {
		return slices.Clone(b)
	}
	return []byte{}
}

// digest reads a column of exactly len(into) bytes. NULL leaves into alone.
func digest(r Row, col int, into []byte) error {
	if r.Null(col) {
		return nil
	}
	b := r.Bytes(col)
	if len(b) != len(into) {
		return fmt.Errorf("%w: column %d holds %d bytes, want %d", ErrDamagedRow, col, len(b), len(into))
	}
	copy(into, b)
	return nil
}
