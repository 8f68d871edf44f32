package demo

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"otor/internal/dot"
	"otor/internal/pack"
	"otor/internal/webui/webuitest"
)

// TestPages opens the hub's and the devices' pages in a browser while the day
// passes, and wants them to change by themselves. With OTOR_SCREENSHOTS set to
// a folder it leaves pictures there.
func TestPages(t *testing.T) {
	b := webuitest.Start(t)
	s, err := (&Options{}).scenario()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	w, err := openWorld(t.Context(), s, p, worldConfig{dir: t.TempDir(), natsAddr: "127.0.0.1:0", httpOn: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	pl := newPlayer(w)
	tour := []stop{
		{"12:10", "device-offline", webuitest.Phone, w.members["D-101"].pageURL(), `document.body.innerText.includes("9")`},
		{"14:00", "hub-gap", webuitest.Desk, w.hub.EnterURL(), `document.body.innerText.includes("{5}")`},
		{"18:26", "hub-evening", webuitest.Desk, w.hub.EnterURL(), `!document.body.innerText.includes("{5}")`},
		{"18:26", "hub-phone", webuitest.Phone, w.hub.EnterURL(), `true`},
		{"18:26", "device-evening", webuitest.Phone, w.members["D-101"].pageURL(), `document.body.innerText.length > 0`},
	}
	next := 0
	visit := func() {
		for next < len(tour) && !pl.at.Before(clockTime(s.Meta.T0, tour[next].at)) {
			tour[next].visit(b)
			next++
		}
	}
	anyPace := func(context.Context, time.Time) error { return nil }
	if err := pl.play(t.Context(), anyPace, visit); err != nil {
		t.Fatal(err)
	}
	if next != len(tour) {
		t.Errorf("%d of %d stops were made", next, len(tour))
	}
	watchItChange(t, b, pl)
	for _, trouble := range b.Trouble() {
		t.Error("the browser complains:", trouble)
	}
}

// stop is one look at a page.
type stop struct {
	at, name string
	size     webuitest.Size
	url      string
	shows    string // JavaScript that is true once the page is right
}

func (s stop) visit(b *webuitest.Browser) {
	b.Resize(s.size)
	b.Open(s.url)
	b.Await(s.shows)
	b.Shot(s.name)
}

// clockTime is hh:mm of the day of t0.
func clockTime(t0 time.Time, hm string) time.Time {
	c, err := time.Parse("15:04", hm)
	if err != nil {
		panic(err)
	}
	return time.Date(t0.Year(), t0.Month(), t0.Day(), c.Hour(), c.Minute(), 0, 0, t0.Location())
}

// watchItChange leaves a device's page open, cuts its line, captures, and wants
// the open page to say so; then raises the line and wants that too.
func watchItChange(t *testing.T, b *webuitest.Browser, pl *player) {
	t.Helper()
	m := pl.members["D-101"]
	b.Resize(webuitest.Phone)
	b.Open(m.pageURL())
	m.line.cut()
	var first *Record
	for i := range pl.scenario.Records {
		if r := &pl.scenario.Records[i]; r.Device == "D-101" && r.Kind == "visit" {
			first = r
			break
		}
	}
	again := *first
	again.ID, again.DeviceTime = "again", pl.deviceClock("D-101")
	if err := pl.captureRecord(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	d := pl.dots["again"]
	b.Await(`document.body.innerText.includes("` + seqWords(d) + `") || document.body.innerText.includes("1 ")`)
	b.Shot("device-live-offline")
	m.shim.letThrough(nil, []dot.Dot{d})
	m.line.raise()
	m.Link().Kick()
	if err := until(t.Context(), "it is received", func() (bool, error) { m.Link().Kick(); return pl.hubHas(t.Context(), d) }); err != nil {
		t.Fatal(err)
	}
	b.Shot("device-live-online")
}

func seqWords(d dot.Dot) string { return d.String() }
