package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"otor/agent/device"
	"otor/hub/backup"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// clocksHub has the hub's own clock be up to ten years off, jump, and be found
// elsewhere after a kill -9, while devices save, drain and prune by that clock, and
// backups are made: each entry is there once, before and after the hub is put back
// to the backup that it promised.
func clocksHub(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	h.Stop(t)
	file := filepath.Join(t.TempDir(), "clock")
	const years = 10 * 365 * 24 * 3600 // ten, in seconds
	set := func(off int64) {
		if err := os.WriteFile(file, []byte(strconv.FormatInt(off, 10)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	jump := func() { set(t.R.Int64N(2*years) - years) }
	jump()
	h.Program, h.Env = e2e.Control(t, "hub"), []string{"OTOR_CLOCK=" + file}
	h.Start(t)
	t.forgetful(h)
	var members []*member
	for i := range 2 {
		members = append(members, t.join(h.Enrol(t, fmt.Sprintf("D-%d", 101+i)), t.Seed+uint64(i), many, 20*time.Millisecond, func(c *device.Config) { //nolint:gosec // 0 or 1
			c.MinPause, c.MaxPause = 50*time.Millisecond, time.Second
			c.Keep = 24 * time.Hour
		}))
	}
	backups := filepath.Join(t.TempDir(), "backups")
	var made []backup.Made
	for i := range clocksIn {
		time.Sleep(time.Duration(50+t.R.IntN(300)) * time.Millisecond)
		jump()
		if i%2 == 0 {
			h.Kill()
			h.Start(t)
		} else {
			made = append(made, e2e.Decode[backup.Made](t, h.Do(t, "backup", backups, "--json").Want(t, cli.OK)))
		}
		for _, m := range members {
			m.device.Link().Kick()
		}
		t.Faults++
	}
	printed := make(map[dot.Dot]bool)
	var fleet []*e2e.Agent
	for _, m := range members {
		m.enough()
		m.drained(t)
		t.resend(h, m.device)
	}
	pruned := uint64(0)
	if t.Control != noDedup {
		pruned = t.prunesBy(members, func() { set(years + years/10) })
	}
	for _, m := range members {
		m.dots(printed)
		m.leave(t)
		fleet = append(fleet, m.agent)
	}
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
	t.Logf("%d entries were pruned by the hub's clock", pruned)
	if !t.Failed() {
		t.toThePromise(h, made[len(made)-2].Path, fleet, printed)
	}
}

// toThePromise puts a hub back to the backup that it promised to keep: nothing is lost.
func (t *T) toThePromise(h *e2e.Hub, from string, fleet []*e2e.Agent, printed map[dot.Dot]bool) {
	t.Helper()
	h.Kill()
	if err := os.Rename(h.Dir, h.Dir+".lost"); err != nil {
		t.Fatal(err)
	}
	h.Do(t, "restore", from).Want(t, cli.OK)
	h.Start(t)
	for _, a := range fleet {
		a.Sync(t)
	}
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Errorf("put back to what was promised: %s", p)
	}
}

// prunesBy has devices hear what is archived, and then of a time long after it. It
// says how many entries they pruned: all that may go.
func (t *T) prunesBy(members []*member, later func()) (pruned uint64) {
	t.Helper()
	hello := func() {
		for _, m := range members {
			if _, err := m.device.Sync(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	hello()
	e2e.Eventually(t, "the archived entries to go", func() bool {
		later()
		hello()
		due := uint64(0)
		pruned = 0
		for _, m := range members {
			for _, st := range m.device.Store().Chains() {
				due += uint64(min(st.Archived, st.Last-min(st.Last, 1)))
				pruned += st.Pruned.Len()
			}
		}
		return pruned >= due
	})
	return pruned
}
