package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/hub/backup"
	"otor/hub/server"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// TestRestore puts a hub back to an older copy under agents that keep running.
// They refill it by themselves: every entry is there exactly once, and nobody
// touches a key. A hub that keeps its epoch instead must be found out.
func TestRestore(t *testing.T) {
	for _, control := range []bool{false, true} {
		name := map[bool]string{false: "promise", true: "control"}[control]
		t.Run(name, func(t *testing.T) {
			w := newRestoreWorld(t, control)
			w.put(t, 1, 60)
			w.settled(t)
			made := w.backup(t)
			if made.Entries != uint64(len(w.printed)) || made.Unjoined != 0 || made.Warning != "" {
				t.Errorf("backup: %+v, want %d entries", made, len(w.printed))
			}
			w.put(t, 2, 200)
			w.settled(t)
			w.putBack(t, made.Path)
			w.put(t, 3, 20) // life goes on
			w.settled(t)
			problems := func() []string { return ledgerProblems(t, w.hub, w.fleet, w.printed) }
			if control {
				if len(problems()) == 0 {
					t.Error("a hub that was put back and keeps its epoch was not found out")
				}
				return
			}
			e2e.Eventually(t, "the hub to have all", func() bool { return len(w.hub.Entries(t)) == len(w.printed) })
			if got := problems(); len(got) > 0 {
				t.Error(got)
			}
			w.wantRegained(t, 200)
		})
	}
}

// TestRestoreTwice goes back to the same copy again, before everybody has heard
// of the first time, and then forward to another.
func TestRestoreTwice(t *testing.T) {
	w := newRestoreWorld(t, false)
	w.put(t, 1, 30)
	w.settled(t)
	first := w.backup(t)
	w.put(t, 2, 30)
	w.settled(t)
	second := w.backup(t)
	w.fleet[2].Kill()
	for i, copyOf := range []string{first.Path, first.Path, second.Path, first.Path} {
		w.putBack(t, copyOf)
		w.put(t, uint64(3+i), 12)
		for _, a := range w.fleet[:2] {
			e2e.Eventually(t, "two devices to be through", func() bool { return a.Status(t).Waiting == 0 })
		}
	}
	w.fleet[2].Start(t)
	e2e.Eventually(t, "the hub to have all", func() bool { return len(w.hub.Entries(t)) == len(w.printed) })
	w.settled(t)
	if got := ledgerProblems(t, w.hub, w.fleet, w.printed); len(got) > 0 {
		t.Error(got)
	}
}

// TestRestoreRefuses walks through what backup and restore do not do.
func TestRestoreRefuses(t *testing.T) {
	w := newRestoreWorld(t, false)
	w.put(t, 1, 9)
	w.settled(t)
	if r := w.hub.Do(t, "backup", w.backups, "--keep", "1"); r.Exit != cli.Refused || !strings.Contains(r.Err, "second-newest") {
		t.Errorf("one backup alone: %s", r)
	}
	first := w.backup(t)
	w.put(t, 2, 9)
	w.settled(t)
	second := w.backup(t)
	w.backup(t)
	a := w.fleet[0]
	a.Kill()
	a.Sync(t)
	archived := dot.Seq(0)
	for _, l := range a.Status(t).Lanes {
		archived += l.Archived
	}
	if archived != 6 {
		t.Errorf("the device shows %d archived, want 6", archived)
	}
	w.hub.Kill()
	other := filepath.Join(t.TempDir(), "other")
	restore := func(from string, flags ...string) e2e.Result {
		return e2e.Run(t, nil, "hub", append([]string{"restore", from, "--data", other, "--json"}, flags...)...)
	}
	r := restore(first.Path)
	if trouble := r.Want(t, cli.Refused).Trouble(t); trouble.Code != "archive_loss" || !strings.Contains(trouble.What, "D-201/1/record 4-6") {
		t.Errorf("an older copy than was promised: %s", r)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a refused restore left something")
	}
	if got := e2e.Decode[backup.Restored](t, restore(first.Path, "--accept-loss").Want(t, cli.OK)); len(got.Accepted) < 3 {
		t.Errorf("accepted: %+v", got)
	}
	if r := restore(second.Path); r.Exit != cli.Refused || r.Trouble(t).Code != "not_empty" {
		t.Errorf("a folder in use: %s", r)
	}
	database := filepath.Join(second.Path, "hub.db")
	b, err := os.ReadFile(database)
	if err == nil {
		b[len(b)/2] ^= 1
		err = os.WriteFile(database, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	other += "-2"
	if r := restore(second.Path); r.Exit != cli.Integrity || r.Trouble(t).Code != "backup_unverified" {
		t.Errorf("a flipped bit: %s", r)
	}
	// The hub is stopped: backup opens the folder by itself.
	if made := w.backup(t); made.Number != 4 || made.Entries != uint64(len(w.printed)) {
		t.Errorf("backup of a stopped hub: %+v", made)
	}
}

// restoreWorld is a hub with three running agents.
type restoreWorld struct {
	hub     *e2e.Hub
	fleet   []*e2e.Agent
	backups string
	printed map[dot.Dot]bool
}

func newRestoreWorld(t *testing.T, control bool) *restoreWorld {
	t.Helper()
	w := &restoreWorld{backups: filepath.Join(t.TempDir(), "backups"), printed: make(map[dot.Dot]bool)}
	w.hub = e2e.NewHub(t, "", "--demo-numbers")
	if control {
		w.hub.Program, w.hub.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=no-child"}
	}
	w.hub.Start(t)
	for i := range 3 {
		a := w.hub.Enrol(t, fmt.Sprintf("D-%d01", i+1))
		a.Start(t)
		w.fleet = append(w.fleet, a)
	}
	return w
}

// put saves n records, an equal share on each device.
func (w *restoreWorld) put(t *testing.T, seed uint64, n int) {
	t.Helper()
	for i, a := range w.fleet {
		share := n / len(w.fleet)
		if i < n%len(w.fleet) {
			share++
		}
		for _, s := range a.MustPut(t, records(t, 10*seed+uint64(i), share), "--demo-numbers") {
			if w.printed[s.Dot] {
				t.Fatalf("%s was printed twice", s.Dot)
			}
			w.printed[s.Dot] = true
		}
	}
}

// settled waits until every device holds receipts for all it has.
func (w *restoreWorld) settled(t *testing.T) {
	t.Helper()
	for _, a := range w.fleet {
		e2e.Eventually(t, "the outbox to be empty", func() bool { return a.Status(t).Waiting == 0 })
	}
}

func (w *restoreWorld) backup(t *testing.T) backup.Made {
	t.Helper()
	return e2e.Decode[backup.Made](t, w.hub.Do(t, "backup", w.backups, "--json").Want(t, cli.OK))
}

// putBack kills the hub and restores a backup in its place, at the same address.
func (w *restoreWorld) putBack(t *testing.T, from string) {
	t.Helper()
	w.hub.Kill()
	if err := os.Rename(w.hub.Dir, filepath.Join(t.TempDir(), "lost")); err != nil {
		t.Fatal(err)
	}
	w.hub.Do(t, "restore", from, "--accept-loss").Want(t, cli.OK)
	w.hub.Start(t)
}

// wantRegained wants the hub to say that it regained so many entries, all of them.
func (w *restoreWorld) wantRegained(t *testing.T, n int64) {
	t.Helper()
	var regained int64
	restored := false
	for _, f := range e2e.Lines[server.FindingLine](t, w.hub.Do(t, "findings", "--all", "--json").Want(t, cli.OK).Out) {
		if f.ClosedAt == nil {
			t.Errorf("still open: %+v", f)
		}
		switch f.Code {
		case "regained":
			regained += f.Value
		case "hub_restored":
			restored = true
		}
	}
	if !restored || regained != n {
		t.Errorf("the hub says that it regained %d entries (restored: %v), want %d", regained, restored, n)
	}
}
