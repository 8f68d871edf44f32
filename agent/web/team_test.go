package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/pack"
)

// shelf is a book in memory, by type and id.
type shelf map[string]map[string]map[string]any

func (s shelf) Book(context.Context) (web.Book, error) { return s, nil }

func (s shelf) Thing(typ, id string) (web.Thing, bool) {
	f, ok := s[typ][id]
	at := noon.Add(-5 * 60e9)
	return web.Thing{Type: typ, ID: id, Fields: f, AsOf: &at, Touches: []web.Touch{{Dot: dot.Chain{Device: "D-301", Incarnation: 1, Lane: dot.Record}.At(7), At: noon.Add(-3600e9)}}}, ok
}

func (s shelf) IDs(typ string) (out []string) {
	for id := range s[typ] {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (s shelf) Written(typ, id string) (web.Thing, bool) { return s.Thing(typ, id) }

func (s shelf) Size() uint64 { return 0 }

func (s shelf) Edition() uint64 { return 1 }

func (s shelf) Having(typ, field string, v any) (out []string) {
	for _, id := range s.IDs(typ) {
		if s[typ][id][field] == v {
			out = append(out, id)
		}
	}
	return out
}

func (s shelf) Find(_ context.Context, words string, _ int) (out []web.Found, err error) {
	for typ := range s {
		for _, id := range s.IDs(typ) {
			name, _ := s[typ][id]["name_zh"].(string)
			if strings.Contains(id+name, words) {
				out = append(out, web.Found{Type: typ, ID: id})
			}
		}
	}
	return out, nil
}

func (s shelf) Show(context.Context, string) (web.EntityView, error) {
	return web.EntityView{}, &web.Refusal{Code: "not_here"}
}

// calls keeps calls for help in memory.
type calls struct {
	got    []web.Call
	refuse error
}

func (c *calls) Raise(_ context.Context, call web.Call) (web.PutResult, error) {
	if c.refuse != nil {
		return web.PutResult{}, c.refuse
	}
	c.got = append(c.got, call)
	return web.PutResult{Dot: dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Alert}.At(1), SavedAt: noon}, nil
}

func (c *calls) Raised(_ context.Context, d dot.Dot) (web.Raised, error) {
	return web.Raised{Row: web.EntryRow{Dot: d, Form: "sos", Entity: "SOS-1", DeviceTime: noon, State: web.Saved}, What: "injury", Place: &web.SeenAt{Lon: 101.7, Lat: 39.2, At: noon.Add(-120e9)}}, nil
}

func (c *calls) LastPlace(context.Context) (web.SeenAt, bool) { return web.SeenAt{}, false }

// steppe is a small part of what the demonstration's devices know.
func steppe() shelf {
	return shelf{
		"household": {
			"H-NB-07": {"head": "P021", "camp_waypoint": "W6", "phone": "****1006", "counted_su": 211.8, "allowed_su": 190.0, "overload": 0.1147, "balance_status": "over"},
			"H-NB-02": {"head": "P004", "camp_waypoint": "W2"},
		},
		"person": {
			"P021": {"household": "H-NB-07", "name_zh": "孟克", "name_latin": "Munkh", "relation": "head"},
			"P004": {"household": "H-NB-02", "name_zh": "布彦", "name_latin": "Buyan", "relation": "head"},
		},
		"pension":  {"P004": {"person": "P004", "due": "2025-08-29", "bucket": "overdue"}},
		"waypoint": {"W2": {"seq": 2.0, "km": 5.43, "name_zh": "一号水源", "name_en": "Water source 1", "kind": "water", "lon": 101.705, "lat": 39.2215}, "W6": {"seq": 6.0, "km": 16.3, "name_en": "Water source 2", "name_zh": "二号水源", "kind": "water"}},
		"hazard":   {"W6.ABCD": {"type": "rockfall", "open": true, "severity": 3.0}, "HZ-9": {"type": "ice", "open": false}},
		"bulletin": {"B-03": {"title_zh": "橙色预警", "published": "2025-09-18T12:11:00+08:00", "must_ack": true, "alert": "A-1"}},
		"alert":    {"A-1": {"headline": "Storm, go to the station", "colour": "orange"}},
		"receipt":  {"B-03.H-NB-02": {"bulletin": "B-03", "household": "H-NB-02", "mode": "radio"}},
		"station":  {"S1": {"name_zh": "黑山口", "waypoint": "W2"}},
		"stock":    {"S1.IT-BAND": {"station": "S1", "item": "IT-BAND", "qty": 3.0, "min": 4.0, "low": true}},
		"stock_item": {
			"IT-BAND": {"name_en": "bandage", "name_zh": "绷带", "unit": "卷"},
		},
		"staff": {"U06": {"name_zh": "演示·丙一", "role": "veterinarian"}},
	}
}

func teamConfig(t testing.TB) (web.Config, *phone, *calls) {
	t.Helper()
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	ph, c := newPhone().day(), &calls{}
	cfg := config(ph)
	s := steppe()
	cfg.Pack, cfg.Books, cfg.Entities, cfg.Alarms, cfg.DefaultLang = func() *pack.Pack { return p }, s, s, c, "en"
	d := newDesk(t)
	cfg.Visits, cfg.Drafts, cfg.Photos = d, d, d
	return cfg, ph, c
}

func team(t *testing.T) (*httptest.Server, *http.Client, *phone, *calls) {
	t.Helper()
	cfg, ph, c := teamConfig(t)
	srv := httptest.NewServer(web.New(cfg))
	t.Cleanup(srv.Close)
	return srv, reader(t, srv), ph, c
}

// send posts a form as the page does.
func send(t *testing.T, c *http.Client, to string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, c, req)
}

func TestTeamPagesSay(t *testing.T) {
	srv, c, _, _ := team(t)
	for _, x := range []struct {
		path string
		code int
		want []string
		not  []string
	}{
		{"/", 200, []string{`href="/sos"`, `href="/households"`, `id="go-bulletins"`, `href="/records?list=waiting"`}, nil},
		{"/households", 200, []string{"Munkh", "Buyan", "Water source 1", "5.4 km", "11.5% over", "Last known", "As of 13:00"}[:5], nil},
		{"/households?q=Nobody", 200, []string{"0 households"}, []string{"H-NB-07"}},
		{"/households?q=" + url.QueryEscape("布彦"), 200, []string{"H-NB-02"}, []string{"H-NB-07"}},
		{"/households?stop=W6", 200, []string{"H-NB-07"}, []string{"H-NB-02"}},
		{"/household/H-NB-07", 200, []string{"211.8 counted, 190 sheep units allowed: 11.5% over", "it may cost the subsidy", "****1006", "/visit/livestock_count?entity=H-NB-07", "D-301", "this phone"}, nil},
		{"/household/H-NB-02", 200, []string{"Overdue since 2025-08-29", "/visit/pension_auth?entity=P004"}, []string{"sheep units allowed"}},
		{"/household/H-XX-99", 404, []string{"no such household", "H-XX-99"}, nil},
		{"/due", 200, []string{"Buyan", "Pension check", "Overdue since 2025-08-29", "Water source 1", `href="/household/H-NB-02"`}, []string{"Munkh"}},
		{"/route", 200, []string{"Rockfall", "16.3 km", "1 household camps here", "/station/S1", "/visit/hazard?entity=W2."}, []string{"Ice"}},
		{"/bulletins", 200, []string{"橙色预警", "Orange warning", "1 of 2 households have heard it"}, nil},
		{"/bulletin/B-03", 200, []string{"Storm, go to the station", "Munkh", "Read aloud"}, []string{`value="H-NB-02"`}},
		{"/bulletin/B-99", 404, []string{"no such bulletin"}, nil},
		{"/stations", 200, []string{"黑山口", "1 item is low"}, nil},
		{"/station/S1", 200, []string{"bandage", "3 卷", "keep at least 4", "Low"}, nil},
		{"/station/S9", 404, []string{"no such station"}, nil},
		{"/sos", 200, []string{"What has happened?", `value="injury"`, "The place is not known; the call goes out all the same"}, nil},
		{"/sos/sent?entry=D-101/1/alert/1", 200, []string{"Read this over the radio", "SOS, SOS, SOS. This is D-101.", "Injury", "39.20000"}, nil},
		{"/sos/sent?entry=junk", 404, []string{"made no such call"}, nil},
		{"/records?list=waiting", 200, []string{"saved on this phone"}, []string{"archived</span>"}},
		{"/records?list=junk&after=junk", 200, []string{"Entries"}[:0], nil},
		{"/settings", 200, []string{"演示·丙一", "Veterinarian", "As of 09:12", "Being fetched anew"}, nil},
	} {
		code, body := page(t, c, srv.URL+x.path)
		if code != x.code {
			t.Errorf("%s: status %d", x.path, code)
		}
		for _, w := range x.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s does not say %q", x.path, w)
			}
		}
		for _, w := range x.not {
			if strings.Contains(body, w) {
				t.Errorf("%s says %q", x.path, w)
			}
		}
	}
}

// A page without the page's program asks once more; a call is saved under the
// name that the page gave it, with the place that it knows.
func TestCallForHelp(t *testing.T) {
	srv, c, _, got := team(t)
	form := url.Values{"id": {"call-1"}, "what": {"injury"}, "lon": {"101.7"}, "lat": {"39.2"}, "at": {"1758171900000"}, "acc": {"8"}}
	if code, body := send(t, c, srv.URL+"/sos", form); code != 200 || !strings.Contains(body, `name="sure"`) || !strings.Contains(body, `value="call-1"`) || len(got.got) != 0 {
		t.Errorf("asked once more: %d, %d calls", code, len(got.got))
	}
	form.Set("sure", "1")
	if code, body := send(t, c, srv.URL+"/sos", form); code != 200 || !strings.Contains(body, "Saved on this phone 13:05") {
		t.Errorf("sent: %d", code)
	}
	if len(got.got) != 1 || got.got[0].ID != "call-1" || got.got[0].What != "injury" || got.got[0].Place == nil || got.got[0].Fix.Source != "gnss" || got.got[0].Accuracy != 8 {
		t.Errorf("saved %+v", got.got)
	}
	form.Set("lon", "400")
	if _, _ = send(t, c, srv.URL+"/sos", form); len(got.got) != 2 || got.got[1].Place != nil {
		t.Error("a place that is not on the earth was kept")
	}
	got.refuse = &web.Refusal{Code: "disk_full", What: "the phone is full", Do: "delete photos"}
	if code, body := send(t, c, srv.URL+"/sos", form); code != 409 || !strings.Contains(body, "the phone is full") || !strings.Contains(body, `value="injury"`) {
		t.Errorf("refused: %d", code)
	}
}

func TestTeamActs(t *testing.T) {
	srv, c, ph, _ := team(t)
	// Settings: a user and a budget are kept, nonsense is refused and keeps what was.
	if code, _ := send(t, c, srv.URL+"/settings", url.Values{"user": {"U06"}, "day": {"0,5"}}); code != 200 || ph.prefs != (web.Preferences{User: "U06", Day: 500_000}) {
		t.Errorf("settings: %d %+v", code, ph.prefs)
	}
	for _, day := range []string{"x", "-1", "1e99", "0.001"} {
		if code, _ := send(t, c, srv.URL+"/settings", url.Values{"user": {"U01"}, "day": {day}}); code != 400 || ph.prefs.User != "U06" {
			t.Errorf("a budget of %q: %d %+v", day, code, ph.prefs)
		}
	}
	if code, _ := send(t, c, srv.URL+"/doctor", nil); code != 200 || ph.rechecks != 1 {
		t.Errorf("doctor: %d, %d checks", code, ph.rechecks)
	}
	// A receipt for each household, in the chosen user's name.
	if code, _ := send(t, c, srv.URL+"/bulletin/B-03", url.Values{"household": {"H-NB-07", "H-NB-02"}}); code != 200 || len(ph.puts) != 2 {
		t.Fatalf("receipts: %d, %d records", code, len(ph.puts))
	}
	if p := ph.puts[0]; p.Form != "bulletin_receipt" || p.Entity != "B-03" || p.User != "U06" || string(p.Fields) != `{"household":"H-NB-07","mode":"read_aloud"}` {
		t.Errorf("receipt %+v %s", p, p.Fields)
	}
	if code, body := send(t, c, srv.URL+"/bulletin/B-03", nil); code != 409 || !strings.Contains(body, "No household was chosen") || len(ph.puts) != 2 {
		t.Errorf("no receipt: %d", code)
	}
	// A movement, and what is none.
	if code, _ := send(t, c, srv.URL+"/station/S1", url.Values{"item": {"IT-BAND"}, "qty": {"2"}, "way": {"out"}}); code != 200 || len(ph.puts) != 3 || string(ph.puts[2].Fields) != `{"dir":"out","item":"IT-BAND","qty":2}` {
		t.Errorf("movement: %d %+v", code, ph.puts)
	}
	for _, bad := range []url.Values{{"item": {"IT-BAND"}, "qty": {"0"}, "way": {"out"}}, {"item": {"IT-BAND"}, "qty": {"-3"}, "way": {"in"}}, {"item": {"IT-BAND"}, "qty": {"3"}, "way": {"up"}}} {
		if code, _ := send(t, c, srv.URL+"/station/S1", bad); code != 409 || len(ph.puts) != 3 {
			t.Errorf("movement %v: %d", bad, code)
		}
	}
	// What was refused stands in its field again.
	_, body := send(t, c, srv.URL+"/station/S1", url.Values{"item": {"IT-BAND"}, "qty": {"2o"}, "way": {"out"}})
	if !strings.Contains(body, `value="2o"`) {
		t.Error("the refused quantity is gone from its field")
	}
	// Looking changes nothing.
	for _, path := range []string{"/sos?what=injury&sure=1", "/station/S1?item=IT-BAND&qty=1&way=in", "/bulletin/B-03?household=H-NB-07", "/settings?user=U99", "/doctor"} {
		_, _ = page(t, c, srv.URL+path)
	}
	if len(ph.puts) != 3 || ph.prefs.User != "U06" || ph.rechecks != 1 {
		t.Error("looking changed something")
	}
}

// A device whose pack has no pages still has its records, and says why the rest
// is not there; a form that is broken hides no other.
func TestWithoutPages(t *testing.T) {
	cfg, _, _ := teamConfig(t)
	whole := *cfg.Pack()
	whole.Pages = nil
	cfg.Pack = func() *pack.Pack { return &whole }
	srv := httptest.NewServer(web.New(cfg))
	t.Cleanup(srv.Close)
	c := reader(t, srv)
	for path, want := range map[string]int{"/": 200, "/records": 200, "/settings": 200, "/households": 404, "/route": 404, "/bulletins": 404, "/stations": 404, "/sos": 404} {
		if code, body := page(t, c, srv.URL+path); code != want || strings.Contains(body, `href="/sos"`) {
			t.Errorf("%s: %d", path, code)
		}
	}
	part := *cfg.Pack()
	part.Pages = &pack.Pages{Visited: &pack.Visited{Type: "household", Forms: []string{"no_such_form", "visit"}}}
	part.Forms, _ = form.NewRegistry()
	cfg.Pack = func() *pack.Pack { return &part }
	srv2 := httptest.NewServer(web.New(cfg))
	t.Cleanup(srv2.Close)
	if code, body := page(t, reader(t, srv2), srv2.URL+"/household/H-NB-07"); code != 200 || !strings.Contains(body, "/visit/visit?") {
		t.Errorf("with a broken form: %d", code)
	}
}
