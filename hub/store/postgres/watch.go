package postgres

import (
	"context"

	"otor/hub/store"
	"otor/hub/store/tables"
)

// Standing counts what stands open. Bytes are those of the whole database, indexes
// among them.
func (s *Store) Standing(ctx context.Context) (store.Standing, error) {
	out, err := s.Store.Standing(ctx)
	if err != nil {
		return out, err
	}
	err = s.Read(ctx, "measure the database", func(l tables.Link) error {
		return l.Each("SELECT pg_database_size(current_database())", nil, func(r tables.Row) error { out.Bytes = r.Int64(0); return nil })
	})
	return out, err
}
