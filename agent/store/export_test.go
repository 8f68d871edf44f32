package store

import "otor/internal/feed"

// DropBaseRow takes a row away behind the store's back, as damage does.
func DropBaseRow(s *Store, scope, key string) error {
	return s.write([]row{{key: baseKey(scope, s.shown()[scope], feed.Name{Slot: feed.Entity, Key: key})}})
}

// MarkNewer marks the store as one of a program to come.
func MarkNewer(s *Store) error {
	value, err := s.box.sealRow(formatKey, formatRow{formatVersion + 1, s.o.Device})
	if err != nil {
		return err
	}
	return s.write([]row{{formatKey, value}})
}
