package sqlite_test

import (
	"path/filepath"
	"testing"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/hub/store/storetest"
)

func open(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) { storetest.Run(t, open) }

func TestContractNoticesBrokenStores(t *testing.T) { storetest.RunControls(t, open) }
