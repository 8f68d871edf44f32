package chaos

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"otor/hub/backup"
	hubledger "otor/hub/ledger"
	"otor/hub/server"
	hubstore "otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
)

// hubVictim is a hub's folder as kill -9 leaves it, with what was in it.
type hubVictim struct {
	dir, journal string
	settled      string // the database alone, with its log put back
	key          identity.PublicKey
	device       *e2e.Agent
	have         map[dot.Dot]entry.Hash
	rows         map[string][]row // of each table
}

// row is a row of a table, hashed.
type row [sha256.Size]byte

// damageHub damages one file of a hub's folder at a time. What the ledger holds
// must be what it held, or a check must say that it is not; a ledger that went
// back in time says so by its watermarks, so that devices bring back the rest. With
// another damaged file a hub refuses in words, or starts and has it all.
//
// Rows of other tables than those that the checks cover are compared as well where
// the database itself was damaged. What differs there unnoticed is tallied under the
// table's name and is no failure: SQLite has no checksums (docs/campaigns.md).
func damageHub(t *T) {
	v := t.newHubVictim()
	for range damagedIn {
		dir := filepath.Join(t.TempDir(), "copy")
		name, examine := t.pickHub(v, dir)
		what := t.harm(name)
		t.Faults++
		before := t.Failed()
		examine(v, dir)
		if t.Failed() && !before {
			rel, _ := filepath.Rel(dir, name)
			t.Errorf("that was %s: %s", rel, what)
			return
		}
		for _, d := range []string{dir, dir + "-journal"} {
			if err := os.RemoveAll(d); err != nil {
				t.Error(err)
			}
		}
	}
}

// pickHub copies the folder and takes the database and its log more often than all
// other files together: the others hold no entries. Where the log is whole, it would
// cover most of what is done to the database, which is damaged without it.
func (t *T) pickHub(v *hubVictim, dir string) (name string, examine func(*hubVictim, string)) {
	t.Helper()
	kind, from := t.R.IntN(8), v.dir
	if kind < 4 {
		from = v.settled
	}
	if err := errors.Join(copyFolder(dir, from), copyFolder(dir+"-journal", v.journal)); err != nil {
		t.Fatal(err)
	}
	switch kind {
	case 0, 1, 2, 3:
		return filepath.Join(dir, "hub.db"), func(v *hubVictim, dir string) { t.examineHub(v, dir, true) }
	case 4, 5, 6: // the log may take the database back in time, and all tables with it
		return filepath.Join(dir, "hub.db-wal"), func(v *hubVictim, dir string) { t.examineHub(v, dir, false) }
	default:
		harmed := dir
		if t.R.IntN(4) == 0 {
			harmed = dir + "-journal"
		}
		for { // what a kill -9 leaves of who runs is nobody's
			name = t.pick(harmed)
			if base := filepath.Base(name); !strings.HasPrefix(base, "hub.db") && base != "run.json" && !strings.HasSuffix(base, "lock") {
				return name, t.startHarmed
			}
		}
	}
}

// newHubVictim has half of its ledger in the database's log, and devices of all kinds.
func (t *T) newHubVictim() *hubVictim {
	t.Helper()
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "16MiB")
	h.Start(t)
	v := &hubVictim{dir: h.Dir, have: make(map[dot.Dot]entry.Hash)}
	a := h.Enrol(t, "D-101")
	h.Enrol(t, "D-102")
	h.Do(t, "device", "revoke", "D-102").Want(t, 0)
	h.Invite(t, "D-103")
	for i := range 2 {
		a.MustPut(t, t.Site.Records(t, t.Seed+uint64(i), 120), "--demo-numbers") //nolint:gosec // small
		a.Sync(t)
		if i == 0 {
			h.Stop(t)
			h.Start(t)
		}
	}
	for _, e := range h.Entries(t) {
		v.have[e.Dot] = e.Hash
	}
	if len(v.have) != 240 {
		t.Fatalf("%d entries at the hub, want 240", len(v.have))
	}
	check := e2e.Decode[server.LedgerCheck](t, h.Do(t, "ledger", "verify", "--json").Want(t, 0))
	if err := v.key.UnmarshalText([]byte(check.HubKey)); err != nil {
		t.Fatal(err)
	}
	h.Kill()
	v.device, v.journal = a, check.Dir
	v.settled = filepath.Join(t.TempDir(), "settled")
	if err := copyFolder(v.settled, v.dir); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), filepath.Join(v.settled, "hub.db"), sqlite.Options{})
	if err == nil {
		err = s.Close()
	}
	if err == nil {
		v.rows, err = rowsOf(t.Context(), v.settled)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// examineHub opens a damaged database. still says that what is not damaged is as it was.
func (t *T) examineHub(v *hubVictim, dir string, still bool) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		for _, known := range []error{hubstore.ErrDamaged, hubstore.ErrForeign, hubstore.ErrNewer, hubstore.ErrNotFound} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Errorf("refused without saying why: %v", err)
		return
	}
	noticed := t.checkHub(v, s)
	if err := s.Close(); err != nil && !noticed {
		t.Errorf("a check found nothing, and the database does not close: %v", err)
	}
	if noticed || !still {
		return
	}
	now, err := rowsOf(t.Context(), dir)
	if err != nil {
		t.Errorf("a check found nothing, and the rows cannot be read: %v", err)
		return
	}
	for table, rows := range v.rows {
		if slices.Equal(rows, now[table]) {
			continue
		}
		if covered[table] {
			t.Errorf("a check found nothing, and %s has other rows", table)
			return
		}
		t.Met("unnoticed in "+table, 1)
	}
}

// covered are the tables whose rows the hub's checks hold against hashes and
// signatures.
var covered = map[string]bool{"facts": true}

// checkHub has the hub's checks look at a database, and holds its ledger against what
// was in it when they find nothing. noticed says that they, or this, found something.
func (t *T) checkHub(v *hubVictim, s *sqlite.Store) (noticed bool) {
	t.Helper()
	_, _, err := hubledger.CheckRows(s.Facts(t.Context(), hubstore.FactQuery{}), v.key)
	if err = errors.Join(err, backup.Inspect(t.Context(), s)); err != nil && t.Control != deaf {
		return true // a check says so
	}
	lanes, err := s.Lanes(t.Context())
	if err != nil {
		t.Errorf("a check found nothing, and the lanes cannot be read: %v", err)
		return true
	}
	received := make(map[dot.Chain]lane.Set)
	for _, l := range lanes {
		received[l.Chain] = l.Received
	}
	now := make(map[dot.Dot]bool)
	for e, err := range s.Entries(t.Context(), hubstore.EntryQuery{WithRaw: true}) {
		if err != nil {
			t.Errorf("a check found nothing, and the entries cannot be read: %v", err)
			return true
		}
		t.Checked++
		if v.have[e.Dot] != e.Hash || e.Raw.Hash() != e.Hash {
			t.Errorf("a check found nothing, and %s has other bytes", e.Dot)
			return true
		}
		now[e.Dot] = true
	}
	for x := range v.have {
		if !now[x] && received[x.Chain].Contains(x.Seq) {
			t.Errorf("a check found nothing, and %s, which counts as received, is not there", x)
			return true
		}
	}
	return false
}

// startHarmed starts a hub on a folder of which another file was damaged: it refuses
// in words, or it has all that it had.
func (t *T) startHarmed(v *hubVictim, dir string) {
	t.Helper()
	h := e2e.NewHub(t, dir, "--demo-numbers", "--max-store", "16MiB", "--journal", dir+"-journal")
	if err := h.TryStart(t); err != nil {
		said := err.Error()
		if strings.Contains(said, `"code":"internal"`) || !strings.Contains(said, `"code":`) {
			t.Errorf("refused without saying why: %v", err)
		}
		return
	}
	defer h.Kill()
	times := make(map[dot.Dot]int)
	for _, e := range h.Entries(t) {
		if times[e.Dot]++; v.have[e.Dot] != e.Hash {
			t.Errorf("it started, and %s has other bytes", e.Dot)
		}
	}
	for x := range v.have {
		t.Checked++
		if times[x] != 1 {
			t.Errorf("it started, and has %s %d times", x, times[x])
			return
		}
	}
	h.Do(t, "ledger", "verify").Want(t, 0)
}

// rowsOf hashes the rows of each table of a hub's database.
func rowsOf(ctx context.Context, dir string) (map[string][]row, error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "hub.db"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	names, err := columns(ctx, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return nil, err
	}
	out := make(map[string][]row)
	for _, n := range names {
		rows, err := columns(ctx, db, fmt.Sprintf("SELECT * FROM %q", n[0])) //nolint:gosec // a table of the schema
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", n[0], err)
		}
		for _, r := range rows {
			out[fmt.Sprint(n[0])] = append(out[fmt.Sprint(n[0])], sha256.Sum256(fmt.Appendf(nil, "%#v", r)))
		}
	}
	return out, nil
}

// columns reads all rows of a query.
func columns(ctx context.Context, db *sql.DB, query string) (out [][]any, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, values)
	}
	return out, rows.Err()
}
