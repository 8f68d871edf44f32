package store_test

import (
	"errors"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
)

// An older program opens nothing of a newer one's folder, and changes nothing there.
func TestRefusesANewerStore(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, dot.Record, 3)
	if err := errors.Join(store.MarkNewer(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := store.Open(dir, options()); !errors.Is(err, store.ErrNewer) {
			t.Errorf("a newer store: %v", err)
		}
	}
}
