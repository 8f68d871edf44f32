package demo

import (
	"fmt"
	"strings"
	"testing"

	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/webui/webuitest"
)

// walker uses the team's pages as a person does.
type walker struct {
	*webuitest.Browser
	t    *testing.T
	base string
}

// team brings the day to a time, and gives the browser of the first team and its device.
func team(t *testing.T, until string, changes ...func(*Scenario)) (walker, *world, *member) {
	t.Helper()
	b := webuitest.Start(t)
	world, _ := dayUntil(t, until, changes...)
	m := world.members["D-101"]
	base, _, _ := strings.Cut(m.pageURL(), "/enter")
	return walker{b, t, base}, world, m
}

// enter opens the device's pages by its way in, in a window of that size.
func (w walker) enter(m *member, size webuitest.Size) {
	w.t.Helper()
	w.Resize(size)
	w.Open(m.pageURL())
	w.Await(`document.querySelector("#strip")`)
}

// fits holds the page that is shown to the rules, and keeps a picture of it.
func (w walker) fits(name string) {
	w.t.Helper()
	w.Check(teamRules)
	w.Axe()
	w.Shot("walk-" + name)
}

func (w walker) says(words ...string) {
	w.t.Helper()
	for _, x := range words {
		w.Await(fmt.Sprintf(`document.body.innerText.includes(%q)`, x))
	}
}

// asked waits for a question of the form page.
func (w walker) asked(words string) {
	w.t.Helper()
	w.Await(fmt.Sprintf(`document.querySelector(".ask h2")?.innerText.includes(%q)`, words))
}

// goOn goes to the next question.
func (w walker) goOn() {
	w.t.Helper()
	was := webuitest.Eval[string](w.Browser, `document.querySelector(".progress span").innerText`)
	w.Click("#next")
	w.Await(fmt.Sprintf(`document.querySelector(".progress span").innerText !== %q`, was))
}

// choose answers a question of choices, and goes on.
func (w walker) choose(words, value string) {
	w.t.Helper()
	w.asked(words)
	w.Click(fmt.Sprintf(`input[value=%q]`, value))
	w.goOn()
}

func (w walker) skip(words string) {
	w.t.Helper()
	w.asked(words)
	w.goOn()
}

func (w walker) write(selector, text string) {
	w.t.Helper()
	webuitest.Eval[bool](w.Browser, fmt.Sprintf(`(() => { const i = document.querySelector(%q); i.value = %q; for (const e of ["input", "change"]) i.dispatchEvent(new Event(e, {bubbles: true})); return true })()`, selector, text))
}

// takePhoto gives the photo question a picture of the camera's size.
const takePhoto = `(async () => {
  const c = document.createElement("canvas"); c.width = 1600; c.height = 1200;
  const x = c.getContext("2d"); for (let i = 0; i < 400; i++) { x.fillStyle = "hsl(" + i * 7 + " 60% 50%)"; x.fillRect((i % 20) * 80, Math.floor(i / 20) * 60, 80, 60); }
  const blob = await new Promise((f) => c.toBlob(f, "image/jpeg", 0.9));
  const dt = new DataTransfer(); dt.items.add(new File([blob], "IMG.jpg", { type: "image/jpeg" }));
  const input = document.querySelector("#q"); input.files = dt.files; input.dispatchEvent(new Event("change", { bubbles: true }));
})(), true`

func (w walker) takePhoto() {
	w.t.Helper()
	webuitest.Eval[bool](w.Browser, takePhoto)
	w.Await(`document.querySelector(".photo img")?.naturalWidth > 0`)
}

// TestWalk is an afternoon at the camp without a signal: a household is found,
// a pensioner certified with a photo, a herd counted, help called, a warning read
// aloud, a bandage given out; then there is a signal, and the hub has it all.
func TestWalk(t *testing.T) {
	w, world, m := team(t, "12:10")
	b, base := w.Browser, w.base
	m.line.raise() // long enough for the warning of 11:31 to come
	m.Link().Kick()
	err := until(t.Context(), "the warning is on the phone", func() (bool, error) {
		book, err := m.Book(t.Context())
		if err != nil {
			return false, err
		}
		_, ok := book.Thing("bulletin", "B-02")
		return ok, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.line.cut()
	w.enter(m, webuitest.Phone)
	b.Follow("#lang-en")
	w.says("No signal, saved on this phone", "nothing lost")
	before := received(t, m)
	w.fits("offline")

	w.who()
	w.pension()
	w.herd()
	w.help()
	w.aloudAndStock()

	// The line comes back. Whoever looks at the call sees it arrive.
	b.Open(base + "/records?list=waiting")
	w.fits("waiting")
	b.Open(base + "/")
	b.Click("#to-alarm")
	b.Await(`document.querySelector("#last-call")`)
	b.Follow("#last-call")
	w.says("Read this over the radio")
	webuitest.Eval[bool](b, `window.sameDocument = true`)
	dots := logged(t, m)
	m.shim.letThrough(nil, dots)
	m.line.raise()
	m.Link().Kick()
	b.Await(`window.sameDocument && document.querySelector(".call-steps li:nth-child(3)").className === "done" && !document.body.innerText.includes("Read this over the radio")`)
	w.fits("call-received")
	b.Open(base + "/")
	b.Await(`document.querySelector("#strip").innerText.includes("all at the hub")`)
	w.fits("online")
	if got := received(t, m); got < before+6 {
		t.Errorf("%d entries were received, %d before", got, before)
	}
	for _, d := range dots {
		pl := newPlayer(world)
		if ok, err := pl.hubHas(t.Context(), d); err != nil || !ok {
			t.Errorf("the hub lacks %s: %v", d, err)
		}
	}
	for _, trouble := range b.Trouble() {
		t.Error("the browser complains:", trouble)
	}
	if got := b.Elsewhere(base); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
}

func received(t *testing.T, m *member) (n uint64) {
	t.Helper()
	for _, c := range m.Store().Chains() {
		n += c.Received.Len()
	}
	return n
}

func logged(t *testing.T, m *member) (out []dot.Dot) {
	t.Helper()
	rows, err := m.Log(t.Context(), web.LogQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		out = append(out, r.Dot)
	}
	return out
}

// who says who uses the phone.
func (w walker) who() {
	w.t.Helper()
	w.Follow("#go-settings")
	w.write("#user", "U01")
	w.Follow("#save-user")
	w.Await(`document.querySelector("#user").value === "U01"`)
}

// pension finds an elder by a part of the number, and certifies that she is alive.
func (w walker) pension() {
	w.t.Helper()
	w.Open(w.base + "/")
	w.Follow("#go-visit")
	w.says("Overdue since 2025-09-15", "H-NB-03")
	w.fits("due")
	w.Follow("#all-households")
	w.write("#q", "P008")
	w.Follow("#find")
	w.says("1 household", "H-NB-03")
	w.Follow(`a[href="/household/H-NB-03"]`)
	w.says("Overdue", "Last pension check")
	w.fits("household")
	w.Follow(`a[href="/visit/pension_auth?entity=P008"]`)
	w.asked("Household")
	w.Await(`document.querySelector("#q").value === "H-NB-03"`) // known, and so answered
	w.goOn()
	w.fits("question")
	w.choose("How verified", "id_card_and_face_photo")
	w.choose("Alive and present", "true")
	w.skip("What was found")
	w.skip("Last 4 of ID")
	w.asked("Photo")
	w.takePhoto()
	w.fits("photo")
	w.goOn()
	w.asked("Told the purpose")
	w.Click("input[type=checkbox]")
	w.goOn()
	w.says("Check before saving")
	w.fits("review")
	w.Click("#save")
	w.says("Saved on this phone")
	w.fits("saved")
	w.Follow("#onward")
	w.says("Not due", "this phone")
	// Whoever is about to do it a second time is told so before the work.
	w.Open(w.base + "/household/H-NB-02")
	w.Follow(`a[href="/visit/pension_auth?entity=P007"]`)
	w.says("This was done already", " · D-101", "As of ")
	w.fits("already")
}

// herd counts goats until the household has more than it may have.
func (w walker) herd() {
	w.t.Helper()
	w.Open(w.base + "/household/H-NB-10")
	w.says("180.2 counted, 175 sheep units allowed: 3% over", "A little over")
	w.Follow(`a[href="/visit/livestock_count?entity=H-NB-10"]`)
	w.choose("Method", "enumerated")
	w.choose("Species", "goat")
	w.choose("Age", "adult")
	w.skip("What is corrected")
	w.skip("Count so far")
	w.asked("Count now")
	w.write("#q", "160")
	w.goOn()
	w.skip("Purpose")
	w.skip("Several kinds at once")
	w.skip("Ear tags sampled")
	w.skip("Photo")
	w.says("Check before saving")
	w.Click("#save")
	w.says("Saved on this phone")
	w.Follow("#onward")
	// 124 goats are 160 now: 36 times 0.8 sheep units more.
	w.says("209 counted, 175 sheep units allowed: 19.4% over", "it may cost the subsidy")
	w.fits("overload")
}

// help calls for help in three taps, and takes back one call before.
func (w walker) help() {
	w.t.Helper()
	w.Follow("#to-alarm")
	w.fits("sos")
	w.Click("#what-illness")
	w.says("Goes out in", "Illness")
	w.fits("sos-countdown")
	w.Click("#stop")
	w.Await(`document.querySelector("#countdown").hidden && document.activeElement.id === "what-illness"`)
	w.Click("#what-injury")
	w.Click("#now")
	w.says("Saved on this phone", "Read this over the radio", "SOS, SOS, SOS. This is D-101.", "Injury")
	w.fits("sos-saved")
}

// aloudAndStock reads the storm warning aloud to two households, and gives a
// bandage out.
func (w walker) aloudAndStock() {
	w.t.Helper()
	w.Open(w.base + "/bulletin/B-02")
	w.says("0 of 42 households have heard it", "Yellow warning")
	w.Click(`input[name=household][value="H-NB-03"]`)
	w.Click(`input[name=household][value="H-NB-10"]`)
	w.Follow("#read-aloud")
	w.says("2 of 42 households have heard it")
	w.fits("bulletin")
	w.Open(w.base + "/station/S1")
	was := webuitest.Eval[string](w.Browser, `document.querySelector("#qty-IT-BAND .key").innerText`)
	w.write("#n-IT-BAND", "1")
	w.Follow(`#qty-IT-BAND ~ form button[value="out"]`)
	var n int
	_, _ = fmt.Sscan(was, &n) // the number before the unit
	w.Await(fmt.Sprintf(`document.querySelector("#qty-IT-BAND .key").innerText.startsWith("%d ")`, n-1))
	w.fits("station")
}

// TestKeyboard makes the whole visit without touching anything but keys.
func TestKeyboard(t *testing.T) {
	w, _, m := team(t, "06:30")
	b := w.Browser
	w.enter(m, webuitest.Small)
	enter := func(selector, then string) {
		t.Helper()
		b.TabTo(selector)
		b.Press("\r")
		b.Await(then)
	}
	enter("#lang-en", `document.documentElement.lang === "en" && document.readyState === "complete"`)
	enter("#go-households", `location.pathname === "/households" && document.readyState === "complete"`)
	b.TabTo("#q")
	b.Press("H-NB-03")
	b.Press("\r")
	b.Await(`location.search.includes("H-NB-03") && document.readyState === "complete"`)
	enter(`a[href="/household/H-NB-03"]`, `location.pathname === "/household/H-NB-03" && document.readyState === "complete"`)
	enter(`a[href="/visit/visit?entity=H-NB-03"]`, `document.querySelector(".ask h2")`)
	w.asked("Topics")
	b.TabTo(`input[value="pension"]`)
	b.Press(" ")
	b.Await(`document.querySelector('input[value="pension"]').checked`)
	for _, question := range []string{"Duration", "Bulletins read aloud", "Needs raised", "Next visit", "Photo"} {
		b.TabTo("#next")
		b.Press("\r")
		w.asked(question)
		b.Await(`document.activeElement.tagName === "H2"`) // where each step begins
		if question == "Duration" {
			b.TabTo("#q")
			b.Press("15")
		}
	}
	b.TabTo("#next")
	b.Press("\r")
	w.says("Check before saving", "15")
	b.Await(`document.activeElement.tagName === "H2"`)
	enter("#save", `document.querySelector("#onward")`)
	enter("#onward", `location.pathname === "/household/H-NB-03" && document.body.innerText.includes("this phone, Household visit")`)
	// Help by keys alone: Escape takes a call back, and the way out has the focus.
	enter("#to-alarm", `location.pathname === "/sos" && document.readyState === "complete"`)
	b.TabTo("#what-lost")
	b.Press("\r")
	b.Await(`document.activeElement.id === "stop"`)
	b.Press("\x1b")
	b.Await(`document.querySelector("#countdown").hidden`)
	b.Press("\r") // the focus is back on what was pressed
	b.Await(`!document.querySelector("#countdown").hidden`)
	b.Await(`location.pathname === "/sos/sent"`) // five seconds later, untouched
	w.says("Lost person")
}
