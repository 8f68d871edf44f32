package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

// What people wrote of an item is told without numbers of persons, on the API as on the
// pages; whoever reads the hub's folder has it whole.
func TestItemsHideNumbers(t *testing.T) {
	const number, phone = "999922196001010018", "13904831234"
	s, _ := town(t)
	var open int64
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) (err error) {
		for i, state := range []store.ItemState{store.Decided, store.Open} {
			it := store.Item{
				Kind: store.Duplicates, Entity: entry.Ref{Type: "household", ID: "H-AA"}, Field: "same_day D-AA/1/record/" + strconv.Itoa(i+1),
				Entries:  []dot.Dot{{Chain: dot.Chain{Device: "D-AA", Incarnation: 1, Lane: dot.Record}, Seq: dot.Seq(i + 1)}}, //nolint:gosec // small
				OpenedAt: time.Now().UnixMilli(), State: state, Times: 1,
			}
			if it.Evidence, err = json.Marshal(map[string]any{"rule": "same_day", "words": "as of " + number, "key": number + "|2025-09-18"}); err != nil {
				return err
			}
			if state == store.Decided {
				it.ClosedAt, it.DecidedBy, it.Reason = it.OpenedAt, "rita", "his son said so, "+phone
			}
			if open, err = tx.PutItem(it); err != nil {
				return err
			}
		}
		return nil
	}))
	rita, vera := joined(t, s, "rita", "reconciler", "gacha:aa"), joined(t, s, "vera", "viewer", "*")
	base := "http://" + s.HTTPAddr() + "/api/v1/office/items"
	told := map[string]string{}
	for name, c := range map[string]*http.Client{"a reconciler": rita, "a viewer": vera} {
		_, told[name], _ = send(t, c, "GET", base+"?all=true", "", false)
	}
	at := base + "/" + strconv.FormatInt(open, 10)
	_, told["who takes it"], _ = send(t, rita, "POST", at+"/take", `{"from":""}`, false)
	_, told["who gives it back"], _ = send(t, rita, "POST", at+"/release", `{}`, false)
	for who, body := range told {
		if !strings.Contains(body, "same_day") || strings.Contains(body, number) || strings.Contains(body, phone) {
			t.Errorf("%s: %s", who, body)
		}
	}
	items, err := s.Office().Items(t.Context(), true)
	check(t, err)
	whole, err := json.Marshal(items)
	check(t, err)
	if !strings.Contains(string(whole), number) || !strings.Contains(string(whole), phone) {
		t.Errorf("whoever reads the folder: %s", whole)
	}
}

// The words of a plan stand on the page of the fleet, for all who see the device.
func TestPlansHideNumbers(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	c := joined(t, s, "dulmaa", "dispatcher", "gacha:aa")
	f := url.Values{"device": {"D-AA"}, "from": {time.Now().Format("2006-01-02T15:04")}, "until": {time.Now().Add(2 * time.Hour).Format("2006-01-02T15:04")}, "words": {"over the pass, ask 13904831234"}}
	if status, _, _ := post(t, c, base+"/plan", f); status != http.StatusSeeOther {
		t.Fatalf("plan: %d", status)
	}
	for _, path := range []string{"/", "/plan", "/api/v1/fleet"} {
		if _, body, _ := send(t, c, "GET", base+path, "", false); !strings.Contains(body, "over the pass, ask") || strings.Contains(body, "13904831234") {
			t.Errorf("%s shows the number, or not the words", path)
		}
	}
}
