package tables

import (
	"context"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
)

// Lanes lists all lanes by chain.
func (s *Store) Lanes(ctx context.Context) ([]store.Lane, error) {
	return s.lanes(ctx, "list lanes", "SELECT "+laneColumns+" FROM chains c ORDER BY c.device, c.incarnation, c.lane")
}

// LanesOf lists one device's lanes by chain.
func (s *Store) LanesOf(ctx context.Context, d dot.Device) ([]store.Lane, error) {
	return s.lanes(ctx, "list lanes of "+string(d),
		"SELECT "+laneColumns+" FROM chains c WHERE c.device = ? ORDER BY c.incarnation, c.lane", string(d))
}

func (s *Store) lanes(ctx context.Context, what, sql string, args ...any) (out []store.Lane, err error) {
	err = s.read(ctx, what, func(c *conn) error {
		return c.each(sql, args, func(r Row) error {
			l, err := scanLane(r)
			out = append(out, l)
			return err
		})
	})
	return out, err
}

// HeldCounts counts held entries by chain.
func (s *Store) HeldCounts(ctx context.Context) (map[dot.Chain]int64, error) {
	out := make(map[dot.Chain]int64)
	err := s.read(ctx, "count held entries", func(c *conn) error {
		return c.each("SELECT "+chainColumns+", t.n FROM tallies t JOIN chains c ON c.id = t.chain WHERE t.verdict = 0 AND t.n > 0", nil,
			func(r Row) error { out[scanChain(r, 0)] = r.Int64(3); return nil })
	})
	return out, err
}

// VerdictCounts counts each device's entries by verdict.
func (s *Store) VerdictCounts(ctx context.Context) (map[dot.Device]map[store.Verdict]int64, error) {
	out := make(map[dot.Device]map[store.Verdict]int64)
	err := s.read(ctx, "count verdicts", func(c *conn) error {
		return c.each("SELECT c.device, t.verdict, CAST(sum(t.n) AS BIGINT) FROM tallies t JOIN chains c ON c.id = t.chain WHERE t.n > 0 GROUP BY 1, 2", nil,
			func(r Row) error {
				v, err := verdictOf(r.Int64(1))
				if err != nil {
					return err
				}
				d := dot.Device(r.Text(0))
				if out[d] == nil {
					out[d] = make(map[store.Verdict]int64)
				}
				out[d][v] = r.Int64(2)
				return nil
			})
	})
	return out, err
}

// Gaps lists gaps by opening time, then chain and seq.
func (s *Store) Gaps(ctx context.Context, closed bool) (out []store.Gap, err error) {
	which := "WHERE g.closed_at = 0 "
	if closed {
		which = ""
	}
	err = s.read(ctx, "list gaps", func(c *conn) error {
		return c.each("SELECT "+chainColumns+", g.first, g.last, g.opened_at, g.closed_at FROM gaps g JOIN chains c ON c.id = g.chain "+which+
			"ORDER BY g.opened_at, c.device, c.incarnation, c.lane, g.first, g.id", nil,
			func(r Row) error {
				run := lane.Run(dot.Seq(r.Int64(3)), dot.Seq(r.Int64(4))) //nolint:gosec // never negative
				out = append(out, store.Gap{Chain: scanChain(r, 0), Run: run, OpenedAt: r.Int64(5), ClosedAt: r.Int64(6)})
				return nil
			})
	})
	return out, err
}

// Forks lists forks in order of arrival.
func (s *Store) Forks(ctx context.Context) (out []store.Fork, err error) {
	err = s.read(ctx, "list forks", func(c *conn) error {
		return c.each("SELECT "+chainColumns+", c.seq, c.hash, c.code, c.via, c.received_at, c.public, c.private, c.private_hash,"+
			" c.resolved_at, c.now_seq, n.device, n.incarnation, n.lane FROM forks c LEFT JOIN chains n ON n.id = c.now_chain ORDER BY c.id", nil,
			func(r Row) (err error) {
				f := store.Fork{
					Dot:  scanChain(r, 0).At(dot.Seq(r.Int64(3))), //nolint:gosec // never negative
					Code: r.Text(5), Via: dot.Device(r.Text(6)), ReceivedAt: r.Int64(7),
				}
				if err := digest(r, 4, f.Hash[:]); err != nil {
					return fmt.Errorf("fork at %s: %w", f.Dot, err)
				}
				if f.ResolvedAt = r.Int64(11); f.ResolvedAt != 0 {
					f.Now = scanChain(r, 13).At(dot.Seq(r.Int64(12))) //nolint:gosec // never negative
				}
				f.Raw, err = scanRaw(r, 8)
				out = append(out, f)
				return err
			})
	})
	return out, err
}

// Totals counts over the hub's whole life, all of one moment.
func (s *Store) Totals(ctx context.Context) (store.Totals, error) {
	out := store.Totals{ByVerdict: make(map[store.Verdict]int64)}
	err := s.read(ctx, "count", func(c *conn) error {
		return c.snapshot(func() error {
			err := c.each("SELECT verdict, CAST(sum(n) AS BIGINT) FROM tallies WHERE n > 0 GROUP BY 1", nil, func(r Row) error {
				v, err := verdictOf(r.Int64(0))
				out.ByVerdict[v] = r.Int64(1)
				out.Entries += r.Int64(1)
				return err
			})
			if err != nil {
				return err
			}
			_, err = c.one("SELECT (SELECT n FROM counters WHERE name = 'unattributed'), (SELECT count(*) FROM forks), (SELECT CAST(coalesce(sum(duplicates), 0) AS BIGINT) FROM chains)",
				nil, func(r Row) error {
					out.Unattributed, out.Forks, out.Duplicates = r.Int64(0), r.Int64(1), r.Int64(2)
					return nil
				})
			return err
		})
	})
	return out, err
}
