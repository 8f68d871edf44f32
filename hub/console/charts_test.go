package console_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/console"
	"otor/internal/webui"
)

// past is an outlook in memory.
type past struct {
	points  []console.Point
	closed  bool
	err     error
	amounts *console.Amounts
}

func (p past) Trend(context.Context, time.Time, bool) ([]console.Point, bool, error) {
	return p.points, !p.closed, p.err
}

func (p past) Amounts(context.Context, string) (*console.Amounts, error) { return p.amounts, p.err }

func fleetWith(t *testing.T, o console.Outlook) string {
	t.Helper()
	return homeWith(t, o, now, "/")
}

func homeWith(t *testing.T, o console.Outlook, now time.Time, path string) string {
	t.Helper()
	site := console.New(console.Config{
		Fleet: day(), Outlook: o, Clock: func() time.Time { return now }, DefaultLang: "en", Log: slog.New(slog.DiscardHandler),
		Visitor: func(context.Context) console.Visitor {
			return console.Visitor{Name: "x", May: func(string) bool { return true }}
		},
	})
	srv := httptest.NewServer((&webui.Guard{Behind: true, Pages: site.Pages}).Wrap(site.Mux))
	defer srv.Close()
	status, body := get(t, srv.Client(), srv.URL+path, "Accept-Language", "en")
	if status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	return body
}

// What was not noted is not drawn, numbers stand in a table as well, and each part says
// why it is not there.
func TestCharts(t *testing.T) {
	var points []console.Point
	for _, minutes := range []int{-600, -595, -590, -60, -55, -5} { // two runs of the hub
		points = append(points, console.Point{At: now.Add(time.Duration(minutes) * time.Minute), Waiting: 7, Missing: 2, Contacts: 1, Received: 3})
	}
	points[4].Waiting = 1300
	body := fleetWith(t, past{points: points, amounts: &console.Amounts{
		AsOf:   now,
		Checks: []console.Check{{Label: "Pension", Buckets: []console.Share{{Label: "Overdue", Tone: "danger", N: 1}, {Label: "Soon", Tone: "wait"}, {Label: "Fine", Tone: "ok", N: 3}}}},
		Balance: &console.Balance{
			Label: "Grass", Unit: "units", Status: []console.Share{{Label: "Over", Tone: "danger", N: 2}},
			Heaviest: []console.Load{{Name: "<b>Bat</b>", ID: "H-1", Counted: 150, Allowed: 100, Over: 0.5, Tone: "danger"}, {Name: "Saran", ID: "H-2", Counted: 110, Allowed: 100, Over: 0.1, Tone: "wait"}},
		},
	}})
	area := regexp.MustCompile(`<path class="s-wait" d="([^"]+)"`).FindStringSubmatch(body)
	if area == nil || strings.Count(area[1], "M") != 3 {
		t.Errorf("an area for each time that the hub ran: %v", area)
	}
	for _, want := range []string{
		"Now 7. At most 1,300, at 12:10.", "6 contacts, 18 entries received.", `aria-hidden="true">2,000</span>`, "3 of 4 (75%) are not due",
		`width="25"`, `x="25" y="0" width="75"`, "&lt;b&gt;Bat", `width="100" height="1"/></svg></td>`, `width="20" height="1"/></svg></td>`, "50%",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if rows := strings.Count(body, `<tr><th scope="row" class="num">`); rows != 3 {
		t.Errorf("%d hours are in the table, want 3", rows)
	}
	for name, x := range map[string]struct {
		o    past
		says []string
	}{
		"a part": {past{closed: true}, []string{"Shown to those whose scopes cover everything", "Being worked out"}},
		"new":    {past{amounts: &console.Amounts{}}, []string{"Nothing was noted yet", "names no checks", "No household has both"}},
		"broken": {past{err: errors.New("away")}, []string{"cannot be read right now"}},
	} {
		body := fleetWith(t, x.o)
		for _, want := range x.says {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		if !strings.Contains(body, "D-101") {
			t.Errorf("%s: the fleet is not there", name)
		}
	}
}

// The days of the long span, and the hours of the short one, are those of the clock that
// the page goes by, also where it is put forward or back.
func TestDaysOfCharts(t *testing.T) {
	saoPaulo, err := time.LoadLocation("America/Sao_Paulo") // forward at midnight: 2018-11-04 has no hour 0
	if err != nil {
		t.Fatal(err)
	}
	newYork, err := time.LoadLocation("America/New_York") // back at 2018-11-04 02:00: it has 25 hours
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`<tr><th scope="row" class="num">([^<]+)</th><td class="r num">([0-9]+)</td>`)
	for name, c := range map[string]struct {
		at   time.Time
		path string
		of   []time.Duration // when something waited, before then: 1 at the first, 2 ...
		want []string
	}{
		"days, +08:00": {
			time.Date(2025, 9, 18, 13, 5, 0, 0, time.FixedZone("", 8*3600)), "/?span=long",
			// 17 at 23:00, 18 at 00:00, 07:00 and 12:00; a day before at 00:00 and at 23:30
			[]time.Duration{37*time.Hour + 5*time.Minute, 14*time.Hour + 5*time.Minute, 13*time.Hour + 5*time.Minute, 6*time.Hour + 5*time.Minute, time.Hour},
			[]string{"09-18 5", "09-17 2"},
		},
		"a day without midnight": {
			time.Date(2018, 11, 5, 0, 30, 0, 0, saoPaulo), "/?span=long",
			// 3 at 23:30, 4 at 01:00 and 23:30, 5 at 00:00
			[]time.Duration{24 * time.Hour, 23*time.Hour + 30*time.Minute, time.Hour, 30 * time.Minute},
			[]string{"11-05 4", "11-04 3", "11-03 1"},
		},
		"a day of 25 hours": {
			time.Date(2018, 11, 5, 0, 30, 0, 0, newYork), "/?span=long",
			// 3 at 23:30, 4 at 00:00 and 23:30
			[]time.Duration{26 * time.Hour, 25*time.Hour + 30*time.Minute, time.Hour},
			[]string{"11-04 3", "11-03 1"},
		},
		"hours, +05:30": {
			time.Date(2025, 9, 18, 13, 5, 0, 0, time.FixedZone("", 5*3600+1800)), "/",
			[]time.Duration{70 * time.Minute, 60 * time.Minute, 6 * time.Minute, 5 * time.Minute}, // 11:55 12:05 12:59 13:00
			[]string{"13:00 4", "12:00 3", "11:00 1"},
		},
	} {
		var points []console.Point
		for i, d := range c.of {
			points = append(points, console.Point{At: c.at.Add(-d).UTC(), Waiting: uint64(i + 1)})
		}
		var got []string
		for _, m := range row.FindAllStringSubmatch(homeWith(t, past{points: points}, c.at, c.path), -1) {
			got = append(got, m[1]+" "+m[2])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: rows %q, want %q", name, got, c.want)
		}
	}
}
