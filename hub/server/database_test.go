package server

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"otor/hub/store/sqlite"
)

// A move into a file that was killed on its way can be made again.
func TestMoveAfterAKill(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	moving := filepath.Join(cfg.Dir, "hub.db.moving")
	killed(t, moving)
	from, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "from.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := from.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := migrate(t.Context(), cfg, from, InFile, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(moving); err != nil {
		t.Error(err)
	}
	for _, beside := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(moving + beside); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", beside, err)
		}
	}
}

// killed leaves at path what a program leaves that is killed while it fills a database
// there. The folder is copied while it is open: a close would clear its log.
func killed(t *testing.T, path string) {
	t.Helper()
	aside := filepath.Join(t.TempDir(), filepath.Base(path))
	s, err := sqlite.Open(t.Context(), aside, sqlite.Options{Scratch: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, beside := range []string{"", "-wal", "-shm", ".lock", ".made"} {
		b, err := os.ReadFile(aside + beside)
		if err == nil {
			err = os.WriteFile(path+beside, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Stat(path + "-wal"); err != nil || fi.Size() == 0 {
		t.Fatalf("its log: %v, %v", fi, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
