package store_test

import (
	"strings"
	"testing"

	"otor/agent/store"
)

// What a person set on the page outlives the program; what cannot be kept is
// refused and changes nothing.
func TestPreferences(t *testing.T) {
	dir := t.TempDir()
	s := reopened(t, dir)
	want := store.Preferences{User: "U01", Day: 5_000_000, Contact: 200_000}
	if err := s.SetPreferences(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPreferences(t.Context(), store.Preferences{User: strings.Repeat("x", 129)}); err == nil {
		t.Error("a name of 129 bytes was kept")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := reopened(t, dir).Preferences(); got != want {
		t.Errorf("after opening again: %+v", got)
	}
}
