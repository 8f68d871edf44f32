package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"otor/internal/e2e"
	"otor/internal/failpoint"
)

const rehomeKills = 4 // kills of one trial

// killRehome puts a device's folder back to an older image of itself, or copies it,
// has it capture under names that the hub knows for other entries, and kills it
// again and again while it goes on in another life: at the end each fact has its
// effect at the hub once.
func killRehome(t *T) {
	hub := t.Site.Hub()
	name := t.Site.Name()
	a := e2e.NewAgent(t, "")
	a.Do(t, "enrol", hub.Invite(t, name).Code, "--hub", hub.URL).Want(t, 0)
	want := make(map[string]int)
	capture := func(on *e2e.Agent, user string, n int) {
		t.Helper()
		var lines strings.Builder
		for range n {
			fmt.Fprintf(&lines, `{"topics":["weather"],"minutes":%d}`+"\n", 10+t.R.IntN(100))
		}
		on.MustPut(t, lines.String(), "--form", "visit", "--user", user)
		want[user] += n
	}
	capture(a, "A", 5+t.R.IntN(30))
	if t.R.IntN(2) == 0 {
		a.Sync(t)
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(a.Dir)); err != nil {
		t.Fatal(err)
	}
	capture(a, "B", 1+t.R.IntN(30))
	a.Sync(t)
	victim, fleet := a, []*e2e.Agent{a}
	if t.R.IntN(3) == 0 { // a copy that runs beside it
		victim = e2e.NewAgent(t, image)
		fleet = append(fleet, victim)
	} else {
		t.putBack(a.Dir, image)
	}
	capture(victim, "C", 70+t.R.IntN(150)) // several commits of new names
	for range rehomeKills {
		t.killSync(victim.Dir)
		t.Faults++
		if t.R.IntN(2) == 0 {
			capture(victim, "D", 1+t.R.IntN(5)) // life goes on in between
		}
	}
	if t.Control == taken {
		t.takeAway(victim.Dir)
	}
	for range 2 {
		for _, x := range fleet {
			x.Sync(t)
		}
	}
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
	for _, x := range fleet {
		if s := x.Status(t); s.Waiting != 0 || !s.NothingLost {
			t.Errorf("%d wait, nothing lost: %t, %v", s.Waiting, s.NothingLost, s.Findings)
		}
		x.Do(t, "doctor").Want(t, 0)
	}
}

// putBack puts a folder back to an older copy of itself, as a restored disk image
// is: nothing about the folder tells.
func (t *T) putBack(dir, image string) {
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

// killSync has a device make contact and kills it meanwhile: at a point of its
// going on in another life, or at any moment.
func (t *T) killSync(dir string) {
	t.Helper()
	points := append(failpoint.Rehoming(), failpoint.Points("agent")...)
	var env []string
	most := 3 * time.Second // a point that it does not pass kills nobody
	if t.R.IntN(4) == 0 {
		most = time.Duration(20+t.R.IntN(600)) * time.Millisecond
	} else {
		env = []string{fmt.Sprintf("OTOR_DIE=%s:%d", points[t.R.IntN(len(points))], 1+t.R.IntN(3))}
	}
	p := e2e.StartCommand(t, e2e.Control(t, "agent"), env, "sync", "--data", dir, "--timeout", "20s")
	for deadline := time.Now().Add(most); !p.HasEnded() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	p.Kill()
}
