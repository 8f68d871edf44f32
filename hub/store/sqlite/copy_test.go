package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

func epochFor(t *testing.T, s store.Store) receipt.EpochCertificate {
	t.Helper()
	c, err := s.Epoch(t.Context(), func() (receipt.EpochCertificate, error) {
		return receipt.EpochCertificate{Epoch: receipt.Epoch{4}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// insert adds one more entry to a chain.
func insert(ctx context.Context, s store.Store, c dot.Chain) error {
	return s.Ingest(ctx, func(tx store.Tx) error {
		l, err := tx.Lane(c)
		if err != nil {
			return err
		}
		seq := l.Received.Through() + 1
		raw := entry.NewRaw([]byte(c.At(seq).String()), make([]byte, 2000))
		l.Received = l.Received.Add(lane.Run(seq, seq))
		if err := tx.Insert([]store.Entry{{Dot: c.At(seq), Hash: raw.Hash(), Raw: raw, Judgement: store.Judgement{Verdict: store.Applied}}}); err != nil {
			return err
		}
		return tx.SaveLane(l)
	})
}

// TestSnapshotWhileOthersWrite: the copy is of one moment, and opens as a hub's.
func TestSnapshotWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	want := epochFor(t, s)
	chain := dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}
	for range 200 {
		if err := insert(t.Context(), s, chain); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := insert(t.Context(), s, chain); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 5 {
		file := filepath.Join(dir, "copies"+string(rune('0'+i)), "hub.db")
		if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.Snapshot(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		if err := s.Snapshot(t.Context(), file); !errors.Is(err, os.ErrExist) {
			t.Errorf("over a file that is there: %v", err)
		}
		c, err := sqlite.Open(t.Context(), file, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(t.Context()); err != nil {
			t.Error(err)
		}
		lanes, err := c.Lanes(t.Context())
		totals, err2 := c.Totals(t.Context())
		if err != nil || err2 != nil || len(lanes) != 1 || uint64(totals.Entries) != lanes[0].Received.Len() || totals.Entries < 200 {
			t.Errorf("copy %d: %v, %v, %+v, %+v", i, err, err2, lanes, totals)
		}
		if got := epochFor(t, c); got != want {
			t.Errorf("copy %d: epoch %+v", i, got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Snapshot(ctx, filepath.Join(dir, "never")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

// TestAReservedPlaceIsNotStartedOver: a restore that stopped half way leaves
// nothing that a hub takes for new.
func TestAReservedPlaceIsNotStartedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	if err := sqlite.Reserve(path); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a hub in a reserved place: %v", err)
	}
	from := filepath.Join(t.TempDir(), "hub.db")
	s, err := sqlite.Open(t.Context(), from, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := epochFor(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Place(from, path); err != nil {
		t.Fatal(err)
	}
	if s, err = sqlite.Open(t.Context(), path, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := epochFor(t, s); got != want {
		t.Errorf("epoch %+v, want %+v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := sqlite.Reserve(path); !errors.Is(err, store.ErrExists) {
		t.Errorf("a place in use: %v", err)
	}
}
