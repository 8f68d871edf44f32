package postgres_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/hub/store/postgres/scratch"
	"otor/hub/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	scratch.Stop()
	os.Exit(code)
}

// template gives the address of a database with tables and nothing in them, to
// make others after.
var template = struct {
	sync.Mutex
	address string
}{}

func fresh(t testing.TB) string {
	t.Helper()
	template.Lock()
	defer template.Unlock()
	if template.address == "" {
		address := scratch.Database(t, "")
		s, err := postgres.Open(t.Context(), address, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		template.address = address
	}
	return scratch.Database(t, template.address)
}

// open opens the database that belongs to dir, whose address stands in it.
func open(t *testing.T, dir string) store.Store {
	t.Helper()
	file := filepath.Join(dir, "address")
	address, err := os.ReadFile(file)
	if err != nil {
		address = []byte(fresh(t))
		if err := os.WriteFile(file, address, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := postgres.Open(t.Context(), string(address), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) { storetest.Run(t, open) }

func TestContractNoticesBrokenStores(t *testing.T) { storetest.RunControls(t, open) }
