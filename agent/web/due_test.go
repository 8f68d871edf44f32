package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/pack"
)

// checked is a shelf that knows who wrote the days of pension checks.
type checked struct{ shelf }

func (c checked) Thing(typ, id string) (web.Thing, bool) {
	th, ok := c.shelf.Thing(typ, id)
	th.Touches = []web.Touch{
		{Dot: dot.Chain{Device: "D-102", Incarnation: 1, Lane: dot.Record}.At(3), At: noon.Add(-2 * time.Hour), Fields: []string{"checks"}},
		{Dot: dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}.At(9), At: noon.AddDate(0, 0, -40), Fields: []string{"checks"}},
	}
	return th, ok
}

func dueBook() shelf {
	s := steppe()
	s["person"]["P005"] = map[string]any{"household": "H-NB-02"}
	s["person"]["P022"] = map[string]any{"household": "H-XX-01"}
	s["household"]["H-XX-01"] = map[string]any{"next_visit": "2025-09-17"}
	today := noon.Format(time.DateOnly)
	s["pension"] = map[string]map[string]any{
		"P021": {"person": "P021", "due": "2025-10-01", "bucket": "soon"},
		"P004": {"person": "P004", "due": "2025-08-29", "bucket": "overdue"},
		"P005": {"person": "P005", "due": "2026-08-29", "bucket": "ok", "checks": []any{today, "2025-01-02"}},
		"P022": {"person": "P022", "due": "2025-09-01", "bucket": "overdue"},
	}
	s["case"] = map[string]map[string]any{
		"C-1": {"household": "H-NB-07", "item": "balance_subsidy", "year": 2025.0},
	}
	return s
}

func transhumance(t *testing.T) *pack.Pack {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDueInRouteOrder(t *testing.T) {
	whom := func(from string) (out []string) {
		for _, l := range web.DueList(transhumance(t), dueBook(), noon, from, "en") {
			out = append(out, l.Rule+" "+l.Entity)
		}
		return out
	}
	want := []string{"due_pension P004", "due_pension P021", "due_pension P022", "due_visit H-XX-01"} // W2, W6, nowhere
	if got := whom(""); !slices.Equal(got, want) {
		t.Errorf("from the start: %q, want %q", got, want)
	}
	want = []string{"due_pension P021", "due_pension P004", "due_pension P022", "due_visit H-XX-01"}
	if got := whom("W6"); !slices.Equal(got, want) {
		t.Errorf("from W6 on: %q, want %q", got, want)
	}
	l := web.DueList(transhumance(t), dueBook(), noon, "", "en")[0]
	if l.Form != "pension_auth" || l.Visited != "H-NB-02" || l.Stop != "W2" || l.Days != -20 || l.Bucket != "overdue" || l.AsOf == nil || l.Label != "Pension check" {
		t.Errorf("%+v", l)
	}
}

func TestDoneAlready(t *testing.T) {
	book := checked{dueBook()}
	for name, c := range map[string]struct {
		form, entity string
		answers      map[string]string
		today        time.Time
		known, done  bool
		device       string
	}{
		"today":                {"pension_auth", "P005", nil, noon, true, true, "D-102"},
		"in 29 days":           {"pension_auth", "P005", nil, noon.AddDate(0, 0, 29), true, true, "D-102"},
		"in 30 days":           {"pension_auth", "P005", nil, noon.AddDate(0, 0, 30), true, false, ""},
		"of another":           {"pension_auth", "P004", nil, noon, true, false, ""},
		"of nobody":            {"pension_auth", "P999", nil, noon, true, false, ""},
		"an application":       {"subsidy_application", "H-NB-07", map[string]string{"item": "balance_subsidy", "year": "2025"}, noon, true, true, "D-101"},
		"of another year":      {"subsidy_application", "H-NB-07", map[string]string{"item": "balance_subsidy", "year": "2026"}, noon, true, false, ""},
		"of another household": {"subsidy_application", "H-NB-02", nil, noon, true, false, ""},
		"without a rule":       {"visit", "H-NB-07", nil, noon, false, false, ""},
	} {
		a := web.DoneCheck(transhumance(t), book, c.today, c.form, c.entity, c.answers)
		if a.Known != c.known || a.Done != c.done || c.done != (len(a.By) == 1) || c.done && a.By[0].Device != c.device {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// agenda answers as a device does.
type agenda struct{ t *testing.T }

func (a agenda) Due(_ context.Context, from string) ([]web.DueLine, error) {
	return web.DueList(transhumance(a.t), dueBook(), noon, from, "en"), nil
}

func (a agenda) Done(_ context.Context, form, entity string, answers map[string]string) (web.DoneAnswer, error) {
	if form == "" {
		return web.DoneAnswer{}, &web.Refusal{Code: "form_unknown"}
	}
	return web.DoneCheck(transhumance(a.t), checked{dueBook()}, noon, form, entity, answers), nil
}

func TestAgendaAPI(t *testing.T) {
	cfg, _, _ := teamConfig(t)
	cfg.Agenda = agenda{t}
	srv := httptest.NewServer(web.New(cfg))
	t.Cleanup(srv.Close)
	c := reader(t, srv)
	get := func(path string, into any) int {
		t.Helper()
		resp, err := c.Get(srv.URL + path) //nolint:noctx // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if into != nil {
			if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode
	}
	var lines []web.DueLine
	if code := get("/api/v1/due?from=W6", &lines); code != http.StatusOK || len(lines) != 4 || lines[0].Entity != "P021" {
		t.Errorf("due: %d %+v", code, lines)
	}
	var a web.DoneAnswer
	if code := get("/api/v1/done?form=subsidy_application&entity=H-NB-07&year=2026", &a); code != http.StatusOK || a.Done || !a.Known {
		t.Errorf("done: %d %+v", code, a)
	}
	if code := get("/api/v1/done", nil); code != http.StatusConflict {
		t.Errorf("done of no form: %d", code)
	}
}
