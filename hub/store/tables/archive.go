package tables

import (
	"context"

	"otor/hub/store"
)

// Archive raises the lanes' archived marks.
func (s *Store) Archive(ctx context.Context, marks []store.Watermark) error {
	return s.write(ctx, "note what is archived", func(w *writer) error {
		for _, m := range marks {
			id, err := w.chain(m.Chain, false)
			if err != nil {
				return err
			}
			if id == 0 {
				continue
			}
			received, err := w.received(id)
			if err != nil {
				return err
			}
			to := int64(min(m.Through, received.Through())) //nolint:gosec // at most the highest seq
			if err := w.exec("UPDATE chains SET archived = CASE WHEN archived < ?1 THEN ?1 ELSE archived END WHERE id = ?2", to, id); err != nil {
				return err
			}
		}
		return nil
	})
}
