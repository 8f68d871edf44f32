package tables

import (
	"context"

	"otor/hub/store"
)

// Standing counts what stands open, all of one moment. Bytes is left to the
// implementation, which knows where they are.
func (s *Store) Standing(ctx context.Context) (out store.Standing, err error) {
	err = s.read(ctx, "count what stands open", func(c *conn) error {
		out = store.Standing{Aside: make(map[string]int64), Items: make(map[string]store.OpenItems)}
		return c.snapshot(func() error {
			// The verdict stands in the text, or the index over verdicts is not used.
			err := c.each("SELECT coalesce(t.term, ''), count(*) FROM entries e LEFT JOIN terms t ON t.id = e.code WHERE e.verdict = 7 AND e.verdict <> 1 GROUP BY 1", nil,
				func(r Row) error { out.Aside[r.Text(0)] = r.Int64(1); return nil })
			if err != nil {
				return err
			}
			err = c.each("SELECT kind, count(*), min(opened_at) FROM items WHERE state = 'open' GROUP BY kind", nil, func(r Row) error {
				out.Items[r.Text(0)] = store.OpenItems{Open: r.Int64(1), Oldest: r.Int64(2)}
				return nil
			})
			if err != nil {
				return err
			}
			_, err = c.one("SELECT count(*), CAST(coalesce(sum(n), 0) AS BIGINT) FROM feeds", nil, func(r Row) error {
				out.Feeds = store.Feeds{Scopes: r.Int64(0), Numbers: r.Int64(1)}
				return nil
			})
			return err
		})
	})
	return out, err
}

const sampleColumns = "at, waiting, missing, open, aside, devices, silent, contacts, entries"

// AddSample keeps a sample.
func (s *Store) AddSample(ctx context.Context, step int64, v store.Sample, before int64) error {
	return s.write(ctx, "keep a sample", func(w *writer) error {
		err := w.exec("INSERT INTO samples (step, "+sampleColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (step, at) DO UPDATE SET"+
			" waiting = excluded.waiting, missing = excluded.missing, open = excluded.open, aside = excluded.aside, devices = excluded.devices,"+
			" silent = excluded.silent, contacts = samples.contacts + excluded.contacts, entries = samples.entries + excluded.entries",
			step, v.At, v.Waiting, v.Missing, v.Open, v.Aside, v.Devices, v.Silent, v.Contacts, v.Entries)
		if err != nil {
			return err
		}
		return w.exec("DELETE FROM samples WHERE step = ? AND at < ?", step, before)
	})
}

// Samples lists samples in order.
func (s *Store) Samples(ctx context.Context, step, from int64) (out []store.Sample, err error) {
	err = s.read(ctx, "list samples", func(c *conn) error {
		out = nil
		return c.each("SELECT "+sampleColumns+" FROM samples WHERE step = ? AND at >= ? ORDER BY at", []any{step, from}, func(r Row) error {
			out = append(out, store.Sample{
				At: r.Int64(0), Waiting: r.Int64(1), Missing: r.Int64(2), Open: r.Int64(3), Aside: r.Int64(4),
				Devices: r.Int64(5), Silent: r.Int64(6), Contacts: r.Int64(7), Entries: r.Int64(8),
			})
			return nil
		})
	})
	return out, err
}
