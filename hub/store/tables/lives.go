package tables

import (
	"bytes"
	"context"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

const lifeColumns = "l.device, l.incarnation, l.life, l.reason, l.previous, l.enrolled, l.claimed_at, l.spoke_at, l.twin_at, l.twin_of, l.confirmed_at FROM lives l"

func scanLife(s Row) store.Life {
	return store.Life{
		Device: dot.Device(s.Text(0)), ID: blob(s, 2), ClaimedAt: s.Int64(6), SpokeAt: s.Int64(7),
		TwinAt: s.Int64(8), ConfirmedAt: s.Int64(10),
		// All of these were such numbers when they were stored.
		Incarnation: dot.Incarnation(s.Int64(1)), Reason: entry.Reason(s.Int64(3)), //nolint:gosec // see above
		Previous: dot.Incarnation(s.Int64(4)), Enrolled: dot.Incarnation(s.Int64(5)), TwinOf: dot.Incarnation(s.Int64(9)), //nolint:gosec // see above
	}
}

func life(c *conn, d dot.Device, i dot.Incarnation) (l store.Life, found bool, err error) {
	found, err = c.one("SELECT "+lifeColumns+" WHERE l.device = ? AND l.incarnation = ?", []any{string(d), int64(i)},
		func(s Row) error { l = scanLife(s); return nil })
	return l, found, err
}

// Claim notes a life under its number, unless that is taken.
func (s *Store) Claim(ctx context.Context, l store.Life) (known store.Life, taken bool, err error) {
	what := fmt.Sprintf("claim life %s/%d", l.Device, l.Incarnation)
	same := func(c *conn) (found bool, err error) {
		known, found, err = life(c, l.Device, l.Incarnation)
		taken = found && (known.Enrolled != l.Enrolled || len(known.ID) > 0 && len(l.ID) > 0 && !bytes.Equal(known.ID, l.ID))
		return found && (taken || len(l.ID) == 0 || len(known.ID) > 0), err
	}
	// Nearly always there is nothing to write.
	var done bool
	if err := s.read(ctx, what, func(c *conn) (err error) { done, err = same(c); return err }); err != nil || done {
		return known, taken, err
	}
	err = s.write(ctx, what, func(w *writer) error {
		if done, err := same(w.conn); err != nil || done {
			return err
		}
		var d store.Device
		if found, err := device(w.conn, l.Device, &d); err != nil || !found {
			if err == nil {
				err = store.ErrNotFound
			}
			return err
		}
		own, err := w.one("SELECT 1 FROM device_keys WHERE device = ? AND incarnation = ?", []any{string(l.Device), int64(l.Incarnation)},
			func(Row) error { return nil })
		if err != nil {
			return err
		}
		next, err := nextLife(w.conn, l.Device)
		if err != nil {
			return err
		}
		if taken = own && l.Enrolled != l.Incarnation || l.Incarnation > next+store.MaxAhead; taken {
			return nil
		}
		var id any
		if len(l.ID) > 0 {
			id = l.ID
		}
		err = w.exec("INSERT INTO lives (device, incarnation, life, reason, previous, enrolled, claimed_at) VALUES (?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (device, incarnation) DO UPDATE SET life = excluded.life, reason = excluded.reason, previous = excluded.previous",
			string(l.Device), int64(l.Incarnation), id, int64(l.Reason), int64(l.Previous), int64(l.Enrolled), l.ClaimedAt)
		if err != nil {
			return err
		}
		known, _, err = life(w.conn, l.Device, l.Incarnation)
		return err
	})
	return known, taken, err
}

// Speak notes a life's hello, and finds its live twins.
func (s *Store) Speak(ctx context.Context, d dot.Device, i dot.Incarnation, at int64) (twins []store.Life, err error) {
	err = s.write(ctx, fmt.Sprintf("note hello of life %s/%d", d, i), func(w *writer) error {
		err := w.exec("UPDATE lives SET spoke_at = ? WHERE device = ? AND incarnation = ?", max(at, 1), string(d), int64(i))
		if err != nil {
			return err
		}
		err = w.each("SELECT "+lifeColumns+" JOIN lives o ON o.device = l.device AND o.enrolled = l.enrolled"+
			" WHERE o.device = ?1 AND o.incarnation = ?2 AND l.incarnation > ?2 AND l.spoke_at > 0 AND l.twin_at = 0 ORDER BY l.incarnation",
			[]any{string(d), int64(i)}, func(r Row) error {
				twins = append(twins, scanLife(r))
				return nil
			})
		for n := range twins {
			t := &twins[n]
			t.TwinAt, t.TwinOf = max(at, 1), i
			if err == nil {
				err = w.exec("UPDATE lives SET twin_at = ?, twin_of = ? WHERE device = ? AND incarnation = ?", t.TwinAt, int64(i), string(d), int64(t.Incarnation))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return twins, nil
}

// Lives lists lives by device and number.
func (s *Store) Lives(ctx context.Context, d dot.Device) (out []store.Life, err error) {
	err = s.read(ctx, "list lives", func(c *conn) error {
		return c.each("SELECT "+lifeColumns+" WHERE ?1 = '' OR l.device = ?1 ORDER BY l.device, l.incarnation", []any{string(d)},
			func(r Row) error { out = append(out, scanLife(r)); return nil })
	})
	return out, err
}

// UplinkOnly reports whether a life is a twin that nobody confirmed.
func (s *Store) UplinkOnly(ctx context.Context, d dot.Device, i dot.Incarnation) (only bool, err error) {
	err = s.read(ctx, fmt.Sprintf("life %s/%d", d, i), func(c *conn) error {
		l, _, err := life(c, d, i)
		only = l.UplinkOnly()
		return err
	})
	return only, err
}

func (t *tx) ConfirmLife(d dot.Device, i dot.Incarnation, at int64) error {
	return t.do("confirm life", dot.Chain{Device: d, Incarnation: i, Lane: dot.Record}, func() error {
		// One that is not known yet, to a database that was put back, is claimed again.
		err := t.w.exec("INSERT INTO lives (device, incarnation, reason, previous, enrolled, claimed_at, confirmed_at)"+
			" SELECT device, ?2, 3, 0, max(incarnation), ?3, ?3 FROM device_keys WHERE device = ?1 AND incarnation <= ?2 GROUP BY device"+
			" ON CONFLICT (device, incarnation) DO UPDATE SET confirmed_at = CASE WHEN lives.confirmed_at = 0 THEN excluded.confirmed_at ELSE lives.confirmed_at END",
			string(d), int64(i), max(at, 1))
		if err == nil && t.w.changed == 0 {
			err = store.ErrNotFound
		}
		return err
	})
}

// NextLife is the lowest number above all that the device has.
func (s *Store) NextLife(ctx context.Context, d dot.Device) (next dot.Incarnation, err error) {
	err = s.read(ctx, "next life of "+string(d), func(c *conn) (err error) { next, err = nextLife(c, d); return err })
	return next, err
}

func nextLife(c *conn, d dot.Device) (next dot.Incarnation, err error) {
	_, err = c.one("SELECT 1 + coalesce(max(n), 0) FROM (SELECT max(incarnation) AS n FROM device_keys WHERE device = ?1"+
		" UNION ALL SELECT max(incarnation) FROM lives WHERE device = ?1) AS numbers", []any{string(d)},
		func(r Row) error { next = dot.Incarnation(r.Int64(0)); return nil }) //nolint:gosec // one above an incarnation
	return next, err
}

// EndDeclared takes back what was declared by another history.
func (s *Store) EndDeclared(ctx context.Context, c dot.Chain, last dot.Seq, head entry.Hash) error {
	var declared dot.Seq
	var declaredHead entry.Hash
	var received lane.Set
	look := func(k *conn) error {
		_, err := k.one("SELECT declared, declared_head, received FROM chains WHERE device = ? AND incarnation = ? AND lane = ?",
			[]any{string(c.Device), int64(c.Incarnation), int64(c.Lane)}, func(r Row) (err error) {
				declared = dot.Seq(r.Int64(0)) //nolint:gosec // never negative
				if err = digest(r, 1, declaredHead[:]); err == nil {
					received, err = decodeSet(r.Bytes(2))
				}
				return err
			})
		return err
	}
	what := "end of " + c.String()
	// A device says it in each hello; it is true once.
	if err := s.read(ctx, what, look); err != nil || declared != last || declaredHead != head || declared == received.Highest() {
		return err
	}
	return s.write(ctx, what, func(w *writer) error {
		if err := look(w.conn); err != nil || declared != last || declaredHead != head {
			return err
		}
		return w.exec("UPDATE chains SET declared = ?, declared_head = NULL WHERE device = ? AND incarnation = ? AND lane = ?",
			int64(received.Highest()), string(c.Device), int64(c.Incarnation), int64(c.Lane)) //nolint:gosec // was one when it was stored
	})
}

// Compare gives digests of runs, all of one moment.
func (s *Store) Compare(ctx context.Context, c dot.Chain, runs []lane.Range) (out []entry.Hash, err error) {
	err = s.read(ctx, "compare "+c.String(), func(k *conn) error {
		return k.snapshot(func() error {
			out = make([]entry.Hash, 0, len(runs))
			for _, run := range runs {
				if err := checkRun(c, run); err != nil {
					return err
				}
				d := wire.NewDigest()
				err := k.each("SELECT e.seq, e.hash FROM entries e WHERE e.chain = (SELECT id FROM chains WHERE device = ? AND incarnation = ? AND lane = ?)"+
					" AND e.seq BETWEEN ? AND ? ORDER BY e.seq",
					[]any{string(c.Device), int64(c.Incarnation), int64(c.Lane), int64(run.First), int64(run.Last)}, //nolint:gosec // checked above
					func(r Row) error {
						var h entry.Hash
						err := digest(r, 1, h[:])
						d.Add(dot.Seq(r.Int64(0)), h) //nolint:gosec // never negative
						return err
					})
				if err != nil {
					return err
				}
				out = append(out, d.Sum())
			}
			return nil
		})
	})
	return out, err
}

// OpenForks counts what is set aside and not resolved.
func (s *Store) OpenForks(ctx context.Context, d dot.Device) (n int64, err error) {
	err = s.read(ctx, "count forks of "+string(d), func(c *conn) error {
		_, err := c.one("SELECT count(*) FROM forks WHERE device = ? AND resolved_at = 0", []any{string(d)},
			func(r Row) error { n = r.Int64(0); return nil })
		return err
	})
	return n, err
}

func (t *tx) Forms(c dot.Chain, run lane.Range) (out []store.Form, err error) {
	err = t.do("read forms of", c, func() error {
		if err := checkRun(c, run); err != nil {
			return err
		}
		return t.w.each("SELECT r.seq, r.hash, r.now_seq, "+chainColumns+" FROM rehomed r JOIN chains c ON c.id = r.now_chain"+
			" WHERE r.device = ? AND r.incarnation = ? AND r.lane = ? AND r.seq BETWEEN ? AND ? ORDER BY r.seq",
			[]any{string(c.Device), int64(c.Incarnation), int64(c.Lane), int64(run.First), int64(run.Last)}, //nolint:gosec // checked above
			func(s Row) error {
				f := store.Form{
					Was: entry.Was{Dot: c.At(dot.Seq(s.Int64(0)))}, //nolint:gosec // never negative
					Now: scanChain(s, 3).At(dot.Seq(s.Int64(2))),   //nolint:gosec // never negative
				}
				err := digest(s, 1, f.Was.Hash[:])
				out = append(out, f)
				return err
			})
	})
	return out, err
}

func (t *tx) AddForm(f store.Form, at int64) error {
	return t.do("note a form of", f.Was.Dot.Chain, func() error {
		if err := checkRun(f.Was.Dot.Chain, lane.Run(f.Was.Dot.Seq, f.Was.Dot.Seq)); err != nil {
			return err
		}
		now, err := t.w.chain(f.Now.Chain, true)
		if err != nil {
			return err
		}
		old := []any{
			string(f.Was.Dot.Device), int64(f.Was.Dot.Incarnation), int64(f.Was.Dot.Lane), int64(f.Was.Dot.Seq), //nolint:gosec // checked above
			f.Was.Hash[:], now, int64(f.Now.Seq), //nolint:gosec // a dot of the ledger
		}
		err = t.w.exec("INSERT INTO rehomed (device, incarnation, lane, seq, hash, now_chain, now_seq) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", old...)
		if err != nil {
			return err
		}
		return t.w.exec("UPDATE forks SET now_chain = ?6, now_seq = ?7, resolved_at = ?8"+
			" WHERE device = ?1 AND incarnation = ?2 AND lane = ?3 AND seq = ?4 AND hash = ?5 AND resolved_at = 0", append(old, max(at, 1))...)
	})
}
