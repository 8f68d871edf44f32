package store

import (
	"context"
	"fmt"

	"otor/internal/entry"
	"otor/internal/feed"
)

// A scope that is taken away leaves no marks: its rows go, and nothing covers the
// device's own writes that were in them. So each entity that the device wrote to
// and that no remaining scope holds gets a mark, before the scope goes. By it the
// hub's receipt ends such a write, as a leave mark of a feed does (see
// [Store.Shown]). A mark is of no account while the entity is in a base row.

// awayKey is the key of an entity's mark.
func awayKey(ref entry.Ref) ([]byte, error) {
	k, err := overlayPrefix(ref)
	if err != nil {
		return nil, err
	}
	k[0] = kindAway
	return k, nil
}

// awayStep is how many marks one commit writes.
const awayStep = 512

// markAway marks what no scope but those that remain holds.
func (s *Store) markAway(ctx context.Context, remain []string) error {
	act := func() error {
		own, err := s.ownWrites(ctx, []byte{kindOverlay})
		if err != nil {
			return fmt.Errorf("leave scopes: %w", err)
		}
		var rows []row
		for i, w := range own {
			if i > 0 && own[i-1].Ref == w.Ref || s.heldBy(w.Ref, remain) {
				continue
			}
			key, err := awayKey(w.Ref)
			if err != nil || s.has(key) {
				continue // such a key is none that was written
			}
			if rows = append(rows, row{key, s.box.seal(key, nil)}); len(rows) == awayStep {
				if err := s.write(rows); err != nil {
					return s.fail(err)
				}
				rows = rows[:0]
			}
		}
		if len(rows) == 0 {
			return nil
		}
		if err := s.write(rows); err != nil {
			return s.fail(err)
		}
		return nil
	}
	return s.send(ctx, &request{act: act})
}

// heldBy reports whether one of the scopes shows the entity.
func (s *Store) heldBy(ref entry.Ref, scopes []string) bool {
	shown := s.shown()
	name := feed.Name{Slot: feed.Entity, Key: feed.EntityKey(ref)}
	for _, scope := range scopes {
		if gen, ok := shown[scope]; ok {
			if r, err := s.base(baseKey(scope, gen, name)); err == nil && r.Kind == feed.Entity {
				return true
			}
		}
	}
	return false
}
