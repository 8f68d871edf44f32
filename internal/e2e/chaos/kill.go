package chaos

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"otor/agent/store"
	_ "otor/hub/store/sqlite" // its database/sql driver
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/failpoint"
)

// Controls that several rows use.
const (
	noSync  = "no-sync"   // the program leaves syncing out
	noDedup = "no-dedup"  // the hub does not recognise copies
	lies    = "lies"      // the disk's flushes mean nothing
	taken   = "taken"     // what was written last is taken away by hand before the look
	drops   = "drops"     // the disk forgets writes and says that all is well
	deaf    = "deaf"      // what the program reports is not listened to
	killsIn = 10          // agent kills of one trial
	hubKill = 6           // hub kills of one trial
	control = "control: " // prefix of a note
)

// killAgent kills put, or the agent that put talks to, at random times and at
// named points; each printed dot must be there afterwards.
func killAgent(t *T) {
	hub := t.Site.Hub()
	a := hub.Enrol(t, t.Site.Name())
	lines := t.Site.Records(t, t.Seed, 1_500)
	printed := make(map[dot.Dot]bool)
	for range killsIn {
		for _, x := range t.killedPut(a, lines) {
			if printed[x] {
				t.Errorf("%s was given out twice", x)
			}
			printed[x] = true
		}
		t.Faults++
		if t.Control == taken {
			t.takeAway(a.Dir)
		}
		t.look(a.Dir, printed)
		if t.Failed() {
			return
		}
	}
	// What was committed and not printed is there as well.
	for _, e := range a.Log(t) {
		printed[e.Dot] = true
	}
	a.Sync(t)
	for _, p := range LedgerProblems(t, hub, []*e2e.Agent{a}, printed) {
		t.Error(p)
	}
}

// killedPut runs a put until it is killed, and returns what it printed.
func (t *T) killedPut(a *e2e.Agent, lines string) []dot.Dot {
	switch t.R.IntN(4) {
	case 0: // at a named point, at once or in the middle
		points := failpoint.Points("agent")
		where := fmt.Sprintf("OTOR_DIE=%s:%d", points[t.R.IntN(len(points))], 1+t.R.IntN(12))
		p := e2e.StartPut(t, e2e.Control(t, "agent"), []string{where}, a.Dir, lines, "--demo-numbers")
		p.Ended(t)
		return p.Printed()
	case 1: // while opening
		p := e2e.StartPut(t, "", nil, a.Dir, lines, "--demo-numbers")
		time.Sleep(time.Duration(t.R.IntN(120)) * time.Millisecond)
		p.Kill()
		return p.Printed()
	default:
		p := e2e.StartPut(t, "", nil, a.Dir, lines, "--demo-numbers")
		p.Await(t, 1+t.R.IntN(200))
		time.Sleep(time.Duration(t.R.IntN(3000)) * time.Microsecond)
		p.Kill()
		return p.Printed()
	}
}

// look opens a device's folder and wants every dot there, and no damage.
func (t *T) look(dir string, printed map[dot.Dot]bool) {
	t.Helper()
	d, err := t.Site.Open(dir, nil)
	if err != nil {
		t.Errorf("the folder does not open: %v", err)
		return
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.lookInto(d.Store(), printed)
}

func (t *T) lookInto(s *store.Store, printed map[dot.Dot]bool) {
	t.Helper()
	if _, err := s.Verify(t.Context(), store.All, nil); err != nil {
		t.Error(err)
		return
	}
	for _, f := range s.Findings() {
		t.Errorf("damage after a lawful crash: %s", f)
	}
	missing := 0
	for x := range printed {
		if _, err := s.Get(x); err != nil {
			if missing++; missing == 1 {
				t.Errorf("%s was printed and is gone: %v", x, err)
			}
		}
	}
	t.Checked += len(printed)
}

// takeAway empties the newest log, or removes the newest table, and the tails
// beside it: as if what they hold had never been written.
func (t *T) takeAway(dir string) {
	logs, err := filepath.Glob(filepath.Join(dir, "db", "*.mem"))
	if err != nil {
		t.Fatal(err)
	}
	tables, _ := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	switch {
	case len(logs) > 0:
		err = os.Truncate(logs[len(logs)-1], 20)
	case len(tables) > 0:
		err = os.Remove(tables[len(tables)-1])
	default:
		return // it was killed before it had saved anything
	}
	if err != nil {
		t.Fatal(err)
	}
	tails, _ := filepath.Glob(filepath.Join(dir, "tails-*"))
	for _, name := range tails {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// killHub kills the hub while devices drain, at random times and at named
// points; what a device holds receipts for must be there at each start, and at
// the end every dot once.
func killHub(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	if t.Control == noDedup {
		h.Stop(t)
		t.dropUnique(h.Dir)
	}
	var fleet []*e2e.Agent
	printed := make(map[dot.Dot]bool)
	if t.Control == noDedup {
		h.Program, h.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=no-dedup"}
		h.Start(t)
	}
	for i := range 2 {
		a := h.Enrol(t, fmt.Sprintf("D-%d", 101+i))
		for _, s := range a.MustPut(t, t.Site.Records(t, t.Seed+uint64(i), 400), "--demo-numbers") { //nolint:gosec // 0 or 1
			printed[s.Dot] = true
		}
		a.Flags = []string{"--rate", fmt.Sprint(1500 + t.R.IntN(2500))}
		a.Start(t)
		fleet = append(fleet, a)
	}
	for range hubKill {
		t.killOnce(h)
		t.Faults++
		t.receiptsHold(h, fleet)
	}
	for _, a := range fleet { // let go of the throttle
		a.Kill()
		a.Flags = nil
		a.Sync(t)
	}
	if t.Control == noDedup {
		resendAll(t, fleet)
		time.Sleep(time.Second)
	}
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
}

func (t *T) killOnce(h *e2e.Hub) {
	if t.Control == "" && t.R.IntN(3) == 0 {
		points := failpoint.Points("hub")
		h.Kill()
		h.Program = e2e.Control(t, "hub")
		h.Env = []string{fmt.Sprintf("OTOR_DIE=%s:%d", points[t.R.IntN(len(points))], 1+t.R.IntN(3))}
		if err := h.TryStart(t); err == nil {
			h.Ended(2 * time.Second)
		}
		h.Kill()
		h.Program, h.Env = "", nil
	} else {
		time.Sleep(time.Duration(20+t.R.IntN(500)) * time.Millisecond)
		h.Kill()
	}
	h.Start(t)
}

// receiptsHold wants everything in the hub that a device has receipts for.
func (t *T) receiptsHold(h *e2e.Hub, fleet []*e2e.Agent) {
	t.Helper()
	told := make(map[dot.Chain]dot.Seq)
	for _, a := range fleet {
		s := a.Status(t)
		for _, l := range s.Lanes {
			told[dot.Chain{Device: s.Device, Incarnation: l.Incarnation, Lane: l.Lane}] = l.Received
		}
	}
	for _, d := range h.Status(t).Devices {
		for _, l := range d.Lanes {
			c := dot.Chain{Device: d.Device, Incarnation: l.Incarnation, Lane: l.Lane}
			if l.Received < told[c] {
				t.Errorf("%s: the device has receipts up to %d and the hub has %d", c, told[c], l.Received)
			}
		}
	}
}

// resendAll sends everything once more, as after acknowledgements that got lost.
func resendAll(t *T, fleet []*e2e.Agent) {
	t.Helper()
	for _, a := range fleet {
		c := t.client(a.Dir)
		for _, st := range c.device.Store().Chains() {
			if st.Last == 0 {
				continue
			}
			frame, err := c.device.Frame(st.Chain, run(1, min(st.Last, 50)))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.device.Resend(t.Context(), st.Chain.Lane, frame); err != nil {
				t.Fatal(err)
			}
		}
		c.close()
	}
}

// dropUnique lets a stopped hub's database hold an entry twice, for a control.
func (t *T) dropUnique(dir string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "hub.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "DROP INDEX entries_dot; CREATE INDEX entries_dot ON entries (chain, seq)"); err != nil {
		t.Fatal(err)
	}
}
