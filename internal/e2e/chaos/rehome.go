package chaos

import (
	"os"
	"path/filepath"
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
	t.visits(a, "A", 5+t.R.IntN(30), want)
	if t.R.IntN(2) == 0 {
		a.Sync(t)
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(a.Dir)); err != nil {
		t.Fatal(err)
	}
	t.visits(a, "B", 1+t.R.IntN(30), want)
	a.Sync(t)
	victim, fleet := a, []*e2e.Agent{a}
	if t.R.IntN(3) == 0 { // a copy that runs beside it
		victim = e2e.NewAgent(t, image)
		fleet = append(fleet, victim)
	} else {
		t.putBack(a.Dir, image)
	}
	t.visits(victim, "C", 70+t.R.IntN(150), want) // several commits of new names
	for tries := 0; t.Faults < rehomeKills && tries < 4*rehomeKills; tries++ {
		if t.killSync(victim.Dir) {
			t.Faults++
		}
		if t.R.IntN(2) == 0 {
			t.visits(victim, "D", 1+t.R.IntN(5), want) // life goes on in between
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
	t.effects(hub, name, want)
	for _, x := range fleet {
		t.settled(x)
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
// going on in another life, or at any moment. A sync that ended by itself before was
// not killed.
func (t *T) killSync(dir string) (died bool) {
	t.Helper()
	points := append(failpoint.Rehoming(), failpoint.Points("agent")...)
	var d doom
	most := 3 * time.Second // a point that it does not pass kills nobody
	if t.R.IntN(4) == 0 {
		most = time.Duration(20+t.R.IntN(600)) * time.Millisecond
	} else {
		d = t.doom(points, 3)
	}
	p := e2e.StartCommand(t, e2e.Control(t, "agent"), d.env, "sync", "--data", dir, "--timeout", "20s")
	for deadline := time.Now().Add(most); !p.HasEnded() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	p.Kill()
	if d.file != "" {
		t.came(d)
	}
	return p.Died()
}
