package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// TestPruning walks a device through law L8: what is in a verified backup goes from
// the device once it has been kept for long enough, everything else stays; a hub put
// back to the backup that it promised gets all of it together; and one put back to
// an older one is told of, with the ranges that are gone.
func TestPruning(t *testing.T) {
	w := &restoreWorld{backups: filepath.Join(t.TempDir(), "backups"), printed: make(map[dot.Dot]bool)}
	w.hub = e2e.NewHub(t, "", "--demo-numbers")
	w.hub.Start(t)
	a := w.hub.Enrol(t, "D-201")
	w.fleet = []*e2e.Agent{a}
	sync := func(keep string) web.Status {
		t.Helper()
		a.Do(t, "sync", "--json", "--keep", keep).Want(t, cli.OK)
		return a.Status(t)
	}
	w.put(t, 1, 12)
	sync("forever")
	first := w.backup(t)
	w.put(t, 2, 12)
	sync("forever")
	w.backup(t)
	w.put(t, 3, 6)
	if st := sync("90d"); st.Pruned() != 0 {
		t.Fatalf("what was archived a moment ago went: %+v", st.Lanes)
	}

	var st web.Status
	e2e.Eventually(t, "the archived entries to go", func() bool { st = sync("1s"); return st.Pruned() > 0 })
	var archived uint64
	for _, l := range st.Lanes {
		archived += uint64(l.Archived)
	}
	if archived != 12 || st.Pruned() != archived || !st.NothingLost || st.Waiting != 0 || len(st.Findings) != 0 {
		t.Fatalf("%d are archived: %+v", archived, st)
	}
	rows := a.Log(t)
	if len(rows) != len(w.printed)-12 {
		t.Errorf("%d entries are listed, want %d", len(rows), len(w.printed)-12)
	}
	words := "12 records are safe in the hub's archive and no longer on this device"
	for _, args := range [][]string{{"status"}, {"log"}} {
		if r := a.Do(t, args...).Want(t, cli.OK); !strings.Contains(r.Out, words) {
			t.Errorf("%s", r)
		}
	}
	if r := a.Do(t, "doctor").Want(t, cli.OK); !strings.Contains(r.Out, "12 more are in the hub's archive") {
		t.Errorf("%s", r)
	}
	gone := dot.Dot{Chain: rows[0].Dot.Chain, Seq: 1}
	if r := a.Do(t, "log", "--after", gone.String(), "--json"); r.Exit != cli.Refused || r.Trouble(t).Code != "pruned" {
		t.Errorf("behind a pruned entry: %s", r)
	}

	// The older backup is what was promised: nothing is missing after it.
	promised := w.printed
	w.put(t, 4, 6)
	w.hub.Kill()
	if err := os.Rename(w.hub.Dir, filepath.Join(t.TempDir(), "lost")); err != nil {
		t.Fatal(err)
	}
	w.hub.Do(t, "restore", first.Path).Want(t, cli.OK)
	w.hub.Start(t)
	if st = sync("1s"); !st.NothingLost || len(st.Findings) != 0 {
		t.Errorf("after a restore: %+v", st)
	}
	seen := make(map[dot.Dot]int)
	for _, e := range w.hub.Entries(t) {
		seen[e.Dot]++
	}
	for d := range promised {
		if seen[d] != 1 {
			t.Errorf("%s is at the hub %d times", d, seen[d])
		}
	}

	// Two backups more, and the archive reaches beyond the first.
	w.backup(t)
	w.backup(t)
	a.Flags = []string{"--keep", "1s"} // the running agent prunes by itself
	a.Start(t)
	e2e.Eventually(t, "more to go", func() bool { a.Sync(t); st = a.Status(t); return st.Pruned() > 24 })
	a.Stop(t)
	before := st.Pruned()
	w.putBack(t, first.Path) // with --accept-loss
	st = sync("forever")
	var broken []web.Finding
	for _, f := range st.Findings {
		if f.Code == string(store.CodeArchiveBroken) {
			broken = append(broken, f)
		}
	}
	if len(broken) == 0 || st.NothingLost || st.Pruned() != before {
		t.Fatalf("a loss that was accepted at the hub is not told of: %+v", st)
	}
	if r := a.Do(t, "doctor"); r.Exit != cli.Integrity {
		t.Errorf("%s", r)
	}
	if got, want := uint64(len(w.hub.Entries(t))), uint64(len(w.printed))-(before-12); got != want {
		t.Errorf("the hub has %d entries, want %d: %s", got, want, fmt.Sprint(broken))
	}
}
