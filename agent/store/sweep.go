package store

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// sweepStep is how many rows one commit of [Store.Sweep] removes.
const sweepStep = 512

// Sweep removes rows that nobody is shown any more, of scopes that were left
// and of earlier generations, a commit at a time, until none is left.
func (s *Store) Sweep(ctx context.Context) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	for {
		dead, forget, err := s.dead(ctx)
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if len(dead) == 0 && len(forget) == 0 {
			return nil
		}
		if err := s.feedAct(ctx, "sweep", &feedAct{sweep: dead, forget: forget}); err != nil {
			return err
		}
	}
}

// dead lists rows to remove and, once a scope that was left has none, the scope.
func (s *Store) dead(ctx context.Context) (rows []row, forget []string, err error) {
	type life struct{ gen, next uint32 }
	live := make(map[string]life)
	left := make(map[string]bool)
	s.mu.RLock()
	for scope, f := range s.feeds {
		switch {
		case f.Left:
			left[scope] = true
		case f.Next != nil:
			live[scope] = life{f.Gen, f.Next.Gen}
		default:
			live[scope] = life{f.Gen, f.Gen}
		}
	}
	s.mu.RUnlock()
	err = s.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		opts.Prefix = []byte{kindBase}
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Rewind(); it.Valid() && len(rows) < sweepStep; {
			if err := ctx.Err(); err != nil {
				return err
			}
			key := it.Item().KeyCopy(nil)
			scope, gen, _, ok := parseBase(key)
			if l, held := live[scope]; ok && held && (gen == l.gen || gen == l.next) {
				end := genPrefix(scope, gen)
				it.Seek(append(end, 0xff)) // slots are small numbers
				continue
			}
			delete(left, scope)
			rows = append(rows, row{key: key})
			it.Next()
		}
		return nil
	})
	if err != nil || len(rows) == sweepStep {
		return rows, nil, err
	}
	for scope := range left {
		forget = append(forget, scope)
	}
	return rows, forget, nil
}
