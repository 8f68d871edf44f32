package e2e_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// diagnosed is what the doctor says with --json.
type diagnosed struct {
	Well     bool `json:"well"`
	Findings []struct{ Code, What, Which, Do string }
	Repairs  []string
}

// damagedAgent has 120 entries, of which the hub received the first 80; the
// table with the first 40 is gone.
func damagedAgent(t *testing.T) (*e2e.Hub, *e2e.Agent) {
	t.Helper()
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.MustPut(t, strings.Repeat(water, 40), "--form", "water_check")
	tables := tablesOf(t, a)
	a.MustPut(t, strings.Repeat(water, 40), "--form", "water_check")
	a.Sync(t)
	a.MustPut(t, strings.Repeat(water, 40), "--form", "water_check")
	if err := os.Remove(tables[0]); err != nil {
		t.Fatal(err)
	}
	return h, a
}

func tablesOf(t *testing.T, a *e2e.Agent) []string {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(a.Dir, "db", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("the agent has no tables: %v", err)
	}
	return tables
}

// TestRepair: what damage took and the hub has comes back, by the doctor's hand
// or by itself in a contact; until then every program says what is missing.
func TestRepair(t *testing.T) {
	t.Run("doctor", func(t *testing.T) {
		h, a := damagedAgent(t)
		was := h.Status(t).Devices[0].Lanes
		first := a.Do(t, "doctor", "--json").Want(t, cli.Integrity)
		d := e2e.Decode[diagnosed](t, first)
		if d.Well || !strings.Contains(first.Out, "D-101/1/record {1-40}") {
			t.Fatalf("doctor: %s", first)
		}
		if e := first.Trouble(t); !strings.Contains(e.Do, "--repair") {
			t.Errorf("the doctor does not say what to do: %+v", e)
		}
		// A later program knows, too.
		if s := a.Status(t); len(s.Findings) < 2 || !s.NothingLost {
			t.Errorf("status after the doctor: %+v", s)
		}
		h.Stop(t)
		r := a.Do(t, "doctor", "--repair", "--timeout", "1s", "--json").Want(t, cli.Integrity)
		if d := e2e.Decode[diagnosed](t, r); len(d.Repairs) == 0 || !strings.Contains(strings.Join(d.Repairs, "\n"), "next contact") {
			t.Errorf("without the hub: %s", r)
		}
		h.Start(t)
		r = a.Do(t, "doctor", "--repair", "--json").Want(t, cli.OK)
		if d := e2e.Decode[diagnosed](t, r); !d.Well || !strings.Contains(strings.Join(d.Repairs, "\n"), "40 of 40 entries were fetched") {
			t.Errorf("repair: %s", r)
		}
		a.Do(t, "doctor").Want(t, cli.OK)
		if s := a.Status(t); len(s.Findings) != 0 {
			t.Errorf("status after the repair: %+v", s.Findings)
		}
		if n := len(a.Log(t)); n != 120 {
			t.Errorf("%d entries, want 120", n)
		}
		a.Sync(t)
		if now := h.Status(t).Devices[0].Lanes; len(h.Entries(t)) != 120 || len(now) != len(was) {
			t.Errorf("the hub has %d entries; lanes %+v, before %+v", len(h.Entries(t)), now, was)
		}
	})
	t.Run("contact", func(t *testing.T) {
		_, a := damagedAgent(t)
		a.Start(t) // its check of everything finds the hole, and its contact fills it
		e2e.Eventually(t, "the hole to be filled", func() bool { return len(a.Log(t)) == 120 })
		a.Stop(t)
		a.Do(t, "doctor", "--repair").Want(t, cli.OK)
	})
	t.Run("list of files", func(t *testing.T) {
		_, a := damagedAgent(t)
		if err := os.Remove(filepath.Join(a.Dir, "db", "MANIFEST")); err != nil {
			t.Fatal(err)
		}
		e := a.Do(t, "doctor", "--json").Want(t, cli.Integrity).Trouble(t)
		if !strings.Contains(e.What+e.Do, "--repair") {
			t.Errorf("doctor: %+v", e)
		}
		r := a.Do(t, "doctor", "--repair", "--json").Want(t, cli.OK)
		if d := e2e.Decode[diagnosed](t, r); !d.Well || !strings.Contains(strings.Join(d.Repairs, "\n"), "made anew") {
			t.Errorf("repair: %s", r)
		}
		if n := len(a.Log(t)); n != 120 {
			t.Errorf("%d entries, want 120", n)
		}
	})
}

// TestEndUnknown: where damage took the end of a chain and its proof, nothing more is
// saved in that life. The next capture begins another, or the doctor does; all of it
// reaches the hub, and that something may be missing is said until it is repaired.
func TestEndUnknown(t *testing.T) {
	for name, byDoctor := range map[string]bool{"by the doctor": true, "by a capture": false} {
		t.Run(name, func(t *testing.T) { endUnknown(t, byDoctor) })
	}
}

// logsLost is a device of which the hub has ten records, and that then lost its log with
// records that were saved and not sent.
func logsLost(t *testing.T) (*e2e.Hub, *e2e.Agent) {
	t.Helper()
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.MustPut(t, strings.Repeat(water, 10), "--form", "water_check")
	a.Sync(t)
	p := e2e.StartPut(t, "", nil, a.Dir, strings.Repeat(water, 200), "--form", "water_check")
	p.Await(t, 5)
	p.Kill() // what it saved lies in the log
	logs, err := filepath.Glob(filepath.Join(a.Dir, "db", "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	for _, name := range logs {
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
	}
	return h, a
}

func endUnknown(t *testing.T, byDoctor bool) {
	t.Helper()
	h, a := logsLost(t)
	if err := os.Remove(filepath.Join(a.Dir, "tails-1")); err != nil {
		t.Fatal(err)
	}
	a.Do(t, "put", "--form", "water_check", "--json").Want(t, cli.OK) // no line, nothing to refuse
	if r := a.Do(t, "doctor", "--json"); r.Exit != cli.Integrity {
		t.Errorf("the doctor finds nothing: %s", r)
	}
	if byDoctor {
		r := a.Do(t, "doctor", "--repair", "--json").Want(t, cli.OK)
		if !strings.Contains(r.Out, "in life 2") {
			t.Errorf("the doctor does not say what it did: %s", r)
		}
	}
	saved := a.MustPut(t, water+water, "--form", "water_check")
	for i, s := range saved {
		if s.Dot.Incarnation != 2 || s.Dot.Seq != dot.Seq(i+1) { //nolint:gosec // small
			t.Errorf("went on with %s", s.Dot)
		}
	}
	a.Sync(t)
	if n := len(h.Entries(t)); n != 12 {
		t.Errorf("the hub has %d entries, want 12", n)
	}
	if st := a.Status(t); st.NothingLost != byDoctor {
		t.Errorf("nothing lost: %t, findings %+v", st.NothingLost, st.Findings)
	}
	if !byDoctor { // what may be missing stays said until somebody has looked
		a.Do(t, "doctor", "--repair").Want(t, cli.OK)
	}
	a.Do(t, "doctor").Want(t, cli.OK)
	if again := a.MustPut(t, water, "--form", "water_check"); again[0].Dot.Incarnation != 2 || again[0].Dot.Seq != 3 {
		t.Errorf("went on with %s", again[0].Dot)
	}
}

// TestSyncBesideDamage: what damage took before it was sent keeps no contact waiting.
// A sync ends well, of the running agent too, and says how many records are gone.
func TestSyncBesideDamage(t *testing.T) {
	_, a := logsLost(t)
	a.MustPut(t, water, "--form", "water_check")
	first := a.Sync(t)
	if first.Lost < 5 || first.Received != 1 || first.Remaining != 0 {
		t.Errorf("sync: %+v", first)
	}
	a.Start(t)
	defer a.Stop(t)
	if again := a.Sync(t); again.Lost != first.Lost || again.Remaining != 0 {
		t.Errorf("sync of the running agent: %+v, want %d lost", again, first.Lost)
	}
	if r := a.Do(t, "sync").Want(t, cli.OK); !strings.Contains(r.Out, fmt.Sprintf("before the hub had them: %d", first.Lost)) {
		t.Errorf("said: %s", r.Out)
	}
}

// TestLedgerDamage: a hub whose disk changed a byte of an entry says so by itself.
func TestLedgerDamage(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.MustPut(t, strings.Repeat(water, 20), "--form", "water_check")
	a.Sync(t)
	h.Stop(t)
	h.Start(t)
	found := func() bool {
		return strings.Contains(h.Do(t, "findings", "--json").Want(t, cli.OK).Out, "database_damaged")
	}
	if found() {
		t.Error("a database that is whole is called damaged")
	}
	h.Stop(t)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(h.Dir, "hub.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE entries SET private = CAST('changed' AS BLOB) WHERE seq = 7"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	h.Start(t)
	e2e.Eventually(t, "the hub to find what was changed", found)
}
