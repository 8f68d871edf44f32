package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otor/internal/cli"
	"otor/internal/e2e"
)

// remark gives a folder another mark, as one has that was put back from a copy.
func remark(t *testing.T, a *e2e.Agent) {
	t.Helper()
	mark := filepath.Join(a.Dir, "mark")
	if err := os.Rename(mark, mark+".before"); err != nil { // its inode stays in use
		t.Fatal(err)
	}
}

// relive rewrites the book of a folder's lives.
func relive(t *testing.T, a *e2e.Agent, change func(lives []map[string]any) []map[string]any) {
	t.Helper()
	path := filepath.Join(a.Dir, "lives.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var book map[string]any
	if err := json.Unmarshal(b, &book); err != nil {
		t.Fatal(err)
	}
	var lives []map[string]any
	for _, l := range book["lives"].([]any) {
		lives = append(lives, l.(map[string]any))
	}
	book["lives"] = change(lives)
	if b, err = json.Marshal(book); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func livesOf(t *testing.T, a *e2e.Agent) (n int) {
	t.Helper()
	relive(t, a, func(lives []map[string]any) []map[string]any { n = len(lives); return lives })
	return n
}

// goesOn checks that a device whose book of lives suffered captures and sends on,
// under names of the life that it should live, alerts too.
func goesOn(t *testing.T, hub *e2e.Hub, a *e2e.Agent, user string, want map[string]int, life uint64) {
	t.Helper()
	for range 2 {
		capture(t, a, user, 2)
		a.MustPut(t, `{"what":"help","people":1}`+"\n", "--form", "sos", "--user", user)
		want[user] += 3
		a.Sync(t)
	}
	onceEach(t, hub, want)
	if s := a.Status(t); s.Waiting != 0 || !s.NothingLost || len(s.Findings) != 0 || uint64(s.Life.Incarnation) != life {
		t.Errorf("status: %+v, want life %d", s, life)
	}
	a.Do(t, "doctor").Want(t, cli.OK)
	if found := hub.Do(t, "findings").Want(t, cli.OK).Out; strings.Contains(found, "twins") || strings.Contains(found, "fork") {
		t.Errorf("findings: %s", found)
	}
}

// TestLostBook takes the book of lives from a folder, as the program says that one
// should do with a damaged one: the device goes on in a new life.
func TestLostBook(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	for device, further := range map[string]bool{"D-101": false, "D-102": true} {
		t.Run(device, func(t *testing.T) {
			a, life := hub.Enrol(t, device), uint64(2)
			user := "of " + device
			capture(t, a, user, 2)
			a.Sync(t)
			want := map[string]int{user: 3}
			if further { // a life that the hub has heard of, and one that it has not
				remark(t, a)
				capture(t, a, user, 1)
				a.Sync(t)
				remark(t, a)
				capture(t, a, user, 1)
				want[user] += 2
				life = 4
			}
			capture(t, a, user, 1)
			if err := os.WriteFile(filepath.Join(a.Dir, "lives.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			if said := a.Do(t, "sync"); !strings.Contains(said.Err, "move it away") {
				t.Errorf("a damaged book: %+v", said)
			}
			if err := os.Remove(filepath.Join(a.Dir, "lives.json")); err != nil {
				t.Fatal(err)
			}
			goesOn(t, hub, a, user, want, life)
		})
	}
}

// TestStuckBook takes up folders that an earlier program left with a book begun anew,
// in which the enrolment's life has an id that the hub does not know it by.
func TestStuckBook(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	for device, further := range map[string]bool{"D-101": false, "D-102": true} {
		t.Run(device, func(t *testing.T) {
			a := hub.Enrol(t, device)
			user := "of " + device
			capture(t, a, user, 2)
			a.Sync(t)
			capture(t, a, user, 1)
			relive(t, a, func(lives []map[string]any) []map[string]any {
				lives[0]["id"] = strings.Repeat("ab", 16)
				if further {
					lives = append(lives, map[string]any{"incarnation": 2, "id": strings.Repeat("cd", 16), "reason": 6, "previous": 1, "since": lives[0]["since"]})
				}
				return lives
			})
			goesOn(t, hub, a, user, map[string]int{user: 3}, 2)
		})
	}
}

// TestManyLives takes up a folder in which an earlier program began a life at each of
// many starts: more than a hello has room for. The first ones have entries.
func TestManyLives(t *testing.T) {
	hub := e2e.StartHub(t, "--demo-numbers")
	a := hub.Enrol(t, "D-101")
	want := map[string]int{"A": 3}
	capture(t, a, "A", 1)
	remark(t, a)
	capture(t, a, "A", 1)
	a.Sync(t)
	remark(t, a)
	capture(t, a, "A", 1) // life 3: the hub has not heard of it
	const now = 80
	relive(t, a, func(lives []map[string]any) []map[string]any {
		for i := len(lives) + 1; i <= now; i++ {
			lives = append(lives, map[string]any{"incarnation": i, "id": fmt.Sprintf("%032x", i), "reason": 3, "previous": i - 1, "since": lives[0]["since"]})
		}
		return lives
	})
	goesOn(t, hub, a, "A", want, now)
	for range 3 { // starts that capture nothing
		remark(t, a)
		a.Sync(t)
	}
	if n := livesOf(t, a); n != 5 { // those with entries, and the one that is lived
		t.Errorf("the book has %d lives", n)
	}
}
