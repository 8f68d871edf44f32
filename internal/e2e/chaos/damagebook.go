package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"otor/agent/life"
	"otor/internal/cli"
	"otor/internal/e2e"
)

// booksIn is how often one trial damages what says which life a folder lives.
const booksIn = 3

// damagedBook damages the book of a folder's lives, or the mark that tells the folder
// from a copy, and has the program go on: it says what to do or captures, nothing is
// named twice, and each fact has its effect at the hub once.
func (t *T) damagedBook() {
	t.Helper()
	hub, name := t.Site.Hub(), t.Site.Name()
	a := e2e.NewAgent(t, "")
	a.Do(t, "enrol", hub.Invite(t, name).Code, "--hub", hub.URL).Want(t, cli.OK)
	want := make(map[string]int)
	t.visits(a, "A", 3, want)
	if t.R.IntN(2) == 0 {
		a.Sync(t)
		t.visits(a, "B", 2, want)
	}
	if t.R.IntN(2) == 0 { // a folder that was moved lives another life
		moved := e2e.NewAgent(t, "")
		if err := copyFolder(moved.Dir, a.Dir); err != nil {
			t.Fatal(err)
		}
		a = moved
		t.visits(a, "C", 2, want)
		if t.R.IntN(2) == 0 {
			a.Sync(t)
			t.visits(a, "D", 2, want)
		}
	}
	file := filepath.Join(a.Dir, []string{life.FileName, life.FileName, "mark"}[t.R.IntN(3)])
	what := fmt.Sprintf("%s: %s", filepath.Base(file), t.harm(file))
	t.Faults++
	before := t.Failed()
	r := a.Do(t, "put", "--form", "visit")
	if r.Exit != cli.OK {
		if !strings.Contains(r.Err, "move it away") {
			t.Errorf("refused without saying what to do: %s", r)
		} else if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
	}
	t.visits(a, "E", 1, want)
	for range 2 {
		a.Sync(t)
	}
	t.effects(hub, name, want)
	t.settled(a)
	if t.Failed() && !before {
		t.Errorf("that was %s", what)
	}
}

// visits has a device capture facts of a user.
func (t *T) visits(a *e2e.Agent, user string, n int, want map[string]int) {
	t.Helper()
	var lines strings.Builder
	for range n {
		fmt.Fprintf(&lines, `{"topics":["weather"],"minutes":%d}`+"\n", 10+t.R.IntN(100))
	}
	a.MustPut(t, lines.String(), "--form", "visit", "--user", user)
	want[user] += n
}

// effects wants each fact of a device's users to have its effect at the hub once,
// whatever names it was given.
func (t *T) effects(hub *e2e.Hub, name string, want map[string]int) {
	t.Helper()
	got := make(map[string]int)
	for _, e := range hub.Entries(t, "--device", name) {
		switch {
		case e.Verdict == "applied":
			got[e.User]++
		case e.Code != "linked":
			t.Errorf("%s: %s %s", e.Dot, e.Verdict, e.Code)
		}
	}
	for user, n := range want {
		t.Checked += n
		if got[user] != n {
			t.Errorf("%d facts of %s have their effect at the hub, want %d", got[user], user, n)
		}
	}
}

// settled wants nothing to wait and nothing to be lost.
func (t *T) settled(a *e2e.Agent) {
	t.Helper()
	if s := a.Status(t); s.Waiting != 0 || !s.NothingLost {
		t.Errorf("%d wait, nothing lost: %t, %v", s.Waiting, s.NothingLost, s.Findings)
	}
	a.Do(t, "doctor").Want(t, cli.OK)
}
