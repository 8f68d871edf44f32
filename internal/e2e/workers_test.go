package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/broker/nodes"
	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/hub/store/postgres/scratch"
	"otor/hub/store/tables"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/e2e/chaos"
	"otor/internal/feed"
)

// workers is a cluster: hubs of one database and one set of NATS servers.
type workers struct {
	hubs    []*e2e.Hub
	servers []*nodes.Server
	store   *postgres.Store // the test's own eyes
}

// startWorkers starts two hubs on PostgreSQL and three NATS servers.
func startWorkers(t *testing.T) *workers {
	t.Helper()
	address := scratch.Database(t, "")
	dirs := []string{filepath.Join(t.TempDir(), "hub1"), filepath.Join(t.TempDir(), "hub2")}
	if _, err := broker.HubKey(dirs[0], time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dirs[1], "keys"), os.DirFS(filepath.Join(dirs[0], "keys"))); err != nil {
		t.Fatal(err)
	}
	w := &workers{servers: nodes.Cluster(t, dirs[0], 3)}
	flags := []string{"--demo-numbers", "--max-store", "64MiB", "--db", address}
	for _, a := range nodes.Addrs(w.servers) {
		flags = append(flags, "--nats", a)
	}
	for _, dir := range dirs {
		h := e2e.NewHub(t, dir, flags...)
		h.Start(t)
		w.hubs = append(w.hubs, h)
	}
	var err error
	if w.store, err = postgres.Open(t.Context(), address, postgres.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// TestWorkers kills hubs and NATS servers of a cluster while agents drain, and then
// wants every printed dot in the ledger exactly once, equal heads, and feeds in
// which no number came to light after a higher one. A hub that confirms before it
// commits must be found out. Operators act at both hubs meanwhile: what they were told
// is done is in the ledger once, in their order.
func TestWorkers(t *testing.T) {
	c := campaign{agents: 4, kills: 5, rate: "300", seed: uint64(time.Now().UnixNano())}
	for name, into := range map[string]any{"OTOR_SEED": &c.seed, "OTOR_KILLS": &c.kills} {
		if s := os.Getenv(name); s != "" {
			if _, err := fmt.Sscan(s, into); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.entries = 80 * c.kills
	t.Logf("seed %d (OTOR_SEED runs it again), %d kills (OTOR_KILLS)", c.seed, c.kills)
	w := startWorkers(t)
	fleet, printed := w.offline(t, c)
	follower := follow(t, w.store)
	for _, a := range fleet {
		a.Flags = []string{"--rate", c.rate}
		a.Start(t)
	}
	var ops []*chaos.Operators
	for i, h := range w.hubs {
		o := chaos.Operate(t.Context(), h.Dir, fmt.Sprintf("X%d", i), nil)
		t.Cleanup(o.Stop)
		ops = append(ops, o)
	}
	w.kill(t, rand.New(rand.NewPCG(c.seed, 0)), c.kills, func() bool { return waiting(t, fleet) == 0 })
	for _, a := range fleet { // let go of the throttle
		a.Kill()
		a.Flags = nil
		a.Start(t)
	}
	for left := waiting(t, fleet); left > 0; { // a slow machine may take its time, as long as something moves
		t.Logf("%d entries wait", left)
		e2e.Eventually(t, "fewer entries to wait", func() bool { return waiting(t, fleet) < left })
		left = waiting(t, fleet)
	}
	for _, o := range ops { // all of them: each hub's acts are in both journals
		o.Stop()
	}
	for i, h := range w.hubs {
		for _, problem := range ledgerProblems(t, h, fleet, printed) {
			t.Errorf("hub %d: %s", i+1, problem)
		}
		for _, problem := range actProblems(t, ops[i]) {
			t.Errorf("hub %d: %s", i+1, problem)
		}
	}
	for _, problem := range follower.end(t) {
		t.Error(problem)
	}
	t.Logf("%d and %d acts of operators", len(ops[0].Told()), len(ops[1].Told()))
	t.Logf("%d entries, %d kills, %d copies recognised, %d rows of %d feeds followed", len(printed), c.kills,
		w.hubs[0].Status(t).TransportDuplicates, follower.rows, len(follower.at))
}

// actProblems holds what operators were told against their hub. A hub's journal learns
// now and then what other hubs recorded, so it may be behind the database for a moment.
func actProblems(t *testing.T, o *chaos.Operators) (problems []string) {
	t.Helper()
	if len(o.Told()) == 0 {
		return []string{"no operator was told that anything is done"}
	}
	said := ""
	e2e.Eventually(t, "ledger and journal to tell the same story", func() (ok bool) {
		var err error
		if problems, err = o.Problems(t.Context()); err != nil && err.Error() != said {
			said = err.Error()
			t.Log(said) // the last one counts, if it stays so
		}
		return err == nil
	})
	return problems
}

// offline enrols agents at both hubs, and puts records in while they talk to nobody.
func (w *workers) offline(t *testing.T, c campaign) (fleet []*e2e.Agent, printed map[dot.Dot]bool) {
	t.Helper()
	printed = make(map[dot.Dot]bool)
	for i := range c.agents {
		a := w.hubs[i%len(w.hubs)].Enrol(t, fmt.Sprintf("D-%d01", i+1))
		for _, s := range a.MustPut(t, records(t, c.seed+uint64(i), c.entries/c.agents), "--demo-numbers") {
			printed[s.Dot] = true
		}
		fleet = append(fleet, a)
	}
	if len(printed) != c.entries {
		t.Fatalf("%d dots were printed, want %d", len(printed), c.entries)
	}
	return fleet, printed
}

// kill kills a hub or a server, again and again, and starts it anew a while later:
// one is always left of the hubs, and two of the servers.
func (w *workers) kill(t *testing.T, r *rand.Rand, kills int, idle func() bool) {
	t.Helper()
	for range kills {
		time.Sleep(time.Duration(300+r.IntN(1500)) * time.Millisecond)
		if idle() {
			t.Fatal("nothing waits any more: the drain was not throttled enough for this test to mean anything")
		}
		away := time.Duration(r.IntN(2000)) * time.Millisecond
		if victim := r.IntN(len(w.hubs) + len(w.servers)); victim < len(w.hubs) {
			w.hubs[victim].Kill()
			time.Sleep(away)
			w.hubs[victim].Start(t)
		} else {
			s := w.servers[victim-len(w.hubs)]
			s.Kill()
			time.Sleep(away)
			s.Start(t)
		}
	}
}

// follower reads feeds as a device does: from where it is, again and again.
type follower struct {
	store *postgres.Store
	stop  context.CancelFunc
	done  chan error
	at    map[string]uint64
	has   map[string]map[feed.Name]feed.Row
	rows  int
}

func follow(t *testing.T, s *postgres.Store) *follower {
	f := &follower{store: s, done: make(chan error, 1), at: map[string]uint64{}, has: map[string]map[feed.Name]feed.Row{}}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f.stop = stop
	t.Cleanup(stop)
	go func() {
		for ctx.Err() == nil {
			if err := f.once(context.WithoutCancel(ctx)); err != nil {
				f.done <- err
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		f.done <- nil
	}()
	return f
}

func (f *follower) scopes(ctx context.Context) (out []string, err error) {
	err = f.store.Read(ctx, "list feeds", func(l tables.Link) error {
		return l.Each("SELECT scope FROM feeds ORDER BY scope", nil, func(r tables.Row) error { out = append(out, r.Text(0)); return nil })
	})
	return out, err
}

func (f *follower) once(ctx context.Context) error {
	scopes, err := f.scopes(ctx)
	for _, s := range scopes {
		for more := true; more && err == nil; {
			var p store.FeedPage
			if p, err = f.store.Feed(ctx, s, f.at[s], feed.MaxRaw); err != nil {
				break
			}
			if f.has[s] == nil {
				f.has[s] = map[feed.Name]feed.Row{}
			}
			for _, row := range p.Rows {
				f.has[s][row.Name()] = row
				f.at[s] = row.N
				f.rows++
			}
			if more = p.More; !more {
				f.at[s] = p.Head.N
			}
		}
	}
	return err
}

// end wants what was followed to be what is there.
func (f *follower) end(t *testing.T) (problems []string) {
	t.Helper()
	f.stop()
	if err := <-f.done; err != nil {
		t.Fatal(err)
	}
	if err := f.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := &follower{store: f.store, at: map[string]uint64{}, has: map[string]map[feed.Name]feed.Row{}}
	if err := fresh.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	for s, rows := range fresh.has {
		for name, row := range rows {
			if have := f.has[s][name]; !reflect.DeepEqual(have, row) {
				problems = append(problems, fmt.Sprintf("feed %s: %v is at %d, and whoever follows it has it at %d", s, name, row.N, have.N))
			}
		}
		if len(f.has[s]) != len(rows) {
			problems = append(problems, fmt.Sprintf("feed %s: %d rows, and whoever follows it has %d", s, len(rows), len(f.has[s])))
		}
	}
	if len(fresh.at) < 2 || f.rows == 0 {
		problems = append(problems, "nothing was followed")
	}
	return problems
}

// TestHastyWorker: hubs that confirm what they have not committed lose entries when
// they are killed, and that is found out.
func TestHastyWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another hub")
	}
	c := campaign{agents: 2, entries: 2_000, rate: "1500", seed: 7}
	w := startWorkers(t)
	fleet, printed := w.offline(t, c)
	for _, h := range w.hubs {
		h.Stop(t)
		h.Program, h.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=hasty"}
		h.Start(t)
	}
	for _, a := range fleet {
		a.Flags = []string{"--rate", c.rate}
		a.Start(t)
	}
	lost := func() bool {
		for _, a := range fleet {
			status := a.Status(t) // a program is started for it: the hub commits meanwhile
			have, err := w.store.LanesOf(t.Context(), status.Device)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range status.Lanes {
				for _, h := range have {
					if h.Chain.Incarnation == l.Incarnation && h.Chain.Lane == l.Lane && l.Received > h.Received.Through() {
						t.Logf("%s holds a receipt up to %d, the hub has it up to %d", h.Chain, l.Received, h.Received.Through())
						return true
					}
				}
			}
		}
		return false
	}
	for range 10 {
		e2e.Eventually(t, "a receipt to be ahead of the database", lost)
		for _, h := range w.hubs { // both, so that nobody has time to make good
			h.Kill()
		}
		if lost() {
			return
		}
		for _, h := range w.hubs {
			h.Start(t)
		}
	}
	t.Errorf("10 kills of hubs that confirm before they commit, and nothing of %d entries was missing", len(printed))
}
