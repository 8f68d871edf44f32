package server_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/hub/console"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui"
)

// planOf is what the fleet's account says of a device.
func planOf(t *testing.T, s *server.Server, d dot.Device) console.DeviceRow {
	t.Helper()
	f, err := s.Office().Fleet(t.Context())
	check(t, err)
	for _, row := range f.Devices {
		if row.Device == d {
			return row
		}
	}
	t.Fatalf("no %s in %+v", d, f)
	return console.DeviceRow{}
}

// A plan made and a plan taken back after a backup come back from the journal.
func TestPlansComeBackFromTheJournal(t *testing.T) {
	dir, story := filepath.Join(t.TempDir(), "hub"), filepath.Join(t.TempDir(), "journal")
	s := mustOpen(t, dir, story)
	admit(t, s, "D-1", false)
	admit(t, s, "D-2", false)
	in := time.Now().Add(3 * time.Hour)
	_, err := s.Office().Plan(t.Context(), "D-2", server.PlanOrder{Until: in})
	check(t, err)
	made, err := s.Office().Backup(t.Context(), t.TempDir(), 2)
	check(t, err)
	_, err = s.Office().Plan(t.Context(), "D-1", server.PlanOrder{Until: in, Words: " over the pass "})
	check(t, err)
	check(t, s.Office().Unplan(t.Context(), "D-2"))
	before := planOf(t, s, "D-1")
	check(t, s.Close())
	with := filepath.Join(t.TempDir(), "hub")
	r, err := server.Restore(t.Context(), made.Path, server.Config{Dir: with, Journal: story, Log: slog.New(slog.DiscardHandler)}, false)
	check(t, err)
	if r.Replayed["planned"] != 1 || r.Replayed["unplanned"] != 1 {
		t.Errorf("replayed: %v", r.Replayed)
	}
	s = mustOpen(t, with, "")
	defer func() { check(t, s.Close()) }()
	got := planOf(t, s, "D-1")
	if len(got.Plan) != 1 || got.Plan[0].Words != "over the pass" || !got.Plan[0].Until.Equal(before.Plan[0].Until) || !got.Plan[0].PlannedAt.Equal(before.Plan[0].PlannedAt) || got.ExpectedBack == nil {
		t.Errorf("planned: %+v, was %+v", got, before)
	}
	if other := planOf(t, s, "D-2"); len(other.Plan) != 0 || other.ExpectedBack != nil {
		t.Errorf("taken back: %+v", other)
	}
}

func TestWhatCannotBePlanned(t *testing.T) {
	s := mustOpen(t, t.TempDir(), "")
	defer func() { check(t, s.Close()) }()
	admit(t, s, "D-1", false)
	admit(t, s, "D-2", false)
	check(t, s.Office().Revoke(t.Context(), "D-2"))
	now := time.Now()
	for i := range 8 {
		_, err := s.Office().Plan(t.Context(), "D-1", server.PlanOrder{From: now.Add(time.Duration(i) * time.Hour), Until: now.Add(time.Duration(i+1) * time.Hour)})
		check(t, err)
	}
	for code, c := range map[string]struct {
		device dot.Device
		in     server.PlanOrder
	}{
		"plan_full":      {"D-1", server.PlanOrder{From: now.Add(9 * time.Hour), Until: now.Add(10 * time.Hour)}},
		"plan_revoked":   {"D-2", server.PlanOrder{Until: now.Add(time.Hour)}},
		"unknown_device": {"D-3", server.PlanOrder{Until: now.Add(time.Hour)}},
		"bad_window":     {"D-1", server.PlanOrder{From: now.Add(-2 * time.Hour), Until: now.Add(-time.Hour)}},
		"plan_words":     {"D-1", server.PlanOrder{Until: now.Add(time.Hour), Words: strings.Repeat("峠", 121)}},
	} {
		if _, err := s.Office().Plan(t.Context(), c.device, c.in); !refusedFor(err, code) {
			t.Errorf("%s: %v", code, err)
		}
	}
	_, err := s.Office().Plan(t.Context(), "D-1", server.PlanOrder{From: now, Until: now.Add(30 * time.Minute)})
	check(t, err) // in the first one's place
	if n := len(planOf(t, s, "D-1").Plan); n != 8 {
		t.Errorf("%d are planned", n)
	}
}

// Of absences that are planned at once no more are taken than a device may have.
func TestPlannedAtOnce(t *testing.T) {
	s := mustOpen(t, t.TempDir(), "")
	defer func() { check(t, s.Close()) }()
	admit(t, s, "D-1", false)
	now := time.Now()
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			_, err := s.Office().Plan(t.Context(), "D-1", server.PlanOrder{From: now.Add(time.Duration(i) * time.Hour), Until: now.Add(time.Duration(i+1) * time.Hour)})
			if err != nil && !refusedFor(err, "plan_full") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(planOf(t, s, "D-1").Plan); n != 8 {
		t.Errorf("%d are planned", n)
	}
}

// A dispatcher plans for the devices of their scopes alone, by page and by API.
func TestADispatcherPlans(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	c := joined(t, s, "dulmaa", "dispatcher", "gacha:aa")
	until := time.Now().Add(2 * time.Hour)
	form := func(device, until string) string {
		return url.Values{"device": {device}, "from": {time.Now().Format("2006-01-02T15:04")}, "until": {until}, "words": {"over the pass"}}.Encode()
	}
	if status, body, to := send(t, c, "POST", base+"/plan", form("D-AA", until.Format("2006-01-02T15:04")), true); status != http.StatusSeeOther || to != "/plan" {
		t.Fatalf("plan: %d %s %.300s", status, to, body)
	}
	if _, body, _ := send(t, c, "GET", base+"/plan", "", false); !strings.Contains(body, "over the pass") {
		t.Error("the page does not show what is planned")
	}
	if status, body, _ := send(t, c, "POST", base+"/plan", form("D-BB", until.Format("2006-01-02T15:04")), true); status != http.StatusUnprocessableEntity || len(planOf(t, s, "D-BB").Plan) != 0 {
		t.Errorf("plan for another gacha: %d %.300s", status, body)
	}
	// What was typed stays.
	if status, body, _ := send(t, c, "POST", base+"/plan", form("D-AA", "soon"), true); status != http.StatusUnprocessableEntity || !strings.Contains(body, `value="over the pass"`) {
		t.Errorf("a time that is none: %d %.300s", status, body)
	}
	api := base + "/api/v1/office/devices/"
	if _, body, _ := send(t, c, "POST", api+"D-BB/plan/clear", "", false); !strings.Contains(body, "unknown_device") {
		t.Errorf("clear another gacha's: %s", body)
	}
	if _, body, _ := send(t, c, "POST", api+"D-AA/plan", `{"from":"`+until.Add(time.Hour).Format(time.RFC3339)+`","until":"`+until.Add(2*time.Hour).Format(time.RFC3339)+`"}`, false); strings.Contains(body, "error") {
		t.Errorf("plan by the API: %s", body)
	}
	if row := planOf(t, s, "D-AA"); len(row.Plan) != 2 || row.Plan[0].By != "dulmaa" {
		t.Errorf("planned: %+v", row.Plan)
	}
	if status, _, to := send(t, c, "POST", base+"/plan/clear", "device=D-AA", true); status != http.StatusSeeOther || to != "/plan" || len(planOf(t, s, "D-AA").Plan) != 0 {
		t.Errorf("take it back: %d %s", status, to)
	}
	var kinds []string
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Subject: "D-AA"}, false) {
		check(t, err)
		if f.By == "dulmaa" {
			kinds = append(kinds, f.Kind)
		}
	}
	if strings.Join(kinds, " ") != "planned planned unplanned" {
		t.Errorf("in the ledger: %v", kinds)
	}
}

func refusedFor(err error, code string) bool {
	r, ok := errors.AsType[*webui.Refusal](err)
	return ok && r.Code == code && r.What != "" && r.Do != ""
}
