package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// capture saves n visits as a user.
func capture(t *testing.T, a *e2e.Agent, user string, n int) {
	t.Helper()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"topics":["weather"],"minutes":%d}`+"\n", 10+i)
	}
	a.MustPut(t, lines.String(), "--form", "visit", "--user", user)
}

func copyOf(t *testing.T, a *e2e.Agent) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(a.Dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// putBack puts a folder back to an older copy of itself, byte for byte in its
// files, as a restored disk image is: nothing about the folder tells.
func putBack(t *testing.T, dir, image string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() == "mark" {
			continue // the same file as ever
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(image, "mark")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(image)); err != nil {
		t.Fatal(err)
	}
}

// onceEach checks that every captured fact has its effect at the hub once.
func onceEach(t *testing.T, hub *e2e.Hub, users map[string]int) {
	t.Helper()
	got := make(map[string]int)
	for _, e := range hub.Entries(t) {
		if e.Verdict == "applied" {
			got[e.User]++
		} else if e.Code != "linked" {
			t.Errorf("%s: %s %s", e.Dot, e.Verdict, e.Code)
		}
	}
	for u, want := range users {
		if got[u] != want {
			t.Errorf("%d facts of %s have their effect at the hub, want %d", got[u], u, want)
		}
	}
}

// TestOlderCopy puts a device back to an older image of itself after more was
// delivered, and captures on, offline. What it captures then has the names of
// other entries at the hub: at the next contact it goes on under names of its
// own, by itself, and everything is at the hub once.
func TestOlderCopy(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	a := hub.Enrol(t, "D-101")
	capture(t, a, "A", 1)
	image := copyOf(t, a)
	capture(t, a, "B", 3)
	a.Sync(t)

	putBack(t, a.Dir, image)
	capture(t, a, "C", 5)
	a.MustPut(t, `{"what":"help","people":1}`+"\n", "--form", "sos", "--user", "C")
	a.Sync(t)
	onceEach(t, hub, map[string]int{"A": 1, "B": 3, "C": 6})
	if got := len(a.Log(t)); got != 7 {
		t.Errorf("%d entries on the device, want 7", got)
	}
	s := a.Status(t)
	if s.Waiting != 0 || !s.NothingLost || len(s.Findings) != 0 || s.Life.Incarnation != 2 || s.Life.Rehomed != 5 {
		t.Errorf("status: %+v", s)
	}
	a.Do(t, "doctor", "--json").Want(t, cli.OK)
	capture(t, a, "C", 1)
	a.Sync(t)
	onceEach(t, hub, map[string]int{"A": 1, "B": 3, "C": 7})
	for _, e := range hub.Entries(t) {
		if e.User == "C" && e.Dot.Incarnation == 1 && e.Dot.Lane == dot.Record {
			t.Errorf("%s: a seq was used again", e.Dot)
		}
	}
}

// TestTwins runs a folder and two copies of it, all of which capture and make
// contacts, more than once: each goes on in a life of its own, the copies get
// nothing until an operator confirms them, and everything is at the hub once.
func TestTwins(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	a := hub.Enrol(t, "D-101")
	capture(t, a, "A", 2)
	a.Sync(t)
	capture(t, a, "A", 3) // waiting: all three have these
	b, c := e2e.NewAgent(t, copyOf(t, a)), e2e.NewAgent(t, copyOf(t, a))
	want := map[string]int{"A": 5}
	for range 2 {
		for user, x := range map[string]*e2e.Agent{"A": a, "B": b, "C": c} {
			capture(t, x, user, 4)
			want[user] += 4
			x.Do(t, "status").Want(t, cli.OK)
		}
		for _, x := range []*e2e.Agent{c, b, a} {
			x.Sync(t)
		}
	}
	onceEach(t, hub, want)
	for name, x := range map[string]*e2e.Agent{"A": a, "B": b, "C": c} {
		if s := x.Status(t); s.Waiting != 0 || !s.NothingLost {
			t.Errorf("%s: %+v", name, s)
		}
		x.Do(t, "doctor").Want(t, cli.OK)
	}
	if found := hub.Do(t, "findings").Want(t, cli.OK).Out; !strings.Contains(found, "twins") || strings.Contains(found, "fork") {
		t.Errorf("findings: %s", found)
	}
	hub.Do(t, "device", "confirm", "D-101", "--life", "1").Want(t, cli.Refused)
	for _, life := range []string{"2", "3"} {
		hub.Do(t, "device", "confirm", "D-101", "--life", life).Want(t, cli.OK)
	}
	if found := hub.Do(t, "findings").Want(t, cli.OK).Out; strings.Contains(found, "twins") {
		t.Errorf("findings after both are confirmed: %s", found)
	}
	if s := hub.Status(t).Devices[0]; s.Waiting != 0 || s.GapsOpen != 0 {
		t.Errorf("hub status: %+v", s)
	}
}

// TestNewLifeIsQuiet enrols a device again in another folder: the documented
// way to replace a phone raises no alarm.
func TestNewLifeIsQuiet(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	old := hub.Enrol(t, "D-101")
	capture(t, old, "A", 1)
	old.Sync(t)
	next := e2e.NewAgent(t, "")
	next.Do(t, "enrol", hub.Invite(t, "D-101", "--again").Code, "--hub", hub.URL).Want(t, cli.OK)
	capture(t, next, "A", 1)
	r := next.Do(t, "sync", "--json").Want(t, cli.OK)
	if strings.Contains(r.Err, "receipt_unknown") {
		t.Errorf("an alarm: %s", r.Err)
	}
	if found := hub.Do(t, "findings").Want(t, cli.OK).Out; strings.Contains(found, "twins") {
		t.Errorf("findings: %s", found)
	}
}
