package demo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/url"
	"strings"
	"testing"

	"otor/agent/web"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/webui/webuitest"
)

// camera gives a picture of a camera's kind.
func camera(t *testing.T, shade uint8) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 800, 600))
	for y := range 600 {
		for x := range 800 {
			img.Set(x, y, color.RGBA{uint8(x / 4), uint8(y / 3), shade ^ uint8((x*y)%64), 255}) //nolint:gosec // wraps
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// takes has a device keep photos and save visits that name them, and waits until the hub
// has them.
func (o deskWorker) takes(w *world, device dot.Device, n int) {
	o.t.Helper()
	m := w.members[device]
	for i := range n {
		name, err := m.KeepFile(o.t.Context(), "image/jpeg", camera(o.t, uint8(40*i))) //nolint:gosec // few
		var put web.PutResult
		if err == nil {
			put, err = m.Begin(o.t.Context(), web.PutRequest{
				Form: "visit", Entity: "H-NB-02", User: "U01", Fields: fmt.Appendf(nil, `{"topics":["vet"],"minutes":5,"photo":%q}`, name),
			})()
		}
		if err != nil {
			o.t.Fatal(err)
		}
		m.shim.letThrough(nil, []dot.Dot{put.Dot})
		m.Wake()
	}
	err := until(o.t.Context(), "the hub has the photos", func() (bool, error) {
		m.Link().Kick()
		c, err := w.hub.Store().CountBlobs(o.t.Context())
		return c.Named >= int64(n) && c.Missing == 0, err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// The office sees in the evening how the day went, what lies along the route and what was
// photographed; the numbers are those of the entities themselves.
func TestOutlookOfTheEvening(t *testing.T) {
	b := webuitest.Start(t)
	w, _ := dayUntil(t, "18:40")
	for _, m := range w.members {
		m.line.raise()
		m.Link().Kick()
	}
	base, _, _ := strings.Cut(w.hub.EnterURL(), "/enter")
	o := deskWorker{b, t, base}
	o.takes(w, "D-101", 3)
	b.Resize(webuitest.Desk)
	b.Open(w.hub.EnterURL())
	// What takes a look at everything comes by itself.
	b.Await(`document.querySelector("#checks .parts") && document.querySelector("#balance .parts") && document.querySelector("#trend .plot")`)
	want, err := w.picture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for lang, words := range map[string]map[string]string{
		"en": {"overdue": "Overdue", "soon": "Due within 30 days", "ok": "Not due"}, "zh": {"overdue": "已过期", "soon": "30天内到期", "ok": "不急"}, "mn": {},
	} {
		b.Open(base + "/")
		b.Follow("#lang-" + lang)
		b.Await(`document.querySelector("#checks .parts")`)
		for bucket, label := range words {
			says := fmt.Sprintf("%s %d", label, want.Pensions[bucket])
			if want.Pensions[bucket] > 0 {
				b.Await(fmt.Sprintf(`document.querySelector("#checks").innerText.replace(/\s+/g, " ").includes(%q)`, says))
			}
		}
		for _, page := range []string{"/", "/?span=long", "/route", "/photos"} {
			b.Open(base + page)
			b.Await(`document.querySelector("main")`)
			if page == "/" {
				b.Await(`document.querySelector("#checks .parts")`)
				webuitest.Eval[bool](b, `document.querySelector("#trend-table").open = true`)
			}
			if page == "/photos" {
				b.Await(`document.querySelector("#photos img").naturalWidth > 0`)
			}
			o.looks("outlook" + strings.NewReplacer("/", "-", "?span=", "").Replace(page) + "-" + lang)
		}
	}
	o.routeSays(w)
	o.photosAreFound(w)
	for _, trouble := range b.Trouble() {
		t.Error("the browser complains:", trouble)
	}
}

// routeSays holds the page of the route against the hub's own entities.
func (o deskWorker) routeSays(w *world) {
	o.t.Helper()
	o.Open(o.base + "/route")
	stops, hazards := 0, 0
	for e, err := range w.hub.Store().EntitiesOf(o.t.Context(), "waypoint") {
		if err != nil {
			o.t.Fatal(err)
		}
		stops++
		o.Await(fmt.Sprintf(`document.getElementById("stop-" + %q)`, e.Ref.ID))
	}
	for e, err := range w.hub.Store().EntitiesOf(o.t.Context(), "hazard") {
		if err != nil {
			o.t.Fatal(err)
		}
		_ = e
		hazards++
	}
	if stops == 0 || hazards == 0 {
		o.t.Errorf("there are %d stops and %d hazards to be seen", stops, hazards)
	}
	if n := webuitest.Eval[int](o.Browser, `document.querySelectorAll(".stops > .stop").length`); n != stops {
		o.t.Errorf("%d stops are shown, the hub has %d", n, stops)
	}
	if n := webuitest.Eval[int](o.Browser, `document.querySelectorAll("#route .hazard").length`); n == 0 || n > hazards {
		o.t.Errorf("%d hazards are shown, the hub has %d", n, hazards)
	}
	if n := webuitest.Eval[int](o.Browser, `document.querySelectorAll("#route .teams li").length`); n == 0 {
		o.t.Error("no team is shown")
	}
}

// photosAreFound looks for photos by team, day and record.
func (o deskWorker) photosAreFound(w *world) {
	o.t.Helper()
	list, err := w.hub.Store().Blobs(o.t.Context(), store.BlobQuery{Newest: true})
	if err != nil || len(list) == 0 {
		o.t.Fatalf("%d photos: %v", len(list), err)
	}
	shown := func(q url.Values) int {
		o.Open(o.base + "/photos?" + q.Encode())
		o.Await(`document.querySelector("#photos")`)
		return webuitest.Eval[int](o.Browser, `document.querySelectorAll("#photos li").length`)
	}
	day := w.clock.Now().In(w.scenario.Meta.T0.Location()).Format("2006-01-02")
	for _, x := range []struct {
		q    url.Values
		want int
	}{
		{url.Values{}, len(list)},
		{url.Values{"record": {list[0].Dot.String()}}, 1},
		{url.Values{"record": {"D-101/1/record/9999"}}, 0},
		{url.Values{"day": {day}}, len(list)},
		{url.Values{"day": {"2001-01-01"}}, 0},
		{url.Values{"team": {"team:T404"}}, 0},
	} {
		if got := shown(x.q); got != x.want {
			o.t.Errorf("%s: %d photos are shown, want %d", x.q.Encode(), got, x.want)
		}
	}
}
