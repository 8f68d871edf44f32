package postgres

import (
	"context"

	"otor/hub/store/tables"
)

// leading is the lock that the hub which leads holds by its writing connection.
const leading = writers + 2

// Lead reports whether this hub leads those that work on the database: does what
// one of them should do. It leads as long as its writing connection lasts.
func (s *Store) Lead(ctx context.Context) (leads bool, err error) {
	err = s.Write(ctx, "see which hub leads", func(l tables.Link) error {
		c := l.(*link) //nolint:errcheck // this package made it
		if c.leads {
			leads = true
			return nil
		}
		var got int64
		err := l.Each("SELECT CASE WHEN pg_try_advisory_lock(?) THEN 1 ELSE 0 END", []any{int64(leading)}, func(r tables.Row) error { got = r.Int64(0); return nil })
		c.leads = err == nil && got == 1
		leads = c.leads
		return err
	})
	return leads && err == nil, err
}
