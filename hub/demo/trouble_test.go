package demo

import (
	"fmt"
	"strings"
	"testing"

	"otor/agent/web"
	"otor/internal/webui/webuitest"
)

// hand gives the photo question a file of so many bytes, which begin so.
func (w walker) hand(begin string, size int) {
	w.t.Helper()
	webuitest.Eval[bool](w.Browser, fmt.Sprintf(`(() => {
  const bytes = new Uint8Array(%d); new TextEncoder().encodeInto(%q, bytes); if (%q === "jpeg") bytes.set([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46]);
  const dt = new DataTransfer(); dt.items.add(new File([bytes], "IMG.jpg", { type: "image/jpeg" }));
  const input = document.querySelector("#q"); input.files = dt.files; input.dispatchEvent(new Event("change", { bubbles: true }));
  return true
})()`, size, begin, begin))
}

// TestTroubleOnThePage is what goes wrong with a phone: no satellites, photos that
// are none, a full phone, a browser that forgets, a clock in 1970. Each is said in
// plain words, and nothing that was answered is lost.
func TestTroubleOnThePage(t *testing.T) {
	w, _, m := team(t, "06:30")
	b, base := w.Browser, w.base
	w.enter(m, webuitest.Phone)
	b.Follow("#lang-en")

	b.Open(base + "/route")
	b.Visit(`a[href*="/visit/hazard?entity="]`)
	w.choose("Type", "flooded_ford")
	w.choose("Severity", "3")
	w.skip("Can it be passed")
	w.skip("Width")
	w.skip("Depth")

	// Nobody may ask the satellites: the place is picked, or left out.
	w.asked("Where")
	webuitest.Eval[bool](b, `(navigator.geolocation.getCurrentPosition = (_, no) => no({ code: 1, PERMISSION_DENIED: 1 }), true)`)
	b.Click("#q")
	w.says("Finding the place is not allowed", "Known places")
	w.fits("trouble-place")
	webuitest.Eval[bool](b, `(navigator.geolocation.getCurrentPosition = (_, no) => no({ code: 2, PERMISSION_DENIED: 1 }), true)`)
	b.Click("#q")
	w.says("No place was found")
	b.Click(".where .choice:first-of-type input")
	b.Await(`document.querySelector(".where .found")`)
	w.goOn()

	// Photos that are none, one that is far too large, and a phone without room.
	w.asked("Photo")
	w.hand("this is no picture", 2000)
	w.says("This photo cannot be read; take it again")
	w.hand("jpeg", 60<<20)
	b.Await(`document.querySelector(".photo .wrong") && !document.querySelector("#q").disabled`)
	w.fits("trouble-photo")
	webuitest.Eval[bool](b, `(window.realFetch = window.fetch, window.fetch = (path, init) => path === "/api/v1/files" ?
  Promise.resolve(new Response(JSON.stringify({ error: { code: "disk_full", what: "the phone has 3 MB free" } }), { status: 507, headers: { "Content-Type": "application/json" } })) : window.realFetch(path, init), true)`)
	webuitest.Eval[bool](b, takePhoto)
	w.says("The phone is full", "nothing that was saved is lost")
	webuitest.Eval[bool](b, `(window.fetch = window.realFetch, true)`)
	w.takePhoto()
	w.goOn()
	w.asked("How to go round")
	w.write("#q", "by the old well")
	b.Await(`document.querySelector("#saving")?.className.includes("ok")`)

	// The browser forgets all that it had. The way in is needed again; the draft is there.
	b.ForgetAll()
	b.Open(base + "/")
	if webuitest.Eval[bool](b, `!!document.querySelector("#strip")`) {
		t.Error("a browser that forgot its way in is let in")
	}
	b.Shot("walk-trouble-forgotten")
	b.Check(teamRules)
	b.Open(m.pageURL())
	b.Await(`document.querySelector("#strip")`)
	b.Follow("#lang-en")
	b.Open(base + "/records?list=drafts")
	b.Visit(`a[href*="/visit/hazard?"][href*="draft="]`)
	w.asked("How to go round")
	b.Await(`document.querySelector("#q").value === "by the old well"`)
	w.goOn()
	w.says("Check before saving", "by the old well")
	w.fits("trouble-review")

	// The phone's clock says 1970, as after a battery was out. The record is saved all the
	// same, in its place behind the others.
	webuitest.Eval[bool](b, `(Date.now = () => 3600e3, true)`)
	was := m.Store().Chains()
	b.Click("#save")
	w.says("Saved on this phone")
	rows, err := m.Log(t.Context(), web.LogQuery{Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].Form != "hazard" {
		t.Fatalf("the latest record: %+v, %v (%d chains before)", rows, err, len(was))
	}
	for _, trouble := range b.Trouble() {
		if !strings.Contains(trouble, "40") && !strings.Contains(trouble, "507") { // the way in that is not there any more
			t.Error("the browser complains:", trouble)
		}
	}
}

// TestClockIn1970: the page says that the phone's clock is wrong, and by how much, once the hub
// told the time; what is saved then has its place behind the rest, and the hub's time.
func TestClockIn1970(t *testing.T) {
	w, world, m := team(t, "06:30", func(s *Scenario) {
		for i := range s.Devices {
			if s.Devices[i].ID == "D-101" {
				s.Devices[i].ClockOffset = 3600 - s.Meta.T0.Unix()
			}
		}
	})
	w.enter(m, webuitest.Phone)
	w.Follow("#lang-en")
	w.says("clock", "days")
	w.fits("clock-1970")
	wait := m.Begin(t.Context(), web.PutRequest{Form: "suggestion", Entity: "H-NB-03", Fields: []byte(`{"text_zh": "水", "category": "water"}`)})
	saved, err := wait()
	if err != nil {
		t.Fatal(err)
	}
	m.shim.letThrough(nil, logged(t, m))
	m.line.raise()
	m.Link().Kick()
	pl := newPlayer(world)
	if year := saved.SavedAt.Year(); year != 1970 {
		t.Errorf("the phone's clock says %d", year)
	}
	err = until(t.Context(), "the hub to have it", func() (bool, error) { return pl.hubHas(t.Context(), saved.Dot) })
	if err != nil {
		t.Fatal(err)
	}
}
