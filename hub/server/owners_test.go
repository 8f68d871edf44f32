package server_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
)

// Of two who take an item at once one is told; it is taken over with open eyes, given back
// by whoever has it, and decided by whoever may, whose it is or not.
func TestOwners(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita, sam, vera := joined(t, s, "rita", "reconciler", "gacha:aa"), joined(t, s, "sam", "administrator", "*"), joined(t, s, "vera", "viewer", "gacha:aa")
	far := joined(t, s, "far", "reconciler", "gacha:bb")
	_, list, _ := send(t, rita, "GET", base+"/queue", "", false)
	found := regexp.MustCompile(`href="(/queue/\d+)"`).FindStringSubmatch(list)
	if found == nil || !strings.Contains(list, "最早：") || strings.Contains(list, "在看") {
		t.Fatalf("the queue: %.3000s", list)
	}
	at := base + found[1]
	if _, page, _ := send(t, rita, "GET", at, "", false); !strings.Contains(page, "还没有人在看") || !strings.Contains(page, `action="`+found[1]+`/take"`) {
		t.Error("the item's page does not let it be taken")
	}
	status := make([]int, 2)
	var both sync.WaitGroup
	for i, c := range []*http.Client{rita, sam} {
		both.Go(func() { status[i], _, _ = post(t, c, at+"/take", url.Values{"from": {""}}) })
	}
	both.Wait()
	if status[0]+status[1] != http.StatusSeeOther+http.StatusUnprocessableEntity {
		t.Fatalf("taken by both at once: %v", status)
	}
	names, clients := []string{"rita", "sam"}, []*http.Client{rita, sam}
	if status[1] == http.StatusSeeOther {
		names, clients = []string{"sam", "rita"}, []*http.Client{sam, rita}
	}
	for _, c := range []struct {
		who    int
		act    string
		from   string
		status int
	}{
		{0, "take", "", http.StatusSeeOther}, // it is theirs already
		{1, "release", names[0], http.StatusUnprocessableEntity},
		{1, "take", names[0], http.StatusSeeOther}, // over
		{0, "release", names[0], http.StatusUnprocessableEntity},
		{1, "release", names[1], http.StatusSeeOther},
		{0, "take", "", http.StatusSeeOther},
	} {
		if got, body, _ := post(t, clients[c.who], at+"/"+c.act, url.Values{"from": {c.from}}); got != c.status {
			t.Errorf("%+v: %d %.300s", c, got, body)
		}
	}
	if got, _, _ := post(t, vera, at+"/take", url.Values{"from": {names[0]}}); got != http.StatusForbidden {
		t.Errorf("a viewer takes it: %d", got)
	}
	if got, _, _ := post(t, far, at+"/take", url.Values{"from": {names[0]}}); got != http.StatusNotFound {
		t.Errorf("somebody who does not see it takes it: %d", got)
	}
	_, list, _ = send(t, vera, "GET", base+"/queue", "", false)
	_, page, _ := send(t, vera, "GET", at, "", false)
	if !strings.Contains(list, names[0]+" 在看") || !strings.Contains(page, names[0]+" 在看") || strings.Contains(page, `id="own"`) {
		t.Error("it is not told whose it is")
	}
	for i, c := range clients {
		_, mine, _ := send(t, c, "GET", base+"/queue?kind=conflict&mine=1", "", false)
		if strings.Contains(mine, `href="`+found[1]+`"`) != (i == 0) {
			t.Errorf("what is %s's: %.500s", names[i], mine)
		}
	}
	facts := 0
	for _, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "owner"}, false) {
		check(t, err)
		facts++
	}
	if facts != 4 {
		t.Errorf("%d facts of taking and giving back", facts)
	}
	seen := regexp.MustCompile(`name="seen" value="([^"]+)"`)
	_, page, _ = send(t, clients[1], "GET", at, "", false)
	f := url.Values{"seen": {seen.FindStringSubmatch(page)[1]}, "choice": {"A"}, "reason": {"the daughter said so"}}
	if got, body, _ := post(t, clients[1], at+"/decide", f); got != http.StatusSeeOther {
		t.Errorf("decided by the other: %d %.300s", got, body)
	}
	if got, body, _ := post(t, clients[1], at+"/take", url.Values{"from": {names[0]}}); got != http.StatusUnprocessableEntity || !strings.Contains(body, "已经了结") {
		t.Errorf("taken after it was decided: %d", got)
	}
}

// Whose an item is comes back from the journal.
func TestOwnersComeBack(t *testing.T) {
	root := t.TempDir()
	story := filepath.Join(root, "journal")
	s, err := server.Open(t.Context(), packed(t, filepath.Join(root, "hub"), story))
	check(t, err)
	_, err = s.Author().Add(t.Context(), ingest.Note{Form: "household_edit", Entity: house, Actor: "U10", Fields: map[string]any{"set": map[string]any{"phone": "13904830000"}}})
	check(t, err)
	it, _ := dispute(t, s)
	made, err := s.Office().Backup(t.Context(), filepath.Join(root, "backups"), 2)
	check(t, err)
	taken, err := s.Office().Take(t.Context(), it.ID, "")
	check(t, err)
	if taken.Owner == "" {
		t.Fatalf("taken: %+v", taken)
	}
	check(t, s.Close())
	back := packed(t, filepath.Join(root, "back"), story)
	r, err := server.Restore(t.Context(), made.Path, back, false)
	check(t, err)
	if r.Replayed["owner"] != 1 {
		t.Errorf("replayed: %v", r.Replayed)
	}
	s, err = server.Open(t.Context(), back)
	check(t, err)
	items, err := s.Office().Items(t.Context(), false)
	check(t, err)
	if len(items) != 1 || items[0].Owner != taken.Owner {
		t.Errorf("after the restore: %+v", items)
	}
	check(t, s.Close())
}
