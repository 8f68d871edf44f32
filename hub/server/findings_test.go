package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/wire"
)

// twinned gives a device two live folders: its life 2 waits to be confirmed.
func twinned(t *testing.T, s *server.Server, d dot.Device) {
	t.Helper()
	now := time.Now().UnixMilli()
	for i := dot.Incarnation(2); i <= 3; i++ {
		l := store.Life{Device: d, Incarnation: i, ID: make([]byte, wire.LifeIDSize), Reason: entry.Moved, Previous: i - 1, Enrolled: 1, ClaimedAt: now}
		l.ID[0] = byte(i)
		_, taken, err := s.Store().Claim(t.Context(), l)
		check(t, err)
		if taken {
			t.Fatalf("life %d is taken", i)
		}
	}
	for _, i := range []dot.Incarnation{2, 3, 2} {
		_, err := s.Store().Speak(t.Context(), d, i, now)
		check(t, err)
	}
	check(t, s.Store().SetFinding(t.Context(), store.Finding{Device: d, Code: "twins", Value: 3, OpenedAt: now, UpdatedAt: now, Words: "two folders run"}))
}

// What the hub noticed is on a page: to everybody what they see, and to whoever lets
// devices in with what settles it.
func TestFindingsPage(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	now := time.Now().UnixMilli()
	for _, d := range []dot.Device{"D-AA", "D-BB"} {
		check(t, s.Store().SetFinding(t.Context(), store.Finding{Device: d, Code: "clock_skew", Value: -47 * 60_000, OpenedAt: now, UpdatedAt: now, Words: "device clock 47 min slow"}))
	}
	twinned(t, s, "D-BB")
	_, err := s.Store().PutUnattributed(t.Context(), store.Unattributed{ReceivedAt: now, Via: "D-AA", Claims: "D-777", Code: "unknown_key", Words: "no such life", Size: 9, Frame: []byte("123456789")})
	check(t, err)
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error { _, err := tx.Doubt(now, "the hub was restored"); return err }))

	boss := joined(t, s, "boss", "administrator", "*")
	rita := joined(t, s, "rita", "viewer", "gacha:aa")
	_, whole, _ := send(t, boss, "GET", base+"/findings", "", false)
	_, part, _ := send(t, rita, "GET", base+"/findings", "", false)
	for _, want := range []string{"D-AA", "D-BB", "D-777", "/findings/life", "/findings/confirm"} {
		if !strings.Contains(whole, want) {
			t.Errorf("the administrator's page does not say %q", want)
		}
	}
	if !strings.Contains(part, "D-AA") {
		t.Error("a viewer does not see what was noticed of their own")
	}
	for _, not := range []string{"D-BB", "D-777", "/findings/life", "/findings/confirm", "--journal"} {
		if strings.Contains(part, not) {
			t.Errorf("a viewer's page says %q", not)
		}
	}
	for path, form := range map[string]string{"/findings/confirm": "device=D-AA", "/findings/life": "device=D-BB&life=3"} {
		if status, body, _ := send(t, rita, "POST", base+path, form, true); status != http.StatusForbidden {
			t.Errorf("a viewer posts to %s: %d %.200s", path, status, body)
		}
		if status, body, to := send(t, boss, "POST", base+path, form, true); status != http.StatusSeeOther || to != "/findings" {
			t.Errorf("%s: %d %s %.600s", path, status, to, body)
		}
		if status, _, _ := send(t, boss, "POST", base+path, form, true); status != http.StatusUnprocessableEntity {
			t.Errorf("%s again: %d", path, status)
		}
	}
	// No name is not every name.
	if status, _, _ := send(t, boss, "POST", base+"/findings/confirm", "device=", true); status != http.StatusUnprocessableEntity {
		t.Errorf("nobody was named: %d", status)
	}
	doubts, err := s.Store().Doubts(t.Context(), "")
	check(t, err)
	if len(doubts) != 1 || doubts[0].Device != "D-BB" {
		t.Errorf("in doubt: %+v", doubts)
	}
	if only, err := s.Store().UplinkOnly(t.Context(), "D-BB", 3); only || err != nil {
		t.Errorf("the confirmed copy gets nothing: %v", err)
	}
	open, err := s.Office().Findings(t.Context(), false)
	check(t, err)
	for _, f := range open {
		if f.Code == "twins" {
			t.Errorf("still open: %+v", f)
		}
	}
	for kind, by := range map[string]string{"confirmed": "boss", "twin_confirmed": "boss"} {
		for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: kind}, false) {
			check(t, err)
			if f.By != by {
				t.Errorf("%s by %s", kind, f.By)
			}
		}
	}
}
