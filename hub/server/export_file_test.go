package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/export"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/sheet"
)

// taken is what an export came to, and its file.
func taken(t *testing.T, s *server.Server, o server.ExportOrder) (server.Exported, string) {
	t.Helper()
	out, file, err := s.Office().Export(t.Context(), o)
	check(t, err)
	b, err := io.ReadAll(file)
	check(t, err)
	check(t, file.Close())
	if int64(len(b)) != out.Size {
		t.Errorf("%d bytes, said %d", len(b), out.Size)
	}
	return out, string(b)
}

// Records are taken away by device, team, form and period, numbers masked unless there
// is a reason, by everybody no more than they see; the ledger says what was asked for.
func TestExport(t *testing.T) {
	s, dir := town(t)
	now := time.Now()
	order := func(subject, name, format string) server.ExportOrder {
		return server.ExportOrder{Filter: export.Filter{Subject: subject, Name: name, From: now.Add(-time.Hour), Until: now.Add(time.Hour)}, Format: format, Lang: "en"}
	}
	type entries struct {
		Export  export.Head
		Entries []struct {
			Entry, Form, Entity string
			Answers             []struct {
				Name  string
				Value any
			}
		}
	}
	read := func(text string) (e entries) {
		check(t, json.Unmarshal([]byte(text), &e))
		return e
	}
	all, text := taken(t, s, order("all", "", "json"))
	everything := read(text)
	if all.Rows == 0 || len(everything.Entries) != all.Rows || everything.Export.Rows != all.Rows || everything.Export.By == "" {
		t.Fatalf("%+v, %d entries", all, len(everything.Entries))
	}
	if !strings.Contains(text, "•") || strings.Contains(text, "13904830000") {
		t.Errorf("telephones are not masked: %.2000s", text)
	}
	whole := order("all", "", "json")
	whole.Whole = true
	_, _, err := s.Office().Export(t.Context(), whole)
	refused(t, "whole without a reason", "whole_reason", err)
	whole.Reason = "the bank asks for them"
	if _, text := taken(t, s, whole); !strings.Contains(text, "1390483") {
		t.Errorf("whole: %.2000s", text)
	}
	one, text := taken(t, s, order("device", "D-BB", "json"))
	if one.Rows != 2 {
		t.Errorf("a device: %+v", one)
	}
	for _, e := range read(text).Entries {
		if !strings.HasPrefix(e.Entry, "D-BB/") {
			t.Errorf("of D-BB: %s", e.Entry)
		}
	}
	_, err = s.Office().Regrant(t.Context(), "D-AA", []string{"team:T1"}, nil)
	check(t, err)
	team, _ := taken(t, s, order("team", "T1", "csv"))
	formed, text := taken(t, s, order("form", "household_edit", "csv"))
	if formed.Rows != 4 || team.Rows != 2 || strings.Count(text, "\r\n") != 5 || !strings.HasPrefix(text, "\ufeff") {
		t.Errorf("team %+v, form %+v: %s", team, formed, text)
	}
	before := order("all", "", "xlsx")
	before.From, before.Until = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	if none, text := taken(t, s, before); none.Rows != 0 || !strings.HasPrefix(text, "PK") {
		t.Errorf("of the day before: %+v", none)
	}
	for what, c := range map[string]struct {
		order server.ExportOrder
		code  string
	}{
		"no format":  {order("all", "", "docx"), "bad_format"},
		"no device":  {order("device", "D-404", "csv"), "no_device"},
		"no team":    {order("team", "T9", "csv"), "bad_terms"},
		"no form":    {order("form", "", "csv"), "bad_terms"},
		"mistyped":   {order("form", "visits", "csv"), "unknown_form"},
		"no subject": {order("herd", "x", "csv"), "bad_terms"},
	} {
		_, _, err := s.Office().Export(t.Context(), c.order)
		refused(t, what, c.code, err)
	}
	if facts := factsOf(t, s, "export"); len(facts) != 6 || !strings.Contains(facts[1], "the bank asks for them") || !strings.Contains(facts[2], "D-BB") || !strings.Contains(facts[2], one.Digest) {
		t.Errorf("the ledger: %q", facts)
	}
	// Nothing stays behind.
	left, err := os.ReadDir(filepath.Join(dir, "exports"))
	check(t, err)
	if len(left) != 0 {
		t.Errorf("%d files stay", len(left))
	}
}

// On the page and over HTTP nobody takes away more than they see.
func TestExportsPage(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita, aida, dima := joined(t, s, "rita", "reconciler", "*"), joined(t, s, "aida", "reconciler", "gacha:aa"), joined(t, s, "dima", "dispatcher", "*")
	day := time.Now().Format("2006-01-02")
	form := func(subject, name, format string, more ...string) string {
		v := url.Values{"subject": {subject}, "name": {name}, "from": {day}, "until": {day}, "format": {format}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v.Encode()
	}
	for format, begins := range map[string]string{"json": "{", "geojson": "{", "xlsx": "PK", "pdf": "%PDF", "csv": "\ufeff"} {
		status, body, _ := send(t, rita, "POST", base+"/exports", form("all", "", format), true)
		if status != http.StatusOK || !strings.HasPrefix(body, begins) || format == "json" && !strings.Contains(body, "D-BB") {
			t.Errorf("%s: %d %.200q", format, status, body)
		}
		if format == "xlsx" {
			src, err := sheet.Open(strings.NewReader(body), "", sheet.Usual)
			check(t, err)
			check(t, src.Close())
		}
	}
	if status, body, _ := send(t, aida, "POST", base+"/exports", form("all", "", "json"), true); status != http.StatusOK || strings.Contains(body, "BB") || !strings.Contains(body, "H-AA") {
		t.Errorf("aida takes %d %.2000s", status, body)
	}
	if status, body, _ := send(t, aida, "POST", base+"/exports", form("device", "D-BB", "json"), true); status != http.StatusUnprocessableEntity || !strings.Contains(body, `role="alert"`) {
		t.Errorf("aida, another's device: %d", status)
	}
	if status, _, _ := send(t, dima, "POST", base+"/exports", form("all", "", "json", "whole", "yes", "reason", "why"), true); status != http.StatusUnprocessableEntity {
		t.Errorf("a dispatcher takes numbers whole: %d", status)
	}
	if status, body, _ := send(t, rita, "POST", base+"/exports", form("all", "", "json", "whole", "yes", "reason", "the bank asks"), true); status != http.StatusOK || strings.Contains(body, "•") {
		t.Errorf("rita, whole: %d", status)
	}
	_, page, _ := send(t, rita, "GET", base+"/exports", "", false)
	if strings.Count(page, `<article class="row">`) != 7 || !strings.Contains(page, "the bank asks") {
		t.Errorf("listed: %s", page)
	}
	if _, page, _ := send(t, aida, "GET", base+"/exports", "", false); strings.Count(page, `<article class="row">`) != 1 {
		t.Errorf("aida sees others' exports: %s", page)
	}
	status, body, _ := send(t, rita, "POST", base+"/api/v1/office/exports", fmt.Sprintf(`{"subject":"form","name":"household_edit","from":"%sT00:00:00Z","until":"%sT00:00:00Z","format":"geojson"}`, time.Now().AddDate(0, 0, -2).Format("2006-01-02"), time.Now().AddDate(0, 0, 2).Format("2006-01-02")), false)
	if status != http.StatusOK || !strings.Contains(body, "FeatureCollection") {
		t.Errorf("over HTTP: %d %.200s", status, body)
	}
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "export"}, false) {
		check(t, err)
		if f.By != "rita" && f.By != "aida" {
			t.Errorf("by %s", f.By)
		}
	}
}
