package store

import (
	"context"
	"fmt"
	"unicode/utf8"
)

// Preferences are what a person set on the device's page.
type Preferences struct {
	User    string `cbor:"1,keyasint,omitempty"` // whose records are captured
	Day     uint64 `cbor:"2,keyasint,omitempty"` // bytes that the link may move in a day; 0: no bound
	Contact uint64 `cbor:"3,keyasint,omitempty"` // and in one contact
}

// maxUser bounds a user's id in bytes, as capture does.
const maxUser = 128

// Preferences returns what [Store.SetPreferences] kept last; zero at first.
func (s *Store) Preferences() Preferences {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.prefs
}

// SetPreferences replaces them durably.
func (s *Store) SetPreferences(ctx context.Context, p Preferences) error {
	if len(p.User) > maxUser || !utf8.ValidString(p.User) {
		return fmt.Errorf("set preferences: the user's id has %d bytes or is no text, at most %d are kept", len(p.User), maxUser)
	}
	if err := s.send(ctx, &request{prefs: &p}); err != nil {
		return fmt.Errorf("set preferences: %w", err)
	}
	return nil
}
