package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/hub/console"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

var now = time.Date(2025, 9, 18, 13, 5, 0, 0, time.FixedZone("", 8*3600))

// hub is an account in memory.
type hub struct {
	webui.Bell
	mu    sync.Mutex
	fleet console.Fleet
	err   error
}

func (h *hub) Fleet(context.Context) (console.Fleet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fleet, h.err
}

func (h *hub) Changes() (<-chan struct{}, func()) { return h.Listen() }

func (h *hub) change(f func(*console.Fleet)) {
	h.mu.Lock()
	f(&h.fleet)
	h.mu.Unlock()
	h.Ring()
}

func row(name, team string, declared, received uint64, seen time.Duration, skew time.Duration) console.DeviceRow {
	at := now.Add(-seen)
	return console.DeviceRow{
		Device: dot.Device(name), Team: team, Declared: declared, Received: received, Waiting: declared - received,
		LastSeen: &at, Skew: console.Skew{Ahead: skew, Known: true}, Version: "0.1.0",
		Lanes: []console.LaneRow{{Incarnation: 1, Lane: dot.Record, Declared: dot.Seq(declared), Received: dot.Seq(received), Waiting: declared - received}},
	}
}

// day is the fleet in the middle of the day.
func day() *hub {
	gap := row("D-201", "金色火焰先锋队", 7, 6, 3*time.Minute, 0)
	gap.GapsOpen, gap.Held = 1, 2
	gap.Lanes[0].Received, gap.Lanes[0].Missing, gap.Lanes[0].Held = 4, []lane.Range{lane.Run(5, 5)}, 2
	alert := console.LaneRow{Incarnation: 1, Lane: dot.Alert, Declared: 1, Received: 1}
	fast := row("D-301", "先锋队兽医技术组", 6, 6, 40*time.Second, 47*time.Minute)
	fast.Lanes = append([]console.LaneRow{alert}, fast.Lanes...)
	fast.SetAside = 1
	return &hub{fleet: console.Fleet{AsOf: now, Epoch: "7QZK-2", Unattributed: 1, TransportDuplicates: 4, Devices: []console.DeviceRow{
		row("D-101", "马背服务队", 11, 8, 5*time.Minute, 3*time.Second),
		row("D-102", "马背服务队", 3, 3, 5*time.Hour+15*time.Minute, -11*time.Second),
		gap, fast,
		row("D-401", "红驼驿站保障组", 7, 7, 20*time.Second, 0),
		{Device: "D-402", Team: "红驼驿站保障组"},
	}}}
}

func serve(t *testing.T, h *hub, lang string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(nil)
	site := console.New(console.Config{
		Fleet: h, Clock: func() time.Time { return now }, DefaultLang: lang,
		Visitor: func(context.Context) console.Visitor {
			return console.Visitor{Name: "dorji", Title: "Dorji", Role: "reconciler", Scopes: []string{"*"}, Own: true, May: func(string) bool { return true }}
		},
	})
	guard := &webui.Guard{Secret: "secret", Token: "token", Pages: site.Pages}
	srv.Config = webui.NewServer(ctx, guard.Wrap(site.Mux), slog.New(slog.DiscardHandler))
	srv.Start()
	stop = func() {
		cancel()
		srv.CloseClientConnections()
		srv.Close()
	}
	t.Cleanup(stop)
	return srv.URL, stop
}

func get(t *testing.T, c *http.Client, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
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
	return res.StatusCode, string(b)
}

func visit(t *testing.T, url string) (int, string) {
	t.Helper()
	jar, _ := cookiejar.New(nil) // never fails without options
	return get(t, &http.Client{Jar: jar}, webui.EnterURL(url, "secret"))
}

func TestFleetAPI(t *testing.T) {
	h := day()
	url, _ := serve(t, h, "en")
	if code, body := get(t, http.DefaultClient, url+"/api/v1/fleet"); code != 403 || strings.Contains(body, "D-101") {
		t.Errorf("without a token: %d", code)
	}
	code, body := get(t, http.DefaultClient, url+"/api/v1/fleet", "Authorization", "Bearer token")
	var got struct {
		Epoch   string
		Devices []map[string]any
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || got.Epoch == "" {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	for _, d := range got.Devices {
		for _, key := range []string{"device", "lanes", "declared", "received", "waiting", "gaps", "skew_s", "last_seen"} {
			if _, ok := d[key]; !ok {
				t.Errorf("%v: %s is missing", d["device"], key)
			}
		}
	}
	if got.Devices[3]["skew_s"] != 2820.0 || got.Devices[5]["skew_s"] != nil || got.Devices[5]["last_seen"] != nil {
		t.Errorf("skew %v and %v", got.Devices[3]["skew_s"], got.Devices[5]["skew_s"])
	}
	var back console.Fleet
	if err := json.Unmarshal([]byte(body), &back); err != nil || back.Devices[3].Skew != h.fleet.Devices[3].Skew {
		t.Errorf("read back: %v, %+v", err, back.Devices[3].Skew)
	}
	h.err = errors.New("database locked")
	if code, body := get(t, http.DefaultClient, url+"/api/v1/fleet", "Authorization", "Bearer token"); code != 500 || !strings.Contains(body, "database locked") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := visit(t, url); code != 500 || !strings.Contains(body, "cannot read its account") || !strings.Contains(body, "log says why") || strings.Contains(body, "Complete") || strings.Contains(body, "database locked") {
		t.Errorf("the page of a broken hub: %d\n%s", code, body)
	}
}

func TestFleetPage(t *testing.T) {
	url, _ := serve(t, day(), "en")
	code, body := visit(t, url)
	for _, want := range []string{
		"1 entry missing in a gap · 4 waiting on devices · 2 devices silent", "as of 13:05",
		"<b>{5}</b>", "gap: 1 entry missing", "47 min fast", "11 s slow", "never heard from", "silent: may hold more", "5 h 15 min ago", "07:50", "5 min ago",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%d: the page does not say %q", code, want)
		}
	}
}

// Silence never means fine.
func TestCompleteIsSaidOnlyOfDevicesHeardFrom(t *testing.T) {
	silent := row("D-1", "", 3, 3, 16*time.Minute, 0)
	heard := row("D-2", "", 3, 3, time.Minute, 0)
	for _, c := range []struct {
		name    string
		devices []console.DeviceRow
		fine    bool
	}{
		{"all heard from", []console.DeviceRow{heard}, true},
		{"one silent", []console.DeviceRow{heard, silent}, false},
		{"never seen", []console.DeviceRow{heard, {Device: "D-3"}}, false},
		{"one revoked", []console.DeviceRow{heard, {Device: "D-3", Revoked: true}}, true},
		{"no device", nil, false},
	} {
		h := &hub{fleet: console.Fleet{AsOf: now, Devices: c.devices}}
		url, _ := serve(t, h, "en")
		if _, body := visit(t, url); strings.Contains(body, "Complete:") != c.fine {
			t.Errorf("%s: says complete: %v", c.name, !c.fine)
		}
	}
}

func TestLongGapsAreCut(t *testing.T) {
	d := row("D-1", "", 100, 50, 0, 0)
	d.GapsOpen = 49
	for i := dot.Seq(2); i < 100; i += 2 {
		d.Lanes[0].Missing = append(d.Lanes[0].Missing, lane.Run(i, i))
	}
	url, _ := serve(t, &hub{fleet: console.Fleet{AsOf: now, Devices: []console.DeviceRow{d}}}, "en")
	_, body := visit(t, url)
	// What is read, without the addresses of style sheets, which hold hashes.
	if text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, ""); !strings.Contains(text, "24, …}") || strings.Contains(text, "26") {
		t.Errorf("a torn lane fills the page: %s", text)
	}
}

func TestCatalogue(t *testing.T) {
	all, err := webui.LoadCatalogues(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	shared := webui.Shared().Keys()
	webuitest.CheckKeys(t, ".", all, slices.DeleteFunc(all.Keys(), func(k string) bool { return slices.Contains(shared, k) || strings.HasPrefix(k, "refused.") }))
	for _, code := range []string{"act", "plain", "broken"} { // used by whoever guards the pages, by code
		for _, part := range []string{".what", ".do"} {
			if !all.Words("en").Has("refused." + code + part) {
				t.Errorf("refusal %s has no words", code)
			}
		}
	}
	for _, l := range dot.Lanes() {
		if !all.Words("en").Has("lane." + l.String()) {
			t.Errorf("lane %s has no words", l)
		}
	}
}

// Passwords do not go over a network in the clear.
func TestPasswordsOverTheNetwork(t *testing.T) {
	site := console.New(console.Config{Fleet: day(), Visitor: func(context.Context) console.Visitor { return console.Visitor{} }})
	for from, want := range map[string]int{"192.0.2.7:1": http.StatusSeeOther, "127.0.0.1:1": http.StatusOK, "[::1]:1": http.StatusOK} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/signin", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		site.Mux.ServeHTTP(w, r)
		if w.Code != want || want == http.StatusSeeOther && !strings.HasPrefix(w.Header().Get("Location"), "https://") {
			t.Errorf("from %s: %d %s", from, w.Code, w.Header().Get("Location"))
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/signin", strings.NewReader("name=a&password=b"))
	w := httptest.NewRecorder()
	site.Mux.ServeHTTP(w, r) // httptest comes from 192.0.2.1
	if w.Code != http.StatusUpgradeRequired {
		t.Errorf("a password in the clear: %d", w.Code)
	}
}

func TestFleetInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	rules := webuitest.Rules{MinText: 16, MinTarget: 48, Contrast: 7}
	h := day()
	url, stop := serve(t, h, "zh")
	b.Resize(webuitest.Desk)
	b.Open(webui.EnterURL(url, "secret"))
	b.Await(`document.querySelector("#strip")`)
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		b.Await(fmt.Sprintf(`document.documentElement.lang === %q`, lang))
		for _, size := range webuitest.Sizes {
			b.Resize(size)
			b.Check(rules)
			b.Shot(fmt.Sprintf("hub-fleet-%s-%d", lang, size.Width))
		}
	}

	// On a desk the columns have their names.
	b.Resize(webuitest.Desk)
	b.Await(`[...document.querySelectorAll("thead th")].every((h) => h.getBoundingClientRect().width > 30) && getComputedStyle(document.querySelector("thead")).clipPath === "none"`)

	// The gap fills while the page is open, and what was opened stays open.
	b.Click("#more-D-201 summary")
	webuitest.Eval[bool](b, `window.sameDocument = true`)
	h.change(func(f *console.Fleet) {
		d := &f.Devices[2]
		d.GapsOpen, d.Held, d.Waiting, d.Received = 0, 0, 0, 7
		d.Lanes = []console.LaneRow{{Incarnation: 1, Lane: dot.Record, Declared: 7, Received: 7}}
	})
	b.Await(`!document.querySelector("#fleet").innerText.includes("{5}") && window.sameDocument`)
	b.Await(`document.querySelector("#more-D-201").open`)
	b.Check(rules)
	b.Shot("hub-fleet-en-filled")
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	if got := b.Elsewhere(url); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}

	stop()
	webuitest.Eval[bool](b, `document.dispatchEvent(new Event("visibilitychange"))`)
	b.Await(`document.body.classList.contains("is-stale") && document.querySelector("#stale").innerText.includes("13:05")`)
	b.Check(rules)
	b.Shot("hub-fleet-en-stale")
}
