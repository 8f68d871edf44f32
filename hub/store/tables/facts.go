package tables

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"otor/hub/store"
	"otor/internal/dot"
)

// pageFacts is how many facts are read at a time.
const pageFacts = 256

const factColumns = "number, id, hash, at, by, kind, subject, signed FROM facts"

func scanFact(r Row) (store.Fact, error) {
	f := store.Fact{
		Number: uint64(r.Int64(0)), At: r.Int64(3), //nolint:gosec // never negative
		By: r.Text(4), Kind: r.Text(5), Subject: r.Text(6), Signed: blob(r, 7),
	}
	return f, errors.Join(digest(r, 1, f.ID[:]), digest(r, 2, f.Hash[:]))
}

// Facts lists facts by number, page by page.
func (s *Store) Facts(ctx context.Context, q store.FactQuery) iter.Seq2[store.Fact, error] {
	return func(yield func(store.Fact, error) bool) {
		var last int64
		err := s.read(ctx, "list facts", func(c *conn) error {
			return c.number("SELECT coalesce(max(number), 0) FROM facts", nil, &last)
		})
		if last := uint64(last) + 1; q.Before == 0 || q.Before > last { //nolint:gosec // never negative
			q.Before = last // what is added meanwhile is not listed
		}
		for left := q.Limit; err == nil; {
			var page []store.Fact
			if page, err = s.factPage(ctx, q, left); err != nil || len(page) == 0 {
				break
			}
			for _, f := range page {
				if !yield(f, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if end := page[len(page)-1].Number; q.Newest {
				q.Before = end
			} else {
				q.After = end
			}
		}
		if err != nil {
			yield(store.Fact{}, err)
		}
	}
}

// FactsText is the statement of a page of facts.
func FactsText(q store.FactQuery) string {
	sql, n := "SELECT "+factColumns+" WHERE number > ?1 AND number < ?2", 3
	for _, of := range []struct{ column, is string }{{"kind", q.Kind}, {"subject", q.Subject}, {"by", q.By}} {
		if of.is != "" {
			n++
			sql += fmt.Sprintf(" AND %s = ?%d", of.column, n)
		}
	}
	if q.Newest {
		return sql + " ORDER BY number DESC LIMIT ?3"
	}
	return sql + " ORDER BY number LIMIT ?3"
}

// factPage reads a page, of at most left facts unless that is 0.
func (s *Store) factPage(ctx context.Context, q store.FactQuery, left int) (page []store.Fact, err error) {
	most := pageFacts
	if left > 0 {
		most = min(most, left)
	}
	args := []any{int64(q.After), int64(q.Before), int64(most)} //nolint:gosec // numbers of facts
	for _, is := range []string{q.Kind, q.Subject, q.By} {
		if is != "" {
			args = append(args, is)
		}
	}
	err = s.read(ctx, "list facts", func(c *conn) error {
		return c.each(FactsText(q), args, func(r Row) error {
			f, err := scanFact(r)
			page = append(page, f)
			return err
		})
	})
	return page, err
}

// Doubts lists the devices that an operator has yet to confirm.
func (s *Store) Doubts(ctx context.Context, only dot.Device) (out []store.Doubt, err error) {
	err = s.read(ctx, "list doubts", func(c *conn) error {
		return c.each("SELECT device, since, why FROM doubts WHERE ?1 = '' OR device = ?1 ORDER BY device", []any{string(only)}, func(r Row) error {
			out = append(out, store.Doubt{Device: dot.Device(r.Text(0)), Since: r.Int64(1), Why: r.Text(2)})
			return nil
		})
	})
	return out, err
}

// authored runs an act about what the hub itself authored.
func (t *tx) authored(what string, act func() error) error {
	if t.spoilt != nil {
		return fmt.Errorf("%s: %w", what, t.spoilt)
	}
	err := act()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNothing):
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	t.spoilt = fmt.Errorf("%s: %w", what, err)
	return t.spoilt
}

func (t *tx) LastFact() (f store.Fact, err error) {
	err = t.authored("read the ledger's end", func() error {
		_, err := t.w.one("SELECT "+factColumns+" ORDER BY number DESC LIMIT 1", nil,
			func(r Row) (err error) { f, err = scanFact(r); return err })
		return err
	})
	return f, err
}

func (t *tx) AddFact(f store.Fact) error {
	return t.authored(fmt.Sprintf("add fact %d", f.Number), func() error {
		var last int64
		_, err := t.w.one("SELECT coalesce(max(number), 0) FROM facts", nil, func(r Row) error { last = r.Int64(0); return nil })
		if err != nil {
			return err
		}
		if f.Number != uint64(last)+1 { //nolint:gosec // never negative
			return fmt.Errorf("the ledger ends at %d", last)
		}
		err = t.w.exec("INSERT INTO facts (number, id, hash, at, by, kind, subject, signed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			last+1, f.ID[:], f.Hash[:], f.At, f.By, f.Kind, f.Subject, f.Signed)
		if errors.Is(err, ErrTaken) {
			return fmt.Errorf("fact %s: %w", f.ID, store.ErrExists)
		}
		return err
	})
}

func (t *tx) Invite(in store.Invitation, again bool) error {
	return t.authored("invite "+string(in.Device), func() error { return t.w.invite(in, again) })
}

func (t *tx) Redeem(e store.Enrolment) (k store.Key, err error) {
	err = t.authored("redeem an enrolment code", func() (err error) { k, err = t.w.redeem(e); return err })
	return k, err
}

func (t *tx) Revoke(d dot.Device, at int64) (keys []store.Key, err error) {
	err = t.authored("revoke "+string(d), func() (err error) { keys, err = t.w.revoke(d, at); return err })
	return keys, err
}

func (t *tx) Enrol(k store.Key, codeHash [32]byte) error {
	return t.authored("enrol "+string(k.Device), func() error {
		var d store.Device
		found, err := device(t.w.conn, k.Device, &d)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		return t.w.enrol(k, codeHash)
	})
}

func (t *tx) Doubt(since int64, why string) (n int, err error) {
	err = t.authored("put devices in doubt", func() error {
		err := t.w.exec("INSERT INTO doubts (device, since, why) SELECT name, ?, ? FROM devices WHERE enrolled_at <> 0 AND revoked_at = 0 ON CONFLICT DO NOTHING", since, why)
		if err != nil {
			return err
		}
		_, err = t.w.one("SELECT count(*) FROM doubts", nil, func(r Row) error { n = int(r.Int64(0)); return nil })
		return err
	})
	return n, err
}

func (t *tx) Trust(d dot.Device) error {
	return t.authored("confirm "+string(d), func() error {
		if err := t.w.exec("DELETE FROM doubts WHERE device = ?", string(d)); err != nil {
			return err
		}
		if t.w.changed == 0 {
			return store.ErrNotFound
		}
		return nil
	})
}
