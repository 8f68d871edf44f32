package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"otor/internal/e2e"
	"otor/internal/webui/webuitest"
)

var pageRules = webuitest.Rules{MinText: 18, MinTarget: 48, Contrast: 7}

// press clicks what a selector finds, as a person would: after it is there.
func press(b *webuitest.Browser, selector string) {
	b.Await(fmt.Sprintf(`document.querySelector(%q)`, selector))
	b.Click(selector)
}

// question waits until a question is asked.
func question(b *webuitest.Browser, words string) {
	b.Await(fmt.Sprintf(`document.querySelector("#q-label")?.innerText.includes(%q)`, words))
}

// A pension check is filled in on a phone without a signal; the agent is killed
// in the middle; the draft is there afterwards, is finished, and is one record
// on the device and at the hub.
func TestVisitSurvivesKill(t *testing.T) {
	b := webuitest.Start(t)
	hub := e2e.StartHub(t)
	a := hub.Enrol(t, "D-101")
	a.Flags = []string{"--lang", "en"}
	a.Start(t)
	b.Resize(webuitest.Phone)
	b.Open(a.Page)
	b.Await(`document.querySelector("#strip")`)
	b.Open("http://" + a.HTTP + "/visit/pension_auth?entity=P007")
	b.Await(`document.querySelector("#next")`)
	b.Check(pageRules)
	b.Shot("visit-first")

	question(b, "Household")
	webuitest.Eval[bool](b, `(() => { const i = document.querySelector("#q"); i.value = "H-NB-07"; i.dispatchEvent(new Event("input", {bubbles: true})); return true })()`)
	press(b, "#next")
	question(b, "How verified")
	press(b, "#next") // needed: it says so and stays
	b.Await(`document.querySelector("#q-wrong")?.innerText.length > 0`)
	b.Check(pageRules)
	b.Shot("visit-needed")
	press(b, `input[value="id_card_seen"]`)
	b.Await(`document.querySelector("#saving")?.innerText.includes("kept on this phone")`)
	b.Check(pageRules)
	b.Shot("visit-choice")
	press(b, "#next")
	question(b, "Alive and present")
	press(b, `input[value="true"]`)
	b.Await(`document.querySelector("#saving")?.innerText.includes("kept on this phone") && location.search.includes("draft=")`)

	a.Kill()
	// The next answer cannot be kept, and the page says so.
	press(b, "#next")
	b.Await(`document.querySelector("#saving")?.innerText.includes("Not kept yet")`)
	b.Shot("visit-unsaved")
	b.Trouble() // the requests that found nobody

	a.Start(t)
	b.Open(a.Page)
	b.Await(`document.querySelector("#strip")`)
	b.Open("http://" + a.HTTP + "/visit/pension_auth?entity=P007")
	press(b, ".resume .button.big") // go on with the unfinished one
	b.Await(`document.querySelector("#next") || document.querySelector("#save")`)
	for range 12 {
		if webuitest.Eval[bool](b, `!!document.querySelector("#save")`) {
			break
		}
		at := webuitest.Eval[string](b, `document.querySelector(".progress span").innerText`)
		press(b, "#next")
		b.Await(fmt.Sprintf(`document.querySelector(".progress span").innerText !== %q`, at))
	}
	b.Await(`document.querySelector("#save")`)
	review := webuitest.Eval[string](b, `document.querySelector(".review").innerText`)
	for _, want := range []string{"H-NB-07", "ID card seen", "Yes"} {
		if !strings.Contains(review, want) {
			t.Errorf("the review lacks %q, which was answered before the kill:\n%s", want, review)
		}
	}
	b.Check(pageRules)
	b.Shot("visit-review")
	press(b, "#save")
	b.Await(`document.querySelector(".done")`)
	b.Check(pageRules)
	b.Shot("visit-done")

	rows := a.Log(t)
	n := 0
	for _, r := range rows {
		if r.Form == "pension_auth" {
			n++
			if r.Entity != "P007" {
				t.Errorf("about %q", r.Entity)
			}
		}
	}
	if n != 1 {
		t.Fatalf("%d pension checks in the log, want 1", n)
	}
	e2e.Eventually(t, "the record is at the hub", func() bool {
		for _, e := range hub.Entries(t) {
			if e.Form == "pension_auth" && e.Verdict != "quarantined" {
				return true
			}
		}
		return false
	})
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	if got := b.Elsewhere("http://" + a.HTTP); len(got) > 0 {
		for _, u := range got {
			if !strings.Contains(u, "127.0.0.1") && !strings.HasPrefix(u, "blob:") && !strings.HasPrefix(u, "data:") {
				t.Errorf("loaded from elsewhere: %s", u)
			}
		}
	}
}

// Every form of the pack loads in the engine: the page asks its first question,
// in each language, without a complaint of the browser.
func TestEveryFormLoads(t *testing.T) {
	b := webuitest.Start(t)
	hub := e2e.StartHub(t)
	a := hub.Enrol(t, "D-101")
	a.Start(t)
	b.Resize(webuitest.Phone)
	b.Open(a.Page)
	b.Await(`document.querySelector("#strip")`)
	dirs, err := os.ReadDir("../pack/transhumance/forms")
	if err != nil || len(dirs) < 20 {
		t.Fatalf("%d forms: %v", len(dirs), err)
	}
	for _, d := range dirs {
		b.Open("http://" + a.HTTP + "/visit/" + d.Name() + "?entity=X-1")
		b.Await(`document.querySelector("#next") || document.querySelector("#save") || document.querySelector(".finding")`)
		if words := webuitest.Eval[string](b, `document.querySelector(".finding")?.innerText ?? ""`); words != "" {
			t.Errorf("%s: %s", d.Name(), words)
		}
		if got := b.Trouble(); len(got) > 0 {
			t.Errorf("%s: the browser complains: %q", d.Name(), got)
		}
	}
}
