package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
)

// sent posts a file as the page's form does.
func sent(t *testing.T, c *http.Client, address string, file []byte) (int, string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "statement")
	check(t, err)
	_, err = part.Write(file)
	check(t, err)
	check(t, form.Close())
	req, err := http.NewRequestWithContext(t.Context(), "POST", address, &body)
	check(t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := c.Do(req)
	check(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(b)
}

// A statement is drawn on its page, is what it says, is listed, and is told from
// one that was changed. Who sees one gacha draws and sees no other's.
func TestStatementsPage(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita, aida := joined(t, s, "rita", "reconciler", "*"), joined(t, s, "aida", "reconciler", "gacha:aa")
	day := time.Now().Format("2006-01-02")
	terms := func(subject, name, format string) string {
		return url.Values{"subject": {subject}, "name": {name}, "from": {day}, "until": {day}, "format": {format}}.Encode()
	}
	for format, begins := range map[string]string{"json": "{", "xlsx": "PK", "pdf": "%PDF", "csv": "\ufeff"} {
		status, body, _ := send(t, rita, "POST", base+"/statements", terms("device", "D-BB", format), true)
		if status != http.StatusOK || !strings.HasPrefix(body, begins) {
			t.Fatalf("%s: %d %.80q", format, status, body)
		}
		if format == "pdf" || format == "csv" {
			continue
		}
		st, signed, err := reconcile.Verify([]byte(body), nil)
		check(t, err)
		if st.Terms.Name != "D-BB" || st.MadeBy != "rita" || len(st.Chains) != 1 || st.Chains[0].Received != 2 {
			t.Errorf("%s: %+v", format, st)
		}
		if status, page := sent(t, rita, base+"/statements/verify", []byte(body)); status != http.StatusOK || !strings.Contains(page, `id="checked"`) || !strings.Contains(page, signed.Digest()) {
			t.Errorf("%s checked: %d %.3000s", format, status, page)
		}
		if format == "json" {
			changed := strings.Replace(body, "D-BB", "D-BC", 1)
			if status, page := sent(t, rita, base+"/statements/verify", []byte(changed)); status != http.StatusUnprocessableEntity || strings.Contains(page, `id="checked"`) {
				t.Errorf("a changed one: %d", status)
			}
		}
	}
	if _, page, _ := send(t, rita, "GET", base+"/statements", "", false); strings.Count(page, `id="statement-`) != 4 || !strings.Contains(page, "D-BB") {
		t.Errorf("listed: %s", page)
	}
	if _, page, _ := send(t, aida, "GET", base+"/statements", "", false); strings.Contains(page, "D-BB") {
		t.Error("aida sees another gacha's statements")
	}
	for body, status := range map[string]int{
		terms("device", "D-BB", "json"):                     http.StatusForbidden,
		terms("all", "", "json"):                            http.StatusForbidden,
		terms("device", "D-AA", "json"):                     http.StatusOK,
		terms("device", "D-AA", "docx"):                     http.StatusUnprocessableEntity,
		"subject=device&from=x&until=y":                     http.StatusUnprocessableEntity,
		terms("device", "D-AA", "csv") + "&from=2030-01-01": http.StatusOK, // the first of two values counts
	} {
		if got, page, _ := send(t, aida, "POST", base+"/statements", body, true); got != status {
			t.Errorf("%s: %d, want %d: %.300s", body, got, status, page)
		}
	}
	if _, page, _ := send(t, aida, "GET", base+"/statements", "", false); !strings.Contains(page, "D-AA") {
		t.Error("aida does not see her own")
	}
	if status, _ := sent(t, rita, base+"/statements/verify", []byte("grass")); status != http.StatusUnprocessableEntity {
		t.Errorf("no statement: %d", status)
	}
}

// Operators are let in, changed and shut out on their page; the ledger has each act.
func TestOperatorsPage(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	boss := joined(t, s, "boss", "administrator", "*")
	post := func(path string, v url.Values) (int, string) {
		t.Helper()
		status, body, _ := send(t, boss, "POST", base+path, v.Encode(), true)
		return status, body
	}
	find := func(name string) server.OperatorLine {
		t.Helper()
		all, err := s.Office().Operators(t.Context())
		check(t, err)
		for _, o := range all {
			if o.Name == name {
				return o
			}
		}
		return server.OperatorLine{}
	}
	rita := url.Values{"name": {"rita"}, "title": {"Rita"}, "role": {"viewer"}, "scopes": {"gacha:aa"}}
	if status, body := post("/operators", rita); status != http.StatusOK || !strings.Contains(body, "/join?k=") || find("rita").State != "invited" {
		t.Fatalf("add: %d %.2000s", status, body)
	}
	if status, body := post("/operators", rita); status != http.StatusUnprocessableEntity || strings.Contains(body, "/join?k=") {
		t.Errorf("add again: %d", status)
	}
	rita.Set("role", "reconciler")
	if status, _ := post("/operators/change", rita); status != http.StatusSeeOther || find("rita").Role != "reconciler" {
		t.Errorf("change: %d %+v", status, find("rita"))
	}
	for _, step := range []struct{ act, state string }{{"relink", "invited"}, {"shut_out", "shut_out"}, {"let_in", "invited"}} {
		status, body := post("/operators/access", url.Values{"name": {"rita"}, "act": {step.act}})
		if status >= 400 || find("rita").State != step.state || strings.Contains(body, "/join?k=") != (step.act != "shut_out") {
			t.Errorf("%s: %d %+v", step.act, status, find("rita"))
		}
	}
	if status, _ := post("/operators/access", url.Values{"name": {"rita"}, "act": {"crown"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("no act: %d", status)
	}
	if status, _ := post("/operators/access", url.Values{"name": {"boss"}, "act": {"shut_out"}}); status != http.StatusUnprocessableEntity || find("boss").State != "works" {
		t.Errorf("the last administrator: %d %+v", status, find("boss"))
	}
	if status, body := post("/account/tokens", url.Values{"label": {"exports"}, "role": {"viewer"}, "scopes": {"*"}, "days": {"3"}}); status != http.StatusOK {
		t.Fatalf("token: %d %.500s", status, body)
	}
	held := func() bool {
		_, page, _ := send(t, boss, "GET", base+"/operators", "", false)
		return strings.Contains(page, `value="exports"`)
	}
	if !held() {
		t.Error("the token is not listed")
	}
	if status, _ := post("/operators/token", url.Values{"name": {"boss"}, "label": {"exports"}}); status != http.StatusSeeOther || held() {
		t.Errorf("the token is not ended: %d", status)
	}
	acts := 0
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "access", Subject: "rita"}, false) {
		check(t, err)
		if f.By == "boss" {
			acts++
		}
	}
	if acts < 5 {
		t.Errorf("the ledger has %d acts of boss upon rita, want 5", acts)
	}
}

// broken is a database that cannot be read any more.
type broken struct{ store.Store }

func (broken) Totals(context.Context) (store.Totals, error) {
	return store.Totals{}, errors.New("the disk is gone")
}

func TestHealth(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if status, body, _ := send(t, browser(t), "GET", base+path, "", false); status != http.StatusOK || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	root := t.TempDir()
	idle, err := server.Open(t.Context(), packed(t, filepath.Join(root, "hub"), filepath.Join(root, "journal")))
	check(t, err)
	defer func() { check(t, idle.Close()) }()
	check(t, idle.Wrap(func(st store.Store) store.Store { return broken{st} }))
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK} {
		w := httptest.NewRecorder()
		idle.Health().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if w.Code != want || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s without a database: %d %q", path, w.Code, w.Body)
		}
	}
}
