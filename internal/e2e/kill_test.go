package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/agent/device"
	_ "otor/hub/store/sqlite" // its database/sql driver
	"otor/internal/cli"
	"otor/internal/corpus"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/pack"
)

// campaign is how much a run of the kill test does.
type campaign struct {
	agents, entries, kills int
	rate                   string // bytes a second, so that the drain outlasts the kills
	seed                   uint64
}

// TestKill9 kills agents and hub at random while they drain, and then wants
// every printed dot in the ledger exactly once, and equal heads on both sides.
func TestKill9(t *testing.T) {
	c := campaign{agents: 4, entries: 20_000, kills: 50, rate: "1500", seed: uint64(time.Now().UnixNano())}
	if testing.Short() {
		c.entries, c.kills, c.rate = 1_200, 8, "500"
	}
	if s := os.Getenv("OTOR_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &c.seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (OTOR_SEED runs it again)", c.seed)
	r := rand.New(rand.NewPCG(c.seed, 0))
	hub := e2e.StartHub(t, "--demo-numbers")
	fleet, printed := offlinePuts(t, hub, c)
	if len(printed) != c.entries {
		t.Fatalf("%d dots were printed, want %d", len(printed), c.entries)
	}
	for _, a := range fleet {
		a.Flags = []string{"--rate", c.rate}
		a.Start(t)
	}
	killSome(t, r, hub, fleet, c.kills)
	for _, a := range fleet { // let go of the throttle
		a.Kill()
		a.Flags = nil
		a.Start(t)
	}
	for _, a := range fleet {
		e2e.Eventually(t, "the outbox to be empty", func() bool { return a.Status(t).Waiting == 0 })
	}
	for _, problem := range ledgerProblems(t, hub, fleet, printed) {
		t.Error(problem)
	}
	t.Logf("%d entries, %d kills, %d copies recognised", len(printed), c.kills, hub.Status(t).TransportDuplicates)
}

// offlinePuts enrols agents and puts records in while nothing runs but the hub
// that they do not talk to.
func offlinePuts(t *testing.T, hub *e2e.Hub, c campaign) ([]*e2e.Agent, map[dot.Dot]bool) {
	t.Helper()
	printed := make(map[dot.Dot]bool)
	fleet := make([]*e2e.Agent, c.agents)
	for i := range fleet {
		fleet[i] = hub.Enrol(t, fmt.Sprintf("D-%d01", i+1))
		for _, s := range fleet[i].MustPut(t, records(t, c.seed+uint64(i), c.entries/c.agents), "--demo-numbers") {
			if printed[s.Dot] {
				t.Fatalf("%s was printed twice", s.Dot)
			}
			printed[s.Dot] = true
		}
	}
	return fleet, printed
}

// records makes n lines for put.
func records(t testing.TB, seed uint64, n int) string {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	src := corpus.New(seed, p.Forms, 0, time.Date(2025, 9, 18, 5, 0, 0, 0, time.UTC))
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for range n {
		r := src.Next()
		if err := enc.Encode(map[string]any{"form": r.Form.ID, "entity": r.Entity, "user": r.Actor, "fields": r.Fields}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// killSome kills one process after the other, each while something waits, and
// starts it again at once: there is no other step.
func killSome(t *testing.T, r *rand.Rand, hub *e2e.Hub, fleet []*e2e.Agent, kills int) {
	t.Helper()
	for range kills {
		time.Sleep(time.Duration(20+r.IntN(500)) * time.Millisecond)
		victim := r.IntN(len(fleet) + 1)
		if victim == len(fleet) {
			if waiting(t, fleet) == 0 {
				t.Fatal("nothing waits any more: the drain was not throttled enough for this test to mean anything")
			}
			hub.Kill()
			hub.Start(t)
			continue
		}
		if fleet[victim].Status(t).Waiting == 0 {
			t.Fatal("nothing waits any more: the drain was not throttled enough for this test to mean anything")
		}
		fleet[victim].Kill()
		fleet[victim].Start(t)
	}
}

func waiting(t *testing.T, fleet []*e2e.Agent) uint64 {
	t.Helper()
	n := uint64(0)
	for _, a := range fleet {
		n += a.Status(t).Waiting
	}
	return n
}

// ledgerProblems holds the ledger against what the agents printed.
func ledgerProblems(t *testing.T, hub *e2e.Hub, fleet []*e2e.Agent, printed map[dot.Dot]bool) []string {
	t.Helper()
	var problems []string
	add := func(format string, args ...any) {
		if len(problems) < 20 {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	times := make(map[dot.Dot]int)
	for _, e := range hub.Entries(t) {
		times[e.Dot]++
		if !printed[e.Dot] {
			add("%s is in the ledger and was never printed", e.Dot)
		}
		if e.Verdict == "held" {
			add("%s is still held", e.Dot)
		}
	}
	for d := range printed {
		if times[d] != 1 {
			add("%s is in the ledger %d times", d, times[d])
		}
	}
	at := make(map[dot.Chain]entry.Hash)
	for _, d := range hub.Status(t).Devices {
		for _, l := range d.Lanes {
			at[dot.Chain{Device: d.Device, Incarnation: l.Incarnation, Lane: l.Lane}] = l.Head
		}
	}
	for _, a := range fleet {
		s := a.Status(t)
		for _, l := range s.Lanes {
			if c := (dot.Chain{Device: s.Device, Incarnation: l.Incarnation, Lane: l.Lane}); l.Last > 0 && at[c] != l.Head {
				add("%s: heads differ, %s on the device and %s at the hub", c, l.Head, at[c])
			}
		}
		if !s.NothingLost {
			add("%s says that something is lost: %v", s.Device, s.Findings)
		}
	}
	return problems
}

// TestKillDuringPut kills put itself: what it printed is there, and nothing
// is there in part.
func TestKillDuringPut(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	a := hub.Enrol(t, "D-101")
	lines := records(t, 7, 4_000)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	printed := make(map[dot.Dot]bool)
	for i := range rounds {
		for _, d := range a.PutAndKill(t, lines, 50+i*150, "--demo-numbers") {
			printed[d] = true
		}
	}
	if len(printed) < rounds*50 {
		t.Fatalf("only %d dots were printed before the kills", len(printed))
	}
	have := make(map[dot.Dot]bool)
	for _, e := range a.Log(t) {
		have[e.Dot] = true
	}
	for d := range printed {
		if !have[d] {
			t.Errorf("%s was printed and is gone", d)
		}
	}
	a.Do(t, "doctor").Want(t, cli.OK)
	a.Sync(t)
	if got := len(hub.Entries(t)); got != len(have) {
		t.Errorf("the hub has %d entries, the device %d", got, len(have))
	}
}

// TestCopies delivers every frame five times; and shows that a hub without the
// ledger's check for copies would be found out.
func TestCopies(t *testing.T) {
	for _, control := range []bool{false, true} {
		name := map[bool]string{false: "promise", true: "control"}[control]
		t.Run(name, func(t *testing.T) {
			hub := e2e.StartHub(t, "--demo-numbers")
			if control {
				hub.Stop(t)
				dropUnique(t, hub.Dir)
				hub.Program, hub.Env = e2e.Control(t, "hub"), []string{"OTOR_CONTROL=no-dedup"}
				hub.Start(t)
			}
			a := hub.Enrol(t, "D-101")
			printed := make(map[dot.Dot]bool)
			for _, s := range a.MustPut(t, records(t, 3, 200), "--demo-numbers") {
				printed[s.Dot] = true
			}
			a.Sync(t)
			resend(t, a, 5)
			e2e.Eventually(t, "the copies to be worked off", func() bool {
				return hub.Status(t).TransportDuplicates >= 5*200 || control && len(hub.Entries(t)) >= 6*200
			})
			problems := ledgerProblems(t, hub, []*e2e.Agent{a}, printed)
			if control && len(problems) == 0 {
				t.Error("a hub that does not recognise copies was not found out")
			}
			if !control && len(problems) > 0 {
				t.Error(problems)
			}
			if copies := hub.Status(t).TransportDuplicates; !control && copies != 5*200 {
				t.Errorf("%d copies were counted, want %d", copies, 5*200)
			}
		})
	}
}

// resend opens the device in this process and sends all it has several times,
// as a device does whose acknowledgements got lost.
func resend(t *testing.T, a *e2e.Agent, times int) {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.Open(device.Config{Dir: a.Dir, Forms: p.Forms, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	done := make(chan error, 1)
	go func() { done <- d.Link().Run(ctx) }()
	defer func() { cancel(); <-done }()
	if _, err := d.Link().Online(ctx, 0); err != nil {
		t.Fatal(err)
	}
	for range times {
		for _, c := range d.Store().Chains() {
			if c.Last == 0 {
				continue
			}
			frame, err := d.Frame(c.Chain, lane.Run(1, c.Last))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Resend(ctx, c.Chain.Lane, frame); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// dropUnique lets a stopped hub's database hold an entry twice, for a control.
func dropUnique(t *testing.T, dir string) {
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
