package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/feed"
)

// TestCloseWaitsForReaders closes a store under many who read all of it, again and
// again: its tables are memory maps, and one that goes away under a reader ends the process.
func TestCloseWaitsForReaders(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, dot.Record, 300)
	if err := s.GrantScopes(t.Context(), []string{"gacha-1"}); err != nil {
		t.Fatal(err)
	}
	var rows []feed.Row
	for i := range uint64(500) {
		rows = append(rows, feed.Row{N: i + 1, Kind: feed.Verdict, Key: fmt.Sprint(i), Body: make([]byte, 1000)})
	}
	next := store.HeldCursor{Signed: []byte("cursor"), N: 500, Mark: feed.Mark{1}}
	if err := s.ApplyPage(t.Context(), store.Page{Scope: "gacha-1", From: s.Feed("gacha-1").Position(), Next: next, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = store.Open(dir, options()); err != nil {
			t.Fatal(err)
		}
		var started, ended sync.WaitGroup
		for range 4 {
			started.Add(1)
			ended.Go(func() {
				var once sync.Once
				for turn := 0; ; turn++ {
					n := 0
					for _, err := range s.Rows(context.Background(), "gacha-1", feed.Verdict, "") {
						if err != nil {
							if !errors.Is(err, store.ErrClosed) {
								t.Error(err)
							}
							return
						}
						if n++; n == 100 {
							once.Do(started.Done)
						}
					}
					for _, err := range s.List(context.Background(), store.ListQuery{}) {
						if err != nil {
							if !errors.Is(err, store.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				}
			})
		}
		started.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		ended.Wait()
		if _, err := s.Get(chain.At(1)); !errors.Is(err, store.ErrClosed) {
			t.Errorf("after closing: %v", err)
		}
		if s, err = store.Open(dir, options()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
