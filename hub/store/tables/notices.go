package tables

import (
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
)

// PutMark adds a mark or changes what it repeats.
func (t *tx) PutMark(m store.Mark) error {
	return t.do("put a mark as part of", m.Dot.Chain, func() error {
		if m.Rule == "" || m.Key == "" || m.Dot.IsZero() {
			return fmt.Errorf("a mark has a rule, a key and an entry")
		}
		of := ""
		if !m.Of.IsZero() {
			of = m.Of.String()
		}
		return t.w.later("INSERT INTO marks (rule, key, entry, at, of_entry) VALUES (?, ?, ?, ?, ?)"+
			" ON CONFLICT (rule, key, entry) DO UPDATE SET of_entry = excluded.of_entry", m.Rule, m.Key, m.Dot.String(), m.Time, of)
	})
}

// Marks lists the marks under a key.
func (t *tx) Marks(rule, key string) (out []store.Mark, err error) {
	err = t.do("read marks as part of", dot.Chain{}, func() error {
		return t.w.each("SELECT arrived, entry, at, of_entry FROM marks WHERE rule = ? AND key = ?", []any{rule, key}, func(s Row) (err error) {
			m := store.Mark{Rule: rule, Key: key, Arrived: s.Int64(0), Time: s.Int64(2)}
			if m.Dot, err = dot.Parse(s.Text(1)); err != nil {
				return fmt.Errorf("%w: mark %d: %w", ErrDamagedRow, m.Arrived, err)
			}
			if of := s.Text(3); of != "" {
				if m.Of, err = dot.Parse(of); err != nil {
					return fmt.Errorf("%w: mark %d: %w", ErrDamagedRow, m.Arrived, err)
				}
			}
			out = append(out, m)
			return nil
		})
	})
	slices.SortFunc(out, store.Mark.Compare)
	return out, err
}

// Reasons lists the judgements that speak of an entry.
func (t *tx) Reasons(d dot.Dot) (out []store.Judgement, err error) {
	err = t.do("read reasons as part of", d.Chain, func() error {
		return t.w.each("SELECT verdict, code, words FROM reasons WHERE entry = ? ORDER BY verdict, code", []any{d.String()}, func(s Row) error {
			out = append(out, store.Judgement{Verdict: store.Verdict(s.Text(0)), Code: s.Text(1), Words: s.Text(2)})
			return nil
		})
	})
	return out, err
}

// SetReasons replaces the judgements that speak of an entry.
func (t *tx) SetReasons(d dot.Dot, reasons []store.Judgement) error {
	return t.do("write reasons as part of", d.Chain, func() error {
		if err := t.w.later("DELETE FROM reasons WHERE entry = ?", d.String()); err != nil {
			return err
		}
		for _, r := range reasons {
			if err := t.w.later("INSERT INTO reasons (entry, verdict, code, words) VALUES (?, ?, ?, ?)", d.String(), string(r.Verdict), r.Code, r.Words); err != nil {
				return err
			}
		}
		return nil
	})
}

// OfType lists the entities of a type.
func (t *tx) OfType(kind string) (out []store.Entity, err error) {
	err = t.do("list entities as part of", dot.Chain{}, func() error {
		return t.w.each("SELECT "+entityColumns+" FROM entities WHERE type = ? ORDER BY name", []any{kind}, func(s Row) error {
			_, e := scanEntity(s)
			out = append(out, e)
			return nil
		})
	})
	return out, err
}
