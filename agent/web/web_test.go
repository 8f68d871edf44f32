package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

func serve(t *testing.T, p *phone) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(web.New(config(p)))
	t.Cleanup(srv.Close)
	return srv
}

// call asks the API with the token.
func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	return do(t, http.DefaultClient, req)
}

func do(t *testing.T, c *http.Client, req *http.Request) (int, string) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// reader is a browser that came in by the start address.
func reader(t *testing.T, srv *httptest.Server) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	if code, body := page(t, c, webui.EnterURL(srv.URL, "secret")); code != 200 {
		t.Fatalf("enter: %d %s", code, body)
	}
	return c
}

func page(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en")
	return do(t, c, req)
}

func TestAPIStatus(t *testing.T) {
	p := newPhone().day()
	srv := serve(t, p)
	code, body := call(t, "GET", srv.URL+"/api/v1/status", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	for _, key := range []string{"device", "lanes", "waiting", "nothing_lost", "link", "last_contact", "disk_free", "findings"} {
		if v, ok := got[key]; !ok || v == nil {
			t.Errorf("%s is missing in %s", key, body)
		}
	}
	lane := got["lanes"].([]any)[0].(map[string]any)
	for _, key := range []string{"incarnation", "lane", "last", "received", "archived", "head"} {
		if _, ok := lane[key]; !ok {
			t.Errorf("lanes: %s is missing in %s", key, body)
		}
	}
	p.broken = errors.New("store closed")
	if code, body := call(t, "GET", srv.URL+"/api/v1/status", ""); code != 500 || !strings.Contains(body, `"code":"internal"`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestAPILog(t *testing.T) {
	srv := serve(t, newPhone().day())
	var seen []string
	next := ""
	for range 10 {
		_, body := call(t, "GET", srv.URL+"/api/v1/log?limit=4&after="+next, "")
		var a struct {
			Entries []web.EntryRow
			Next    string
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		for _, e := range a.Entries {
			seen = append(seen, e.Dot.String())
		}
		if next = a.Next; next == "" {
			break
		}
	}
	if len(seen) != 6 || seen[0] != "D-101/1/alert/1" || seen[5] != "D-101/1/record/1" {
		t.Errorf("page by page: %v", seen)
	}
	if _, body := call(t, "GET", srv.URL+"/api/v1/log?lane=alert", ""); strings.Count(body, `"dot"`) != 1 {
		t.Errorf("one lane: %s", body)
	}
	for _, q := range []string{"after=x", "lane=blue", "limit=0", "limit=1001", "limit=many"} {
		if code, body := call(t, "GET", srv.URL+"/api/v1/log?"+q, ""); code != 400 || !strings.Contains(body, "bad_query") {
			t.Errorf("%s: %d %s", q, code, body)
		}
	}
}

func TestAPIPut(t *testing.T) {
	p := newPhone()
	srv := serve(t, p)
	code, body := call(t, "POST", srv.URL+"/api/v1/put?form=visit&entity=H-NB-07&user=U01&at=2025-09-18T09:12:00%2B08:00", "{\"a\":1}\n{\n{\"b\":2}\n")
	got := lines(body)
	begins(t, "answers", got, []string{`{"line":1,"dot":"`, `{"line":2,"error":{"code":"bad_json"`, `{"line":3,"dot":"`})
	if code != 200 || p.puts[0].Entity != "H-NB-07" || p.puts[0].At.IsZero() {
		t.Errorf("%d, %+v", code, p.puts[0])
	}
	if code, body := call(t, "POST", srv.URL+"/api/v1/put?at=noon", "{}"); code != 400 || !strings.Contains(body, "bad_time") {
		t.Errorf("%d %s", code, body)
	}
	_, body = call(t, "POST", srv.URL+"/api/v1/put?form=broken_store", "{}")
	begins(t, "a store that fails", lines(body), []string{`{"error":{"code":"internal"`})
}

// Answers come back while the stream of lines is still open.
func TestAPIPutStreams(t *testing.T) {
	srv := serve(t, newPhone())
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/api/v1/put?form=visit", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	go func() { _, _ = io.WriteString(w, "{\"a\":1}\n") }()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 4096)
	n, err := res.Body.Read(buf)
	if err != nil || !bytes.HasPrefix(buf[:n], []byte(`{"line":1,`)) {
		t.Fatalf("%q %v", buf[:n], err)
	}
	_, _ = io.WriteString(w, "{\"b\":1}\n")
	w.Close()
	rest, err := io.ReadAll(res.Body)
	if err != nil || !bytes.HasPrefix(rest, []byte(`{"line":2,`)) {
		t.Fatalf("%q %v", rest, err)
	}
}

func TestAPISync(t *testing.T) {
	p := newPhone()
	srv := serve(t, p)
	if code, body := call(t, "POST", srv.URL+"/api/v1/sync", ""); code != 200 || strings.TrimSpace(body) != `{"sent":3,"received":3,"pulled":1,"remaining":0}` {
		t.Errorf("%d %s", code, body)
	}
	p.syncErr = &web.Refusal{Code: "unreachable", What: "no signal", Do: "try again on the next hill"}
	if code, body := call(t, "POST", srv.URL+"/api/v1/sync", ""); code != 409 || !strings.Contains(body, `"code":"unreachable"`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestReadingChangesNothing(t *testing.T) {
	p := newPhone().day()
	srv := serve(t, p)
	c := reader(t, srv)
	before := len(p.rows)
	for _, path := range []string{"/sync", "/lang?lang=mn", "/api/v1/put?form=visit", "/api/v1/sync", "/", "/?after=D-101/1/record/3", "/?after=junk"} {
		if code, body := page(t, c, srv.URL+path); code == 200 && path != "/" && path[1] != '?' {
			t.Errorf("GET %s: %d %.80s", path, code, body)
		}
	}
	if len(p.rows) != before || p.syncs != 0 {
		t.Errorf("reading changed something: %d entries, %d contacts", len(p.rows)-before, p.syncs)
	}
	if _, body := page(t, c, srv.URL+"/"); !strings.Contains(body, `lang="en"`) {
		t.Error("GET /lang switched the language")
	}
	if code, body := page(t, http.DefaultClient, srv.URL+"/"); code != 403 || strings.Contains(body, "H-NB-07") {
		t.Errorf("without a cookie: %d", code)
	}
	if code, _ := call(t, "GET", srv.URL+"/api/v1/nothing", ""); code != 404 {
		t.Errorf("an unknown address: %d", code)
	}
}

func TestStrip(t *testing.T) {
	at := noon.Add(-3*time.Hour - 53*time.Minute)
	for _, c := range []struct {
		name     string
		change   func(*phone)
		lang     string
		want     []string
		mustNot  []string
		severity string
	}{
		{"waiting zh", func(p *phone) {}, "zh", []string{"3 条待发", "上次 09:12", "没有丢失"}, nil, "wait"},
		{"waiting en", func(p *phone) {}, "en", []string{"3 waiting", "last sync 09:12", "nothing lost"}, nil, "wait"},
		{"offline zh", func(p *phone) { p.state = web.Offline }, "zh", []string{"没信号，已存手机", "3 条待发", "没有丢失"}, nil, "off"},
		{"offline en", func(p *phone) { p.state = web.Offline }, "en", []string{"No signal, saved on this phone"}, nil, "off"},
		{"hub away", func(p *phone) { p.state, p.link.Doing = web.Offline, web.HubAway }, "en", []string{"The hub does not answer, saved on this phone", "There is a network"}, []string{"No signal"}, "off"},
		{"hub away zh", func(p *phone) { p.state, p.link.Doing = web.Offline, web.HubAway }, "zh", []string{"中心没有应答，已存手机"}, []string{"没信号"}, "off"},
		{"sending", func(p *phone) { p.link = web.Link{Doing: web.Sending, Done: 4, Of: 9} }, "en", []string{"Connected, 4 of 9 sent"}, nil, "wait"},
		{"sending mn", func(p *phone) { p.link = web.Link{Doing: web.Sending, Done: 4, Of: 9} }, "mn", []string{"Холбогдсон, 9-аас 4 илгээсэн"}, nil, "wait"},
		{"budget", func(p *phone) { p.link = web.Link{Doing: web.DaySpent, Today: 5 << 20} }, "en", []string{"the rest goes tomorrow, alerts still go", "Over the link today: 5.0 MB"}, nil, "wait"},
		{"budget zh", func(p *phone) { p.link.Doing = web.ContactSpent }, "zh", []string{"其余下次发，紧急的照发"}, nil, "wait"},
		{"revoked", func(p *phone) { p.state, p.link.Code = web.Refused, "revoked" }, "zh", []string{"本机已被停用：请交到办公室"}, nil, "danger"},
		{"refused otherwise", func(p *phone) { p.state, p.link.Code = web.Refused, "something_new" }, "en", []string{"The hub does not accept this phone: ask the office"}, nil, "danger"},
		{"clock", func(p *phone) { p.link.ClockOff = -3 * 3600 }, "en", []string{"clock is 3 hours off"}, nil, "wait"},
		{"clock zh", func(p *phone) { p.link.ClockOff = 400 }, "zh", []string{"手机时间差 6 分钟"}, nil, "wait"},
		{"checking", func(p *phone) { p.check = web.Check{Done: 2048, Total: 100_000} }, "en", []string{"Checking the entries on this phone"}, []string{"was checked"}, "wait"},
		{"checked", func(p *phone) { p.check.Complete = true }, "en", []string{"Every entry on this phone was checked"}, nil, "wait"},
		{"all there", func(p *phone) { p.receive(6, at) }, "en", []string{"all at the hub", "nothing lost"}, []string{"0 waiting"}, "ok"},
		{"something lost", func(p *phone) { p.lost = true }, "en", []string{"need a check"}, []string{"nothing lost", "没有丢失"}, "danger"},
		{"something lost zh", func(p *phone) { p.lost = true; p.state = web.Offline }, "zh", []string{"需要检查"}, []string{"没有丢失"}, "danger"},
		{"something lost mn", func(p *phone) { p.lost = true }, "mn", []string{"шалгах"}, []string{"алдагдаагүй"}, "danger"},
		{"full", func(p *phone) {
			p.findings = []web.Finding{{Code: "disk_full", What: "the phone is full", Do: "delete photos"}}
		}, "en", []string{"the phone is full", "What to do: delete photos", "nothing lost"}, nil, "danger"},
		{"unreadable", func(p *phone) { p.broken = errors.New("store closed") }, "en", []string{"cannot be read", "store closed"}, []string{"nothing lost"}, "danger"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPhone().day()
			c.change(p)
			cfg := config(p)
			cfg.DefaultLang = c.lang
			srv := httptest.NewServer(web.New(cfg))
			defer srv.Close()
			jar, _ := cookiejar.New(nil) // never fails without options
			c2 := &http.Client{Jar: jar}
			_, body := page(t, c2, webui.EnterURL(srv.URL, "secret"))
			_, more := page(t, c2, srv.URL+"/settings")
			body += more
			for _, w := range c.want {
				if !strings.Contains(body, w) {
					t.Errorf("the page does not say %q", w)
				}
			}
			for _, w := range c.mustNot {
				if strings.Contains(body, w) {
					t.Errorf("the page says %q", w)
				}
			}
			if !strings.Contains(body, `class="strip `+c.severity+`"`) {
				t.Errorf("the strip is not %q", c.severity)
			}
		})
	}
}

func TestCatalogue(t *testing.T) {
	all, err := webui.LoadCatalogues(dirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	webuitest.CheckKeys(t, ".", all, slices.DeleteFunc(own(all), onPage))
	for _, s := range []web.LinkState{web.Online, web.Offline, web.Connecting, web.Unenrolled, web.Refused} {
		if !all.Words("en").Has("link." + string(s)) {
			t.Errorf("link state %s has no words", s)
		}
	}
	for _, d := range []web.Doing{web.NoSignal, web.HubAway, web.Connects, web.Connected, web.Sending, web.DaySpent, web.ContactSpent} {
		if !all.Words("en").Has("doing." + string(d)) {
			t.Errorf("what the link does, %s, has no words", d)
		}
	}
	for _, l := range dot.Lanes() {
		if !all.Words("en").Has("lane." + l.String()) {
			t.Errorf("lane %s has no words", l)
		}
	}
	for _, s := range []web.State{web.Saved, web.Custody, web.Received, web.Archived} {
		if !all.Words("en").Has("state." + string(s)) {
			t.Errorf("entry state %s has no words", s)
		}
	}
}

// onPage reports whether a key belongs to the form page's own program.
func onPage(key string) bool { return strings.HasPrefix(key, "visit.") }

// The form page's program says nothing that no catalogue has, and the
// catalogues hold nothing that it does not say.
func TestVisitCatalogue(t *testing.T) {
	all, err := webui.LoadCatalogues(dirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{"visit.loading": true, "visit.noscript": true}
	use := regexp.MustCompile(`words\.t\(([^)]*)\)`)
	word := regexp.MustCompile("['`]([a-z][a-z.]*)['`$]")
	compared := regexp.MustCompile(`=== '[^']*'`) // what is asked, not said
	src := dirFS("../../internal/webui/src")
	files, err := fs.Glob(src, "ui/*.jsx")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	var code strings.Builder
	for _, f := range files {
		b, err := fs.ReadFile(src, f)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
		for _, m := range use.FindAllStringSubmatch(string(b), -1) {
			for _, w := range word.FindAllStringSubmatch(compared.ReplaceAllString(m[1], ""), -1) {
				key := "visit." + w[1]
				said[key] = true
				if !strings.HasSuffix(key, ".") && !all.Words("en").Has(key) {
					t.Errorf("%s says %q, which no catalogue has", f, key)
				}
			}
		}
	}
	n := 0
	for _, k := range own(all) {
		if !onPage(k) {
			continue
		}
		n++
		name := strings.TrimPrefix(k, "visit.")
		if !said[k] && !strings.Contains(code.String(), "'"+name+"'") && !keyBegins(code.String(), name) {
			t.Errorf("catalogue key %q is used nowhere", k)
		}
	}
	if n < 50 {
		t.Errorf("%d keys only", n)
	}
}

// keyBegins reports whether the code makes the key of its beginning and a state.
func keyBegins(code, name string) bool {
	first, _, ok := strings.Cut(name, ".")
	return ok && strings.Contains(code, "`"+first+".${")
}
