package store

import "otor/internal/feed"

// DropBaseRow takes a row away behind the store's back, as damage does.
func DropBaseRow(s *Store, scope, key string) error {
	return s.write([]row{{key: baseKey(scope, s.shown()[scope], feed.Name{Slot: feed.Entity, Key: key})}})
}
