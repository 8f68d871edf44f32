package tables

import (
	"context"
	"errors"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
)

// runRows bounds the entries of one EntriesOf.
const runRows = 4096

// EntriesOf reads a run of a chain, as far as it is there.
func (s *Store) EntriesOf(ctx context.Context, c dot.Chain, run lane.Range, maxBytes int) (out []store.Entry, err error) {
	if err := checkRun(c, run); err != nil {
		return nil, err
	}
	enough := errors.New("enough")
	err = s.read(ctx, "read entries of "+c.String(), func(r *conn) error {
		out = nil
		bytes := 0
		err := r.each("SELECT "+entryColumns+rawColumns+entryTables+` WHERE e.chain = (SELECT id FROM chains WHERE device = ? AND incarnation = ? AND lane = ?)
			AND e.seq BETWEEN ? AND ? ORDER BY e.seq LIMIT ?`,
			[]any{string(c.Device), int64(c.Incarnation), int64(c.Lane), int64(run.First), int64(run.Last), int64(runRows)}, //nolint:gosec // checked above
			func(q Row) error {
				e, err := scanEntry(q, true)
				if err != nil {
					return err
				}
				if e.Dot.Seq != run.First+dot.Seq(len(out)) || len(out) > 0 && bytes+e.Raw.Size() > maxBytes {
					return enough
				}
				bytes += e.Raw.Size()
				out = append(out, e.Entry)
				return nil
			})
		if errors.Is(err, enough) {
			return nil
		}
		return err
	})
	return out, err
}
