package tables

import (
	"context"
	"errors"
	"slices"
	"strings"

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

// entriesAtOnce is how many entries one statement reads by their dots.
const entriesAtOnce = 32

// entriesNamed reads entries by device, incarnation, lane and number.
var entriesNamed = "SELECT " + entryColumns + rawColumns +
	strings.Replace(entryTables, " FROM entries e JOIN chains c ON c.id = e.chain", " FROM (VALUES (?, ?, ?, ?)"+strings.Repeat(", (?, ?, ?, ?)", entriesAtOnce-1)+
		") AS wanted CROSS JOIN chains c CROSS JOIN entries e", 1) +
	" WHERE c.device = wanted.column1 AND c.incarnation = wanted.column2 AND c.lane = wanted.column3 AND e.chain = c.id AND e.seq = wanted.column4"

// EntriesNamed reads entries, some at a time.
func (s *Store) EntriesNamed(ctx context.Context, ds []dot.Dot) (out map[dot.Dot]store.Entry, err error) {
	err = s.read(ctx, "read entries", func(c *conn) error {
		out = make(map[dot.Dot]store.Entry, len(ds))
		return c.together(len(ds) > entriesAtOnce, func() error {
			for some := range slices.Chunk(ds, entriesAtOnce) {
				args := make([]any, 0, 4*entriesAtOnce)
				for i, d := range some {
					if slices.Contains(some[:i], d) {
						d = dot.Dot{}
					}
					args = append(args, string(d.Device), int64(d.Incarnation), int64(d.Lane), int64(d.Seq)) //nolint:gosec // those of an entry are small; others are not there
				}
				for len(args) < cap(args) {
					args = append(args, "", int64(0), int64(0), int64(0))
				}
				err := c.each(entriesNamed, args, func(q Row) error {
					e, err := scanEntry(q, true)
					out[e.Dot] = e.Entry
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	return out, err
}
