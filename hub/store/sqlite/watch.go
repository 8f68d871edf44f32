package sqlite

import (
	"context"

	"otor/hub/store"
)

// Standing counts what stands open. Bytes are those of the database without its log.
func (s *Store) Standing(ctx context.Context) (store.Standing, error) {
	out, err := s.Store.Standing(ctx)
	if err != nil {
		return out, err
	}
	err = s.read(ctx, "measure the database", func(c *conn) error {
		return scanInt(c, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", &out.Bytes)
	})
	return out, err
}
