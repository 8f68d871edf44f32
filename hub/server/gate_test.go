package server_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"otor/hub/access"
	"otor/hub/broker"
	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/runfile"
)

// who says which roles a route answers: v(iewer), r(econciler), d(ispatcher),
// a(dministrator); o: whoever comes; s: whoever is signed in. It is written by
// hand beside the program's own table: a new route has to be thought of twice.
// W after it: only those whose scopes cover everything.
var who = map[string]string{
	"GET /static/":                   "o",
	"GET /signin":                    "o",
	"POST /signin":                   "o",
	"GET /join":                      "o",
	"POST /join":                     "o",
	"POST /lang":                     "o",
	"POST /signout":                  "s",
	"GET /account":                   "s",
	"POST /account/password":         "s",
	"POST /account/factor":           "s",
	"GET /devices":                   "aW",
	"POST /devices/invite":           "aW",
	"POST /devices/revoke":           "aW",
	"GET /plan":                      "da",
	"POST /plan":                     "da",
	"GET /findings":                  "vrda",
	"GET /findings/confirm":          "vrda",
	"POST /findings/confirm":         "aW",
	"GET /findings/life":             "vrda",
	"POST /findings/life":            "aW",
	"GET /plan/clear":                "da",
	"POST /plan/clear":               "da",
	"GET /packs":                     "aW",
	"GET /packs/check":               "aW",
	"POST /packs":                    "aW",
	"POST /packs/check":              "aW",
	"GET /ledger":                    "raW",
	"GET /statements":                "ra",
	"POST /statements":               "ra",
	"POST /statements/verify":        "ra",
	"GET /exports":                   "rda",
	"POST /exports":                  "rda",
	"GET /roster":                    "raW",
	"POST /roster":                   "raW",
	"GET /roster/draft/{id}":         "raW",
	"POST /roster/draft/{id}":        "raW",
	"GET /statements/verify":         "ra",
	"GET /queue/aside":               "vrda",
	"GET /queue/gaps/seal":           "vrda",
	"GET /roster/draft/{id}/import":  "raW",
	"POST /roster/draft/{id}/import": "raW",
	"GET /roster/list/{kind}":        "raW",
	"POST /roster/list/{kind}":       "raW",
	"GET /operators":                 "aW",
	"POST /operators":                "aW",
	"POST /operators/change":         "aW",
	"POST /operators/access":         "aW",
	"POST /operators/token":          "aW",
	"POST /account/tokens":           "s",
	"POST /account/tokens/revoke":    "s",
	"/":                              "s",
	"GET /{$}":                       "vrda",
	"GET /queue":                     "vrda",
	"GET /queue/{id}":                "vrda",
	"POST /queue/{id}/decide":        "ra",
	"POST /queue/gaps/seal":          "ra",
	"POST /queue/aside":              "ra",
	"GET /api/v1/fleet":              "vrda",
	"GET /api/v1/events":             "vrda",
	"GET /route":                     "vrda",
	"GET /photos":                    "vrda",

	"GET /api/v1/office/devices":                      "vrda",
	"GET /api/v1/office/fleet":                        "vrda",
	"GET /api/v1/office/gaps":                         "vrda",
	"GET /api/v1/office/items":                        "vrda",
	"GET /api/v1/office/findings":                     "vrda",
	"GET /api/v1/office/entries":                      "vrda",
	"GET /api/v1/office/photos":                       "vrda",
	"GET /api/v1/office/photos/{photo}":               "vrda",
	"GET /api/v1/office/unattributed":                 "raW",
	"GET /api/v1/office/ledger":                       "raW",
	"GET /api/v1/office/ledger/check":                 "raW",
	"POST /api/v1/office/items/{id}/decide":           "ra",
	"POST /api/v1/office/gaps/seal":                   "ra",
	"POST /api/v1/office/aside":                       "ra",
	"POST /api/v1/office/statements":                  "ra",
	"POST /api/v1/office/exports":                     "rda",
	"GET /api/v1/office/rosters":                      "raW",
	"GET /api/v1/office/rosters/{kind}":               "raW",
	"POST /api/v1/office/rosters/{kind}":              "raW",
	"POST /api/v1/office/rosters/{kind}/decide":       "raW",
	"POST /api/v1/office/devices":                     "aW",
	"POST /api/v1/office/devices/{device}/revoke":     "aW",
	"POST /api/v1/office/devices/{device}/scopes":     "aW",
	"POST /api/v1/office/devices/life":                "aW",
	"POST /api/v1/office/confirm":                     "aW",
	"POST /api/v1/office/devices/{device}/plan":       "da",
	"POST /api/v1/office/devices/{device}/plan/clear": "da",
	"POST /api/v1/office/backup":                      "aW",
	"POST /api/v1/office/photos/check":                "aW",
	"GET /api/v1/office/packs":                        "vrda",
	"POST /api/v1/office/packs":                       "aW",
	"POST /api/v1/office/packs/check":                 "aW",
	"GET /api/v1/office/operators":                    "aW",
	"POST /api/v1/office/operators":                   "aW",
	"POST /api/v1/office/operators/{name}/disable":    "aW",
	"POST /api/v1/office/operators/{name}/enable":     "aW",
	"POST /api/v1/office/operators/{name}/reset":      "aW",
}

// town is a hub with two gachas, of each a household, a device with a gap and a conflict.
func town(t *testing.T) (*server.Server, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := server.Open(t.Context(), packed(t, filepath.Join(dir, "hub"), filepath.Join(dir, "journal")))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	})
	for i, g := range []string{"aa", "bb"} {
		up := strings.ToUpper(g)
		home := entry.Ref{Type: "household", ID: "H-" + up}
		edit := func(set map[string]any, seen map[entry.Ref][]byte) {
			_, err := s.Author().Add(t.Context(), ingest.Note{Form: "household_edit", Entity: home, Actor: "U-" + up, Fields: map[string]any{"set": set}, Displayed: seen})
			check(t, err)
		}
		check(t, s.Author().Import(t.Context(), "U-"+up, []ingest.Fixture{{Ref: home, Fields: map[string]any{"gacha": g, "phone": "13904830000"}}}))
		e, err := s.Store().Entity(t.Context(), home)
		check(t, err)
		if !slices.Contains(e.Scopes, "gacha:"+g) {
			t.Fatalf("%s is in %v", home, e.Scopes)
		}
		for n := range 2 {
			edit(map[string]any{"phone": fmt.Sprintf("1390483%02d%02d", 10*(i+1), n)}, map[entry.Ref][]byte{home: e.State})
		}
		x := enrol(t, s, dot.Device("D-"+up), 3, time.Now().UnixMilli())
		_, err = s.Office().Regrant(t.Context(), x.chain.Device, []string{"gacha:" + g}, nil)
		check(t, err)
		s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 1), x.delivery(t, 3, 3)})
	}
	return s, filepath.Join(dir, "hub")
}

// browser is one that keeps cookies and follows nothing.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil) // never fails without options
	return &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func send(t *testing.T, c *http.Client, method, address, body string, form bool) (status int, text, location string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	check(t, err)
	if form {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.Do(req)
	check(t, err)
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("Content-Type") == "text/event-stream; charset=utf-8" {
		return resp.StatusCode, "", "" // it does not end
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	check(t, err)
	return resp.StatusCode, string(b), resp.Header.Get("Location")
}

const password = "grass wind horse river"

// joined adds an operator, lets them in by their link, and gives their browser.
func joined(t *testing.T, s *server.Server, name, role string, scopes ...string) *http.Client {
	t.Helper()
	l, err := s.Office().AddOperator(t.Context(), server.NewOperator{Name: name, Title: "T " + name, Role: role, Scopes: scopes})
	check(t, err)
	u, err := url.Parse(l.Link)
	check(t, err)
	c := browser(t)
	status, body, to := send(t, c, "POST", "http://"+s.HTTPAddr()+"/join", url.Values{"k": {u.Query().Get("k")}, "password": {password}, "again": {password}}.Encode(), true)
	if status != http.StatusSeeOther || to != "/" {
		t.Fatalf("%s joins: %d %s", name, status, body)
	}
	return c
}

// filled is a request for a route.
func filled(pattern, other string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "GET", "/nowhere"
	}
	return method, strings.NewReplacer("{$}", "", "{id}", other, "{device}", "D-404", "{name}", "nobody", "{kind}", "pension_list", "{photo}", strings.Repeat("0", 64), "{dot}", "D-BB/1/record/1").Replace(path)
}

// Nobody does or sees more than their own, on any route.
func TestRoutes(t *testing.T) {
	s, _ := town(t)
	acts := maps.Clone(server.OfficeActs())
	maps.Copy(acts, s.SiteActs())
	for pattern := range acts {
		if who[pattern] == "" {
			t.Errorf("route %s is not in this test's table", pattern)
		}
	}
	for pattern := range who {
		if acts[pattern] == "" {
			t.Errorf("route %s is gone", pattern)
		}
	}
	base := "http://" + s.HTTPAddr()
	visitors := map[string]*http.Client{"": browser(t)}
	for _, role := range access.Roles {
		visitors[string(role)+" *"] = joined(t, s, string(role)+"-all", string(role), "*")
		if role != access.Administrator {
			visitors[string(role)+" gacha:aa"] = joined(t, s, string(role)+"-aa", string(role), "gacha:aa")
		}
	}
	routes := slices.SortedFunc(maps.Keys(acts), func(a, b string) int {
		// Signing out comes last.
		if out := "POST /signout"; a == out || b == out {
			return map[bool]int{true: 1, false: -1}[a == out]
		}
		return strings.Compare(a, b)
	})
	// The number of the other gacha's conflict.
	other := ""
	items, err := s.Office().Items(t.Context(), false)
	check(t, err)
	for _, it := range items {
		if it.Entity == "household/H-BB" {
			other = strconv.FormatInt(it.ID, 10)
		}
	}
	shown := make(map[string]bool)
	for _, v := range slices.Sorted(maps.Keys(visitors)) {
		role, scope, _ := strings.Cut(v, " ")
		for _, pattern := range routes {
			method, path := filled(pattern, other)
			status, body, to := send(t, visitors[v], method, base+path, "x", method == "POST" && !strings.Contains(path, "/api/"))
			may := who[pattern] == "o" || role != "" && (who[pattern] == "s" ||
				strings.Contains(who[pattern], role[:1]) && (scope == "*" || !strings.Contains(who[pattern], "W")))
			stopped := status == http.StatusUnauthorized || status == http.StatusForbidden && who[pattern] != "o" && who[pattern] != "s" || status == http.StatusSeeOther && strings.HasPrefix(to, "/signin") && pattern != "POST /signout"
			if role == "" && pattern == "POST /signout" {
				stopped = status == http.StatusSeeOther
			}
			if stopped == may {
				t.Errorf("%q %s: %d %s, may: %t: %.200s", v, pattern, status, to, may, body)
			}
			for _, foreign := range []string{"H-BB", "D-BB", "U-BB", "139048320"} {
				if !strings.Contains(body, foreign) {
					continue
				}
				if scope != "*" {
					t.Errorf("%q sees %s on %s", v, foreign, pattern)
				}
				shown[pattern] = true
			}
		}
	}
	// The control: what must not be seen is there to be seen.
	for _, pattern := range []string{"GET /{$}", "GET /queue", "GET /queue/{id}", "GET /devices", "GET /ledger", "GET /api/v1/fleet"} {
		if !shown[pattern] {
			t.Errorf("nobody saw the other gacha on %s", pattern)
		}
	}
	for _, list := range []string{"devices", "fleet", "gaps", "items", "entries", "ledger"} {
		if !shown["GET /api/v1/office/"+list] {
			t.Errorf("nobody saw the other gacha in %s", list)
		}
	}
}

// What is one's own is there, and acts on what is not one's own are refused as
// if it did not exist.
func TestScopes(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr() + "/api/v1/office/"
	c := joined(t, s, "rita", "reconciler", "gacha:aa")
	_, items, _ := send(t, c, "GET", base+"items", "", false)
	if !strings.Contains(items, "H-AA") || strings.Contains(items, "H-BB") {
		t.Errorf("items: %s", items)
	}
	all, err := s.Office().Items(t.Context(), false)
	check(t, err)
	for _, it := range all {
		ours := it.Entity == "household/H-AA"
		_, body, _ := send(t, c, "POST", fmt.Sprintf("%sitems/%d/decide", base, it.ID), `{"choice":"A","reason":"why"}`, false)
		if code := `"item_changed"`; strings.Contains(body, code) != ours {
			t.Errorf("decide %s: %s", it.Entity, body)
		}
	}
	for device, code := range map[string]string{"D-AA": "", "D-BB": "no_gap"} {
		_, body, _ := send(t, c, "POST", base+"gaps/seal", `{"device":"`+device+`","incarnation":1,"lane":"record","first":2,"last":2,"reason":"it drowned"}`, false)
		if strings.Contains(body, `"error"`) != (code != "") || !strings.Contains(body, code) {
			t.Errorf("seal %s: %s", device, body)
		}
	}
	for device, ok := range map[string]bool{"D-AA": true, "D-BB": false} {
		_, body, _ := send(t, c, "POST", base+"statements", `{"subject":"device","name":"`+device+`","from":"2020-01-01T00:00:00Z","until":"2020-02-01T00:00:00Z"}`, false)
		if strings.Contains(body, "not_allowed") == ok {
			t.Errorf("statement of %s: %.300s", device, body)
		}
	}
	// The ledger names who did it.
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "sealed"}, false) {
		check(t, err)
		if f.By != "rita" {
			t.Errorf("sealed by %q", f.By)
		}
	}
}

// A route that nobody thought of is for nobody but the owner of the folder, and is found.
func TestARouteWithoutAnAct(t *testing.T) {
	s, dir := town(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/office/secret", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "told") })
	srv := httptest.NewServer(s.Guarded(mux, server.OfficeActs()))
	defer srv.Close()
	admin := joined(t, s, "boss", "administrator", "*")
	// The cookie goes by the port: give it to the other server as well.
	hubURL, err := url.Parse("http://" + s.HTTPAddr())
	check(t, err)
	there, err := url.Parse(srv.URL)
	check(t, err)
	for _, c := range admin.Jar.Cookies(hubURL) {
		c.Name = strings.Replace(c.Name, hubURL.Port(), there.Port(), 1)
		admin.Jar.SetCookies(there, []*http.Cookie{c})
	}
	if status, body, _ := send(t, admin, "GET", srv.URL+"/api/v1/office/secret", "", false); status != http.StatusForbidden || strings.Contains(body, "told") {
		t.Errorf("an administrator: %d %s", status, body)
	}
	token, err := runfile.Token(dir)
	check(t, err)
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/office/secret", nil)
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	check(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the owner: %s", resp.Status)
	}

	src, err := filepath.Glob("*.go")
	check(t, err)
	for _, name := range src {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		check(t, err)
		for _, r := range unnamed(string(b)) {
			t.Errorf("%s: the route %s has no act in officeActs", name, r)
		}
	}
	if got := unnamed("\tmux.HandleFunc(\"POST \"+officePath+\"secret/{id}\", f)\n\tget(\"hidden\", f)\n\tpost(\"gaps/seal\", f)"); len(got) != 2 {
		t.Errorf("control: found %q", got)
	}
}

var (
	longRoute  = regexp.MustCompile(`"(GET|POST|PUT|DELETE|PATCH) "\s*\+\s*officePath\s*\+\s*"([^"]+)"`)
	shortRoute = regexp.MustCompile(`(?m)^\s*(get|post)\("([a-z/{}]+)",`)
)

// unnamed lists the office's routes in a source that have no act.
func unnamed(source string) (out []string) {
	found := longRoute.FindAllStringSubmatch(source, -1)
	found = append(found, shortRoute.FindAllStringSubmatch(source, -1)...)
	for _, m := range found {
		pattern := strings.ToUpper(m[1]) + " /api/v1/office/" + m[2]
		if server.OfficeActs()[pattern] == "" {
			out = append(out, pattern)
		}
	}
	return out
}
