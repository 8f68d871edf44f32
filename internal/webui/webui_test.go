package webui_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

const secret, token = "launch-secret", "program-token"

// site serves pages that count what reached them.
type site struct {
	*httptest.Server
	reached int
}

func newSite(t *testing.T, hosts ...string) *site {
	t.Helper()
	s := &site{}
	g := &webui.Guard{Secret: secret, Token: token, Hosts: hosts}
	s.Server = httptest.NewServer(g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reached++
		_, _ = io.WriteString(w, "inside")
	})))
	t.Cleanup(s.Close)
	return s
}

// ask sends a request with header pairs; "Host" sets the host.
func ask(t *testing.T, c *http.Client, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// visitor returns a client that keeps cookies and does not follow redirects.
func visitor(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestGuardHosts(t *testing.T) {
	s := newSite(t, "sumu.example", "other.example:9000")
	c := visitor(t)
	entered, _ := ask(t, c, "GET", s.URL+"/enter?k="+secret)
	if entered.StatusCode != http.StatusSeeOther {
		t.Fatalf("enter: %s", entered.Status)
	}
	cookie, _, _ := strings.Cut(entered.Header.Get("Set-Cookie"), ";")
	port := s.URL[strings.LastIndex(s.URL, ":")+1:]
	for host, want := range map[string]int{
		"127.0.0.1:" + port:      200,
		"localhost:" + port:      200,
		"LOCALHOST:" + port:      200,
		"[::1]:" + port:          200,
		"sumu.example":           200,
		"sumu.example:" + port:   200,
		"other.example:9000":     200,
		"127.0.0.1":              421,
		"127.0.0.1:1":            421,
		"127.0.0.2:" + port:      421,
		"localhost.:" + port:     421,
		"rebind.example":         421,
		"rebind.example:" + port: 421,
		"sumu.example:1":         421,
		"other.example":          421,
		"sumu.example.evil":      421,
	} {
		res, body := ask(t, c, "GET", s.URL+"/", "Host", host, "Cookie", cookie)
		if res.StatusCode != want {
			t.Errorf("host %q: %d, want %d", host, res.StatusCode, want)
		}
		if want == 421 && strings.Contains(body, "inside") {
			t.Errorf("host %q: the page was shown", host)
		}
	}
	// Neither the secret nor the token opens anything under a foreign name.
	for _, path := range []string{"/enter?k=" + secret, "/api/v1/status", "/static/x"} {
		if res, _ := ask(t, c, "GET", s.URL+path, "Host", "rebind.example:"+port, "Cookie", cookie, "Authorization", "Bearer "+token); res.StatusCode != 421 {
			t.Errorf("%s under a foreign host: %s", path, res.Status)
		}
	}
}

func TestGuardCookie(t *testing.T) {
	s := newSite(t)
	c := visitor(t)
	for _, path := range []string{"/", "/api/v1/status", "/enter", "/enter?k=", "/enter?k=wrong"} {
		res, body := ask(t, c, "GET", s.URL+path)
		if res.StatusCode != http.StatusForbidden || s.reached != 0 {
			t.Errorf("%s without a cookie: %s, reached %d", path, res.Status, s.reached)
		}
		if !strings.HasPrefix(path, "/api/") && !strings.Contains(body, "/enter?k=…") {
			t.Errorf("%s: the page does not say what to do:\n%s", path, body)
		}
		if strings.HasPrefix(path, "/api/") && !strings.Contains(body, `"code":"not_signed_in"`) {
			t.Errorf("%s: %s", path, body)
		}
	}
	res, _ := ask(t, c, "GET", s.URL+"/enter?k="+secret)
	cookie := res.Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, secret) || res.Header.Get("Location") != "/" {
		t.Errorf("enter: cookie %q, location %q", cookie, res.Header.Get("Location"))
	}
	res, body := ask(t, c, "GET", s.URL+"/")
	if res.StatusCode != 200 || body != "inside" {
		t.Errorf("with the cookie: %s %q", res.Status, body)
	}
	for h, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
	} {
		if got := res.Header.Get(h); got != want {
			t.Errorf("%s: %q, want %q", h, got, want)
		}
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP: %q", csp)
	}
	// Another launch does not honour it.
	other := httptest.NewServer((&webui.Guard{Secret: "another"}).Wrap(http.NotFoundHandler()))
	defer other.Close()
	name, _, _ := strings.Cut(cookie, ";")
	_, value, _ := strings.Cut(name, "=")
	port := other.URL[strings.LastIndex(other.URL, ":")+1:]
	if res, _ := ask(t, visitor(t), "GET", other.URL+"/", "Cookie", "otor-"+port+"="+value); res.StatusCode != 403 {
		t.Errorf("a cookie of an earlier launch: %s", res.Status)
	}
}

func TestGuardEnterFromAnotherSite(t *testing.T) {
	s := newSite(t)
	res, body := ask(t, visitor(t), "GET", s.URL+"/enter?k="+secret, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	if res.StatusCode != 200 || !strings.Contains(body, `http-equiv="refresh"`) || strings.Contains(body, secret) {
		t.Errorf("enter from another site: %s\n%s", res.Status, body)
	}
}

func TestGuardOrigin(t *testing.T) {
	s := newSite(t)
	c := visitor(t)
	ask(t, c, "GET", s.URL+"/enter?k="+secret)
	for _, h := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "http://evil.example"},
		{"Origin", "null"},
	} {
		if res, _ := ask(t, c, "POST", s.URL+"/sync", h...); res.StatusCode != 403 || s.reached != 0 {
			t.Errorf("POST with %v: %s, reached %d", h, res.Status, s.reached)
		}
	}
	if res, _ := ask(t, c, "GET", s.URL+"/", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"); res.StatusCode != 403 {
		t.Errorf("embedded by another page: %s", res.Status)
	}
	if res, _ := ask(t, c, "GET", s.URL+"/", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"); res.StatusCode != 200 {
		t.Errorf("followed as a link: %s", res.Status)
	}
	if res, _ := ask(t, c, "POST", s.URL+"/sync", "Sec-Fetch-Site", "same-origin", "Origin", s.URL); res.StatusCode != 200 {
		t.Errorf("POST of the page itself: %s", res.Status)
	}
}

func TestGuardToken(t *testing.T) {
	s := newSite(t)
	c := visitor(t)
	for auth, want := range map[string]int{
		"Bearer " + token: 200, "bearer " + token: 200,
		"Bearer wrong": 401, "Bearer ": 401, "Basic " + token: 401, token: 401,
	} {
		if res, _ := ask(t, c, "POST", s.URL+"/api/v1/put", "Authorization", auth); res.StatusCode != want {
			t.Errorf("%q: %d, want %d", auth, res.StatusCode, want)
		}
	}
	if res, _ := ask(t, c, "GET", s.URL+"/", "Authorization", "Bearer "+token); res.StatusCode != 403 {
		t.Errorf("the token opened a page: %s", res.Status)
	}
	empty := httptest.NewServer((&webui.Guard{}).Wrap(http.NotFoundHandler()))
	defer empty.Close()
	if res, _ := ask(t, c, "GET", empty.URL+"/api/x", "Authorization", "Bearer "); res.StatusCode != 401 {
		t.Errorf("an empty token matched: %s", res.Status)
	}
	if res, _ := ask(t, c, "GET", empty.URL+"/enter?k="); res.StatusCode != 403 {
		t.Errorf("an empty secret matched: %s", res.Status)
	}
}

func TestCatalogues(t *testing.T) {
	var own, told []string // told: by packs
	for _, k := range webui.Shared().Keys() {
		if strings.HasPrefix(k, "say.") || strings.HasPrefix(k, "unit.") {
			told = append(told, k)
		} else {
			own = append(own, k)
		}
	}
	webuitest.CheckKeys(t, ".", webui.Shared(), own)
	webuitest.CheckKeys(t, "../pack", webui.Shared(), told)
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	bad := fstest.MapFS{
		"text/zh.toml": file("[text]\n\"a\" = \"{n} x\"\n\"skip\" = \"x\"\n\"p\" = \"x\""),
		"text/mn.toml": file("[text]\n\"a\" = \"y\"\n\"p\" = \"x\""),
		"text/en.toml": file("[text]\n\"a\" = \"{n} z\"\n\"b\" = \"only here\"\n\"p\" = { one = \"x\" }"),
	}
	_, err := webui.LoadCatalogues(bad)
	if err == nil {
		t.Fatal("a broken catalogue was taken")
	}
	for _, want := range []string{`mn: "a" takes []`, `zh: "b" is missing`, `mn: "b" is missing`, `"skip": stands twice`, `en.toml, "p": a plural needs`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestWords(t *testing.T) {
	now := time.Date(2025, 9, 18, 13, 5, 0, 0, time.FixedZone("", 8*3600))
	for _, c := range []struct {
		lang string
		t    time.Time
		want string
	}{
		{"en", now.Add(-time.Second), "13:04 just now"},
		{"en", now.Add(-3 * time.Hour).UTC(), "10:05 3 h ago"},
		{"zh", now.Add(-47 * time.Minute), "12:18 47 分钟前"},
		{"en", now.Add(-26 * time.Hour), "17 Sep 11:05 26 h ago"},
		{"zh", now.AddDate(0, 0, -3), "9月15日 13:05 3 天前"},
		{"mn", now.AddDate(-1, 0, 0), "2024 оны 9-р сарын 18 13:05 365 өдөр өмнө"},
		{"en", now.Add(2 * time.Hour), "15:05 2 h ahead of this clock"},
		{"en", now.Add(-130 * time.Minute), "10:55 2 h 10 min ago"},
	} {
		w := webui.Shared().Words(c.lang)
		if got := w.Clock(now, c.t) + " " + w.Ago(now, c.t); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.lang, c.t, got, c.want)
		}
	}
	en := webui.Shared().Words("en")
	for n, want := range map[int]string{1: "1 day", 2: "2 days", 1234: "1,234 days", 0: "0 days"} {
		if got := en.T("time.days", "n", n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := en.T("no.such"); got != "[no.such]" {
		t.Errorf("unknown key: %q", got)
	}
}

func TestPickAndSwitchLanguage(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", "mn-MN, en;q=0.5")
	if got := webui.Shared().Pick(r, "").Lang; got != "mn" {
		t.Errorf("by the browser: %s", got)
	}
	if got := webui.Shared().Pick(r, "zh").Lang; got != "zh" {
		t.Errorf("by the settings: %s", got)
	}
	for back, want := range map[string]string{"/?after=x": "/?after=x", "//evil.example": "/", "https://evil.example": "/", "/\\evil": "/", "": "/"} {
		post := httptest.NewRequest("POST", "/lang", strings.NewReader("lang=en&back="+back))
		post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		webui.SwitchLang(rec, post)
		if got := rec.Header().Get("Location"); got != want {
			t.Errorf("back to %q: %q", back, got)
		}
		r.Header.Set("Cookie", strings.Split(rec.Header().Get("Set-Cookie"), ";")[0])
		if got := webui.Shared().Pick(r, "zh").Lang; got != "en" {
			t.Errorf("by the switch: %s", got)
		}
	}
}

func TestBell(t *testing.T) {
	var b webui.Bell
	c, stop := b.Listen()
	for range 100 {
		b.Ring()
	}
	<-c
	select {
	case <-c:
		t.Error("one ring for all that was missed, got two")
	default:
	}
	stop()
	b.Ring()
	select {
	case <-c:
		t.Error("heard after the end")
	default:
	}
}

func TestStream(t *testing.T) {
	var bell webui.Bell
	s := &webui.Stream{Listen: bell.Listen, Most: 1, Beat: 20 * time.Millisecond, Gap: time.Millisecond}
	ctx, stop := context.WithCancel(t.Context())
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = webui.NewServer(ctx, s, slog.New(slog.DiscardHandler))
	srv.Start()
	defer srv.Close()
	res, err := http.Get(srv.URL) //nolint:noctx // it ends with the server's context, which is what is tested
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Errorf("content type %q", got)
	}
	lines := bufio.NewScanner(res.Body)
	until := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", want, lines.Err())
	}
	until("event: refresh")
	until("event: beat")
	bell.Ring()
	until("event: refresh")
	if second, _ := ask(t, visitor(t), "GET", srv.URL); second.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one stream too many: %s", second.Status)
	}
	stop() // the server goes down: the stream ends with it
	for lines.Scan() {
	}
}

func TestAssets(t *testing.T) {
	a := webui.NewAssets().Add("x.css", []byte("a{}"), []byte("b{}"))
	url := a.URL("x.css")
	if b := webui.NewAssets().Add("x.css", []byte("a{}")); b.URL("x.css") == url {
		t.Error("another content has the same address")
	}
	for _, u := range append(a.URLs(), "/static/x.css", "/static/../go.mod") {
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, httptest.NewRequest("GET", u, nil))
		known := u != "/static/x.css" && u != "/static/../go.mod"
		if (rec.Code == 200) != known {
			t.Errorf("%s: %d", u, rec.Code)
		}
		if known && !strings.Contains(rec.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s may not be kept: %q", u, rec.Header().Get("Cache-Control"))
		}
	}
}
