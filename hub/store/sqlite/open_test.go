package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"

	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

var chain = dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}

// put commits one plain entry.
func put(s store.Store, t *testing.T, seq dot.Seq) error {
	raw := entry.NewRaw([]byte("public "+chain.At(seq).String()), []byte("private"))
	e := store.Entry{Dot: chain.At(seq), Hash: raw.Hash(), Raw: raw, Form: "visit", Judgement: store.Judgement{Verdict: store.Applied}}
	return s.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(chain)
		if err != nil {
			return err
		}
		l.Received = l.Received.Add(lane.Run(seq, seq))
		return errors.Join(tx.Insert([]store.Entry{e}), tx.SaveLane(l))
	})
}

// refuses expects Open to refuse path, with words that name the file or its folder.
func refuses(t *testing.T, path string, want error) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err == nil {
		t.Errorf("%s was opened: %v", path, s.Close())
		return
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Errorf("got %q, want %q and the path", err, want)
	}
	t.Log(err)
}

// raw runs SQL behind the store's back.
func raw(t *testing.T, path, sql string) {
	t.Helper()
	db, err := driver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// filled makes a database with one entry and closes it.
func filled(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	if err := errors.Join(put(s, t, 1), s.Close()); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "hub.db")
}

func TestOneHubADatabase(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	refuses(t, filepath.Join(dir, "hub.db"), store.ErrLocked)
	if err := errors.Join(put(s, t, 1), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRefusesForeignFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	if err := os.WriteFile(path, []byte("name,herd\nBat,120\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, store.ErrForeign)
	if b, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(b), "name,herd") {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
	refuses(t, t.TempDir(), store.ErrForeign)
	other := filepath.Join(t.TempDir(), "hub.db")
	raw(t, other, "CREATE TABLE songs (name TEXT)")
	refuses(t, other, store.ErrForeign)
}

func TestRefusesNewerTables(t *testing.T) {
	path := filled(t)
	raw(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	refuses(t, path, store.ErrNewer)
}

func TestRefusesAnEmptiedDatabase(t *testing.T) {
	emptied := filled(t)
	if err := os.Truncate(emptied, 0); err != nil {
		t.Fatal(err)
	}
	refuses(t, emptied, store.ErrDamaged)
	missing := filled(t)
	if err := os.Remove(missing); err != nil {
		t.Fatal(err)
	}
	refuses(t, missing, store.ErrDamaged)
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused database was made: %v", err)
	}
	if err := os.Remove(missing + ".made"); err != nil { // as the words say
		t.Fatal(err)
	}
	if err := open(t, filepath.Dir(missing)).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReportsDamage(t *testing.T) {
	short := filled(t)
	if err := os.Truncate(short, 3*8192); err != nil {
		t.Fatal(err)
	}
	refuses(t, short, store.ErrDamaged)

	torn := filled(t)
	b, err := os.ReadFile(torn)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[8192:], make([]byte, len(b)-8192)) // all but the first page
	if err := os.WriteFile(torn, b, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, torn, store.ErrDamaged)

	row := filled(t)
	raw(t, row, "UPDATE entries SET hash = x'00'")
	s := open(t, filepath.Dir(row))
	defer s.Close()
	for _, err := range s.Entries(t.Context(), store.EntryQuery{}) {
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("a row that makes no sense: %v", err)
		}
	}
}

// TestSurvivesKill copies the files of a running hub as a crash would leave
// them: what Ingest returned for must be in the copy.
func TestSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	const n = 300
	for seq := dot.Seq(1); seq <= n; seq++ {
		if err := put(s, t, seq); err != nil {
			t.Fatal(err)
		}
	}
	killed := t.TempDir()
	for _, name := range []string{"hub.db", "hub.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(killed, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, killed)
	defer again.Close()
	totals, err := again.Totals(t.Context())
	if err != nil || totals.Entries != n {
		t.Errorf("%d entries after the crash, want %d: %v", totals.Entries, n, err)
	}
}

func TestOddPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "旗 50% #1", "nested")
	s := open(t, dir)
	if err := put(s, t, 1); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{"hub.db", "hub.db-wal"} {
			if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v: others may read it", name, fi, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPrivateHash: the hash of a private part must not lie beside it, or an
// erasure would leave what it was meant to take.
func TestPrivateHash(t *testing.T) {
	path := filled(t)
	db, err := driver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM entries WHERE private IS NOT NULL AND private_hash IS NULL").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestRevokedDevices(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	in := store.Invitation{Device: "D-101", CodeHash: [32]byte{1}, AddedAt: 1, ExpiresAt: 100}
	if err := s.Invite(t.Context(), in, false); err != nil {
		t.Fatal(err)
	}
	raw(t, filepath.Join(dir, "hub.db"), "UPDATE devices SET revoked_at = 50")
	if _, err := s.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, At: 60}); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("redeem: %v", err)
	}
	in.CodeHash = [32]byte{2}
	if err := s.Invite(t.Context(), in, true); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("invite: %v", err)
	}
}
