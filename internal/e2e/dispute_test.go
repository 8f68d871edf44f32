package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
)

// TestOlderCopy puts an older copy of a device's folder back after more was
// delivered. What it captures then differs from what the hub has under the same
// names: the hub is told and says so, nothing is lost, and an alert gets
// through all the same.
func TestOlderCopy(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	a := hub.Enrol(t, "D-101")
	const visit = `{"topics":["weather"],"minutes":10}` + "\n"
	a.MustPut(t, visit, "--form", "visit")
	copied := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(copied, os.DirFS(a.Dir)); err != nil {
		t.Fatal(err)
	}
	a.MustPut(t, visit, "--form", "visit")
	a.Sync(t)

	b := e2e.NewAgent(t, copied)
	b.MustPut(t, visit, "--form", "visit", "--user", "Z")
	b.MustPut(t, `{"what":"help","people":1}`+"\n", "--form", "sos")
	r := b.Do(t, "sync", "--json").Want(t, cli.Integrity)
	if e := r.Trouble(t); e.Code != "history_differs" || e.Do == "" {
		t.Errorf("words: %+v", e)
	}
	alert := false
	for _, e := range hub.Entries(t) {
		alert = alert || e.Dot.Lane == dot.Alert
	}
	if !alert {
		t.Error("the alert waited for a quarrel about records")
	}
	if found := hub.Do(t, "findings").Want(t, cli.OK).Out; !strings.Contains(found, "fork") {
		t.Errorf("the hub found nothing: %s", found)
	}
	if got := len(b.Log(t)); got != 3 {
		t.Errorf("%d entries on the device, want 3", got)
	}
}

// TestNewLifeIsQuiet enrols a device again in another folder: the documented
// way to replace a phone raises no alarm.
func TestNewLifeIsQuiet(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	old := hub.Enrol(t, "D-101")
	old.MustPut(t, `{"topics":["weather"],"minutes":10}`+"\n", "--form", "visit")
	old.Sync(t)
	next := e2e.NewAgent(t, "")
	next.Do(t, "enrol", hub.Invite(t, "D-101", "--again").Code, "--hub", hub.URL).Want(t, cli.OK)
	next.MustPut(t, `{"topics":["weather"],"minutes":10}`+"\n", "--form", "visit")
	r := next.Do(t, "sync", "--json").Want(t, cli.OK)
	if strings.Contains(r.Err, "receipt_unknown") {
		t.Errorf("an alarm: %s", r.Err)
	}
}
