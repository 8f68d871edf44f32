package tables

import (
	"context"

	"otor/hub/store"
	"otor/internal/dot"
)

// Absences lists what operators planned.
func (s *Store) Absences(ctx context.Context) (out []store.Absence, err error) {
	err = s.read(ctx, "list planned absences", func(c *conn) (err error) { out, err = absences(c, ""); return err })
	return out, err
}

// absences lists those of a device, or of all.
func absences(c *conn, of dot.Device) (out []store.Absence, err error) {
	err = c.each("SELECT device, from_at, until_at, words, planned_by, planned_at FROM absences WHERE ?1 = '' OR device = ?1 ORDER BY device, from_at", []any{string(of)}, func(r Row) error {
		out = append(out, store.Absence{
			Device: dot.Device(r.Text(0)), From: r.Int64(1), Until: r.Int64(2), Words: r.Text(3), PlannedBy: r.Text(4), PlannedAt: r.Int64(5),
		})
		return nil
	})
	return out, err
}

func (t *tx) Absences(d dot.Device) (out []store.Absence, err error) {
	err = t.authored("list planned absences of "+string(d), func() (err error) { out, err = absences(t.w.conn, d); return err })
	return out, err
}

func (t *tx) Plan(a store.Absence) error {
	return t.authored("plan an absence of "+string(a.Device), func() error {
		var d store.Device
		found, err := device(t.w.conn, a.Device, &d)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		err = t.w.exec("INSERT INTO absences (device, from_at, until_at, words, planned_by, planned_at) VALUES (?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (device, from_at) DO UPDATE SET until_at = excluded.until_at, words = excluded.words, planned_by = excluded.planned_by, planned_at = excluded.planned_at",
			string(a.Device), a.From, a.Until, a.Words, a.PlannedBy, a.PlannedAt)
		if err != nil {
			return err
		}
		return t.w.exec("DELETE FROM absences WHERE device = ?1 AND until_at <= ?2 AND until_at < (SELECT max(until_at) FROM absences WHERE device = ?1 AND until_at <= ?2)",
			string(a.Device), a.PlannedAt)
	})
}

func (t *tx) Unplan(d dot.Device) error {
	return t.authored("clear the plan of "+string(d), func() error {
		return t.w.exec("DELETE FROM absences WHERE device = ?", string(d))
	})
}
