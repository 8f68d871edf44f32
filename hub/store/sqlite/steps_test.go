package sqlite_test

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestSameSteps: whoever changes SQLite's tables changes PostgreSQL's too. That the
// columns are the same ones is seen where a database moves from one to the other.
func TestSameSteps(t *testing.T) {
	names := func(dir string) (out []string) {
		found, err := filepath.Glob(filepath.Join(dir, "*.sql"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no steps in %s: %v", dir, err)
		}
		for _, f := range found {
			out = append(out, filepath.Base(f))
		}
		return out
	}
	lite, post := names("migrations"), names("../postgres/migrations")
	for _, n := range lite {
		if !slices.Contains(post, n) {
			t.Errorf("hub/store/postgres/migrations lacks %s: the same tables with BIGINT, BYTEA, TEXT COLLATE \"C\" and without STRICT", n)
		}
	}
	for _, n := range post {
		if !slices.Contains(lite, n) {
			t.Errorf("hub/store/sqlite/migrations lacks %s", n)
		}
	}
}
