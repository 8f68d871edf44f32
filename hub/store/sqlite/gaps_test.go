package sqlite_test

import (
	"path/filepath"
	"testing"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/hub/store/tables"
	"otor/internal/dot"
	"otor/internal/lane"
)

// Gaps that stay are not written again: a chain may have many, and each of its frames sets them.
func TestGapsThatStayAreNotWritten(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	c := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	gap := func(first, last dot.Seq, closed int64) store.Gap {
		return store.Gap{Chain: c, Run: lane.Run(first, last), OpenedAt: 1, ClosedAt: closed}
	}
	set := func(open, closed []store.Gap) map[int64]int64 {
		t.Helper()
		if err := s.Ingest(t.Context(), func(tx store.Tx) error { return tx.SetGaps(c, open, closed) }); err != nil {
			t.Fatal(err)
		}
		rows := make(map[int64]int64)
		err := s.Read(t.Context(), "read gaps", func(l tables.Link) error {
			return l.Each("SELECT first, id FROM gaps WHERE closed_at = 0", nil, func(r tables.Row) error { rows[r.Int64(0)] = r.Int64(1); return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	was := set([]store.Gap{gap(2, 4, 0), gap(6, 6, 0), gap(8, 8, 0)}, nil)
	is := set([]store.Gap{gap(2, 2, 0), gap(4, 4, 0), gap(6, 6, 0), gap(8, 8, 0)}, []store.Gap{gap(3, 3, 2)})
	if len(is) != 4 || is[6] != was[6] || is[8] != was[8] {
		t.Errorf("rows by first seq: %v, before %v", is, was)
	}
}
