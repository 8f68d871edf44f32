package chaos

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"otor/agent/device"
	"otor/agent/store"
	_ "otor/hub/store/sqlite" // its database/sql driver
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/failpoint"
)

// Controls that several rows use.
const (
	noSync  = "no-sync"  // the program leaves syncing out
	noDedup = "no-dedup" // the hub does not recognise copies
	lies    = "lies"     // the disk's flushes mean nothing
	taken   = "taken"    // what was written last is taken away by hand before the look
	drops   = "drops"    // the disk forgets writes and says that all is well
	deaf    = "deaf"     // what the program reports is not listened to
	killsIn = 10         // agent kills of one trial
	hubKill = 6          // hub kills of one trial
)

// killAgent kills put, or the agent that put talks to, at random times and at
// named points; each printed dot must be there afterwards.
func killAgent(t *T) {
	hub := t.Site.Hub()
	a := hub.Enrol(t, t.Site.Name())
	lines := t.Site.Records(t, t.Seed, 1_500)
	printed := make(map[dot.Dot]bool)
	for tries := 0; t.Faults < killsIn && tries < 3*killsIn; tries++ {
		p := t.killedPut(a, lines)
		for _, x := range p.Printed() {
			if printed[x] {
				t.Errorf("%s was given out twice", x)
			}
			printed[x] = true
		}
		if p.Died() {
			t.Faults++
		}
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

// killedPut runs a put until it is killed; one that never comes to its point ends by
// itself.
func (t *T) killedPut(a *e2e.Agent, lines string) *e2e.Stream {
	switch t.R.IntN(4) {
	case 0: // at a named point, at once or in the middle
		d := t.doom(failpoint.Points("agent"), 12)
		p := e2e.StartPut(t, e2e.Control(t, "agent"), d.env, a.Dir, lines, "--demo-numbers")
		p.Ended(t)
		t.came(d)
		return p
	case 1: // while opening
		p := e2e.StartPut(t, "", nil, a.Dir, lines, "--demo-numbers")
		time.Sleep(time.Duration(t.R.IntN(120)) * time.Millisecond)
		p.Kill()
		return p
	default:
		p := e2e.StartPut(t, "", nil, a.Dir, lines, "--demo-numbers")
		p.Await(t, 1+t.R.IntN(200))
		time.Sleep(time.Duration(t.R.IntN(3000)) * time.Microsecond)
		p.Kill()
		return p
	}
}

// doom is a place at which a program is to die, and where it says that it does.
type doom struct {
	env  []string
	file string
}

// doom draws one of the points, and at which time of passing it: the first up to the
// most. A new life begins once.
func (t *T) doom(points []failpoint.Point, most int) doom {
	point, time := points[t.R.IntN(len(points))], 1+t.R.IntN(most)
	if point == failpoint.Living {
		time = 1
	}
	where := fmt.Sprintf("OTOR_DIE=%s:%d", point, time)
	file := filepath.Join(t.TempDir(), "died")
	return doom{[]string{where, "OTOR_DIED=" + file}, file}
}

// came tallies the place at which a program died, when it did.
func (t *T) came(d doom) {
	t.Helper()
	point, err := os.ReadFile(d.file)
	switch {
	case err == nil:
		t.Met(string(point), 1)
	case !errors.Is(err, fs.ErrNotExist):
		t.Error(err)
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

// killHub kills the hub while devices drain and operators act, at random times and
// at named points; what a device holds receipts for, and what an operator was told is
// done, must be there at each start, and at the end every dot once.
func killHub(t *T) {
	h := e2e.NewHub(t, "", "--demo-numbers", "--max-store", "32MiB")
	h.Start(t)
	t.forgetful(h)
	var fleet []*e2e.Agent
	printed := make(map[dot.Dot]bool)
	for i := range 2 {
		a := h.Enrol(t, fmt.Sprintf("D-%d", 101+i))
		for _, s := range a.MustPut(t, t.Site.Records(t, t.Seed+uint64(i), 400), "--demo-numbers") { //nolint:gosec // 0 or 1
			printed[s.Dot] = true
		}
		a.Flags = []string{"--rate", fmt.Sprint(1500 + t.R.IntN(2500))}
		a.Start(t)
		fleet = append(fleet, a)
	}
	ops := t.operators(h.Dir, nil)
	for tries := 0; t.Faults < hubKill && tries < 3*hubKill; tries++ {
		t.killOnce(h, fleet)
		t.receiptsHold(h, fleet)
		t.actsHold(ops)
	}
	ops.Stop()
	t.actsHold(ops)
	for _, a := range fleet { // let go of the throttle
		a.Kill()
		a.Flags = nil
		a.Sync(t)
	}
	t.Met(copies, int(h.Status(t).TransportDuplicates)) //nolint:gosec // a count
	t.Checked += len(printed)
	for _, p := range LedgerProblems(t, h, fleet, printed) {
		t.Error(p)
	}
}

// forgetful restarts a hub as one that does not recognise copies, where that is the
// control.
func (t *T) forgetful(h *e2e.Hub) {
	t.Helper()
	if t.Control != noDedup {
		return
	}
	h.Stop(t)
	t.dropUnique(h.Dir)
	h.Program, h.Env = e2e.Control(t, "hub"), append(h.Env, "OTOR_CONTROL=no-dedup")
	h.Start(t)
}

// killOnce kills a hub and starts it again. It counts the deaths while something
// waited to be drained.
func (t *T) killOnce(h *e2e.Hub, fleet []*e2e.Agent) {
	t.Helper()
	program, env := h.Program, h.Env
	left := waiting(t, fleet)
	met := func() {
		if h.Kill(); h.Died() && left > 0 {
			t.Faults++
		}
	}
	if t.R.IntN(2) == 0 {
		met()
		d := t.doom(failpoint.Points("hub"), 2)
		h.Program, h.Env = e2e.Control(t, "hub"), append(slices.Clone(env), d.env...)
		if err := h.TryStart(t); err == nil {
			h.Ended(3 * time.Second)
		}
		left = waiting(t, fleet)
		met()
		t.came(d)
		h.Program, h.Env = program, env
	} else {
		time.Sleep(time.Duration(20+t.R.IntN(500)) * time.Millisecond)
		met()
	}
	h.Start(t)
}

// waiting counts the entries that devices have no receipts for.
func waiting(t *T, fleet []*e2e.Agent) (n uint64) {
	t.Helper()
	for _, a := range fleet {
		n += a.Status(t).Waiting
	}
	return n
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

// resendAll sends what devices have once more, as after acknowledgements that got
// lost: where the harm of a row makes no copies by itself, its recognition is tried
// this way, in sound trials as under the control.
func resendAll(t *T, h *e2e.Hub, fleet []*e2e.Agent) {
	t.Helper()
	for _, a := range fleet {
		c := t.client(a.Dir)
		t.resend(h, c.device)
		c.close()
	}
}

// resend sends the last entries of each chain of a device that is online once more,
// and waits until the hub has counted them as copies. Under the control it does not:
// then until they are in the ledger again.
func (t *T) resend(h *e2e.Hub, d *device.Device) {
	t.Helper()
	before, sent := h.Status(t).TransportDuplicates, uint64(0)
	for _, st := range d.Store().Chains() {
		if st.Last == 0 {
			continue
		}
		again := run(max(1, st.Pruned.Highest()+1, st.Last-min(st.Last-1, 49)), st.Last)
		frame, err := d.Frame(st.Chain, again)
		if err == nil {
			err = d.Resend(t.Context(), st.Chain.Lane, frame)
		}
		if err != nil {
			t.Fatal(err)
		}
		sent += again.Len()
	}
	if t.Control == noDedup {
		for deadline := time.Now().Add(5 * time.Second); !hasCopies(t, h) && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
		}
		return
	}
	e2e.Eventually(t, fmt.Sprintf("%d copies of %s to be counted", sent, d.ID()), func() bool {
		return h.Status(t).TransportDuplicates >= before+sent
	})
}

// hasCopies reports whether the ledger has an entry twice.
func hasCopies(t *T, h *e2e.Hub) bool {
	seen := make(map[dot.Dot]bool)
	for _, e := range h.Entries(t) {
		if seen[e.Dot] {
			return true
		}
		seen[e.Dot] = true
	}
	return false
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
