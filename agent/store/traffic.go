package store

import (
	"context"
	"fmt"
)

// Traffic is what went over the link on one day, in bytes both ways.
type Traffic struct {
	Day    string `cbor:"1,keyasint"` // of the device's calendar, 2026-11-26
	In     uint64 `cbor:"2,keyasint"`
	Out    uint64 `cbor:"3,keyasint"`
	Photos uint64 `cbor:"4,keyasint,omitempty"` // of photos and files, among Out
}

// Traffic returns what [Store.SetTraffic] kept last; zero at first.
func (s *Store) Traffic() Traffic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.traffic
}

// SetTraffic replaces it durably.
func (s *Store) SetTraffic(ctx context.Context, t Traffic) error {
	if len(t.Day) > len("2026-11-26") {
		return fmt.Errorf("set traffic: %q is no day", t.Day)
	}
	if err := s.send(ctx, &request{traffic: &t}); err != nil {
		return fmt.Errorf("set traffic: %w", err)
	}
	return nil
}
