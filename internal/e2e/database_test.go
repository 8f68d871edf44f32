package e2e_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"otor/hub/store/postgres/scratch"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// TestDatabaseAway: while the hub's database is away what devices send waits, and
// is taken in once it is back, without anybody's doing.
func TestDatabaseAway(t *testing.T) {
	server, dir := scratch.New(t)
	address, err := server.Make(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	address = strings.Replace(address, "otor@", "otor:gobi-wind-77@", 1) // the server asks for none
	hub := e2e.StartHub(t, "--demo-numbers", "--db", address)
	a := hub.Enrol(t, "D-101")
	printed := make(map[dot.Dot]bool)
	put := func(seed uint64) {
		for _, s := range a.MustPut(t, records(t, seed, 50), "--demo-numbers") {
			printed[s.Dot] = true
		}
	}
	put(1)
	a.Sync(t)
	at, _ := e2e.ReadRunFile(t, hub.Dir)
	ready := func() int {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.HTTP+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only its status counts
		return resp.StatusCode
	}
	if got := ready(); got != http.StatusOK {
		t.Errorf("readyz says %d before anything went wrong", got)
	}
	server.Kill()
	put(2)
	a.Do(t, "sync", "--timeout", "3s").Want(t, cli.Unreachable)
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("readyz says %d while the database is away", got)
	}
	again, err := scratch.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Kill)
	a.Start(t)
	e2e.Eventually(t, "the outbox to be empty", func() bool { return a.Status(t).Waiting == 0 })
	for _, problem := range ledgerProblems(t, hub, []*e2e.Agent{a}, printed) {
		t.Error(problem)
	}
	if got := ready(); got != http.StatusOK {
		t.Errorf("readyz says %d although the database is back", got)
	}
	hub.Stop(t)
	if log := hub.Log(t); strings.Contains(log, "gobi-wind-77") || !strings.Contains(log, "does not answer") {
		t.Errorf("the hub's log does not say what was wrong, or has the password: %.2000s", log)
	}
}
