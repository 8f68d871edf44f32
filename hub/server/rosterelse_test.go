package server_test

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/internal/entry"
)

// A row that agrees with somebody whom the hub knows, and whom nobody entered as a
// pensioner, says so and leads to them; what is decided about it stays as it was. Once they
// are entered it is a row like others.
func TestRosterKnownNotEntered(t *testing.T) {
	root := t.TempDir()
	s := rosterHub(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	})
	body := []byte("姓名,身份证号码,联系电话\n那仁," + numbered("1990-01-01", 9) + ",\n乌云," + numbered("1960-06-06", 3) + ",\n")
	if out := imported(t, s, "名单.csv", body); out.Added != 2 {
		t.Fatalf("%+v", out)
	}
	got := lines(t, s)
	known, nobody := got["2"], got["3"]
	if known.Standing != reconcile.Missing || known.Person == nil || known.Person.Ref != "P100" || !known.Open || len(known.Agree) != 2 {
		t.Errorf("known and not entered: %+v", known)
	}
	if nobody.Standing != reconcile.Missing || nobody.Person != nil {
		t.Errorf("nobody: %+v", nobody)
	}
	rita := joined(t, s, "rita", "reconciler", "*")
	_, page, _ := send(t, rita, "GET", "http://"+s.HTTPAddr()+"/roster/list/pension_list", "", false)
	if !strings.Contains(page, `href="/entities/person/P100"`) || !strings.Contains(page, "未登记在册") {
		t.Errorf("the page does not lead to the person: %.4000s", page)
	}
	for _, back := range []string{"/roster/list/pension_list?standing=missing", "/queue?kind=roster"} { // turned down: what was typed stays
		status, page, _ := post(t, rita, "http://"+s.HTTPAddr()+"/roster/list/pension_list", url.Values{
			"key": {known.Key}, "seen": {known.Seen}, "choice": {"note"}, "reason": {strings.Repeat("written ", 60)}, "back": {back},
		})
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, `id="rule-`+known.Key+`" open`) || !strings.Contains(page, `value="note" required checked`) || !strings.Contains(page, `value="written written`) {
			t.Errorf("from %s: %d, and what was typed is lost", back, status)
		}
	}
	if _, err := s.Office().RuleRoster(t.Context(), "pension_list", server.RosterChoice{Key: known.Key, Choice: "note", Seen: known.Seen, Reason: "is being entered"}); err != nil {
		t.Fatal(err)
	}
	check(t, s.Office().MatchRosters(t.Context()))
	if l := lines(t, s)["2"]; l.Open || l.Standing != reconcile.Missing {
		t.Errorf("after a note: %+v", l)
	}
	check(t, s.Author().Import(t.Context(), "office", []ingest.Fixture{{Ref: entry.Ref{Type: "pension", ID: "P100"}, Fields: map[string]any{"person": "P100"}}}))
	check(t, s.Office().MatchRosters(t.Context()))
	if l := lines(t, s)["2"]; l.Standing != reconcile.Unseen || l.Person == nil || l.Person.Ref != "P100" {
		t.Errorf("entered: %+v", l)
	}
	if again := imported(t, s, "名单.csv", body); again.Added+again.Changed+again.Gone != 0 || again.Same != 2 {
		t.Errorf("the same list once more: %+v", again)
	}
}
