package store

import (
	"context"
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/lane"
)

// DropBaseRow takes a row away behind the store's back, as damage does.
func DropBaseRow(s *Store, scope, key string) error {
	return s.write([]row{{key: baseKey(scope, s.shown()[scope], feed.Name{Slot: feed.Entity, Key: key})}})
}

// MarkNewer marks the store as one of a program to come.
func MarkNewer(s *Store) error {
	value, err := s.box.sealRow(formatKey, formatRow{newest() + 1, s.o.Device})
	if err != nil {
		return err
	}
	return s.write([]row{{formatKey, value}})
}

// WithUpgrades gives this program formats to come, until the function is called.
func WithUpgrades(steps ...func(*Store) error) (back func()) {
	was := upgrades
	upgrades = steps
	return func() { upgrades = was }
}

// Mark is an upgrade's step that leaves a mark; Marked finds it.
func Mark(s *Store) error { return s.write([]row{{markKey, []byte("mark")}}) }

func Marked(s *Store) bool { return s.has(markKey) }

var markKey = []byte{0x7f, 1}

// RehomeSteps begins to re-home a chain and stops after so many commits, as a
// crash does.
func RehomeSteps(ctx context.Context, s *Store, c dot.Chain, seq dot.Seq, commits int) error {
	return s.send(ctx, &request{act: func() error {
		st, _ := s.Chain(c)
		if err := s.endAt(st, seq); err != nil {
			return err
		}
		for range commits - 1 {
			st, _ = s.Chain(c)
			due := st.End.Pending(st.Last)
			if len(due) == 0 {
				return nil
			}
			if _, err := s.moveSome(st, due[0]); err != nil {
				return err
			}
		}
		return nil
	}})
}

// WalkLater checks a run by a chain's state of an earlier moment, as a check does of
// everything that takes its time, and returns what it takes for lost.
func WalkLater(s *Store, st ChainState, r lane.Range) (lane.Set, error) {
	w := walk{s: s, st: st, deep: true}
	err := w.over(r)
	return w.lost, errors.Join(err, brokenAt(w.broken))
}

func brokenAt(broken lane.Set) error {
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("broken at %s", broken)
}

// DropBlob takes away what says who names a file, as damage does.
func DropBlob(s *Store, h entry.Hash) error {
	s.mu.Lock()
	delete(s.blobs, h)
	s.mu.Unlock()
	return s.write([]row{{key: blobKey(h)}})
}

// DropEntry takes an entry away behind the store's back, as damage does.
func DropEntry(s *Store, d dot.Dot) error {
	return s.write([]row{{key: entryKey(d.Chain, d.Seq)}})
}
