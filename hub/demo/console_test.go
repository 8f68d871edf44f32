package demo

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"otor/agent/web"
	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/webui/webuitest"
)

var officeRules = webuitest.Rules{MinText: 16, MinTarget: 24, Contrast: 7}

// deskWorker is somebody at the hub's console.
type deskWorker struct {
	*webuitest.Browser
	t    *testing.T
	base string
}

// looks holds the page that is shown to the rules, at a desk and on a phone.
func (o deskWorker) looks(name string) {
	o.t.Helper()
	for _, size := range []webuitest.Size{webuitest.Phone, webuitest.Desk} {
		o.Resize(size)
		o.Check(officeRules)
		o.Shot(fmt.Sprintf("evening-%s-%d", name, size.Width))
	}
	o.Axe()
}

// types fills in a field of a form that is open.
func (o deskWorker) types(selector, text string) {
	o.t.Helper()
	o.Await(fmt.Sprintf(`document.querySelector(%q)`, selector))
	o.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// decides rules on the first open item of a kind.
func (o deskWorker) decides(kind, choice, reason string) {
	o.t.Helper()
	o.Open(o.base + "/queue?" + url.Values{"kind": {kind}}.Encode())
	o.Visit(".to-item")
	o.Await(fmt.Sprintf(`document.querySelector("#pick-%s")`, choice))
	o.looks("item-" + kind + "-" + choice)
	o.Click("#pick-" + choice)
	o.types("#reason", reason)
	o.Follow("#decide")
	o.Await(`!document.querySelector(".trouble")`)
}

// arrives waits until a device that holds an entity has it as the hub does.
func (o deskWorker) arrives(w *world, name string) {
	o.t.Helper()
	typ, id, _ := strings.Cut(name, "/")
	ref := entry.Ref{Type: typ, ID: id}
	holders := 0
	err := until(o.t.Context(), name+" as it was decided arrives", func() (bool, error) {
		hub, err := w.hub.Store().Entity(o.t.Context(), ref)
		if err != nil {
			return false, err
		}
		holders = 0
		for _, m := range w.members {
			m.Link().Kick()
			row, here, err := m.Store().Base(ref)
			if err != nil {
				return false, err
			}
			if !here {
				continue
			}
			if holders++; !bytes.Equal(row.Body, hub.State) {
				return false, nil
			}
		}
		return holders > 0, nil
	})
	if err != nil {
		o.t.Error(err)
	}
}

// TestEveningAtTheConsole is what an operator does once the day is over: of two conflicts one
// is decided and of the other those who wrote are asked; both duplicates are linked; of what was
// set aside one record is put right, the other returned and, in the end, rejected. What was
// decided arrives on the devices. The pensioners' list is imported and a row of it decided
// about; the day's statement is signed, stored, checked and opened, and its records
// are taken away.
func TestEveningAtTheConsole(t *testing.T) {
	b := webuitest.Start(t)
	w, _ := dayUntil(t, "18:40")
	for _, m := range w.members { // in the evening they are all at home
		m.line.raise()
		m.Link().Kick()
	}
	base, _, _ := strings.Cut(w.hub.EnterURL(), "/enter")
	o := deskWorker{b, t, base}
	b.Resize(webuitest.Desk)
	b.Open(w.hub.EnterURL())
	b.Await(`document.querySelector("#fleet")`)
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		for _, page := range []string{"/", "/queue", "/queue?kind=duplicate", "/queue?kind=quarantine", "/queue?kind=gap", "/devices", "/packs", "/ledger"} {
			b.Open(base + page)
			b.Await(`document.querySelector("main")`)
			o.looks(strings.Trim(strings.NewReplacer("/", "-", "?kind=", "-").Replace(page), "-") + "-" + lang)
		}
	}

	before, err := w.hub.Office().Items(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, it := range before {
		count[it.Kind]++
	}
	if count[store.Conflicts] != 2 || count[store.Duplicates] != 2 {
		t.Fatalf("the day left %v", count)
	}
	o.decides("conflict", "a", "which number does he answer?")
	b.Open(base + "/queue?kind=conflict")
	for n := webuitest.Eval[int](b, `document.querySelectorAll(".to-item").length`); n > 1; n-- { // the one that is asked stays open
		b.Open(base + "/queue?kind=conflict")
		b.Await(`document.querySelector(".to-item")`)
		at := webuitest.Eval[int](b, `[...document.querySelectorAll(".row")].findIndex((r) => !r.innerText.includes("asked")) + 1`)
		if at == 0 {
			break
		}
		b.Visit(fmt.Sprintf(".row:nth-of-type(%d) .to-item", at))
		b.Await(`document.querySelector("#pick-2")`)
		b.Click("#pick-2")
		o.types("#reason", "counted later, one by one")
		b.Follow("#decide")
		b.Await(`document.querySelector("#undo")`)
	}
	for range 2 {
		o.decides("duplicate", "1", "the same check")
	}
	after, err := w.hub.Office().Items(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range after {
		switch {
		case it.Kind == store.Duplicates && it.State != store.Decided:
			t.Errorf("item %d is %s", it.ID, it.State)
		case it.Kind == store.Conflicts && it.State == store.Decided:
			count["decided"]++
			o.arrives(w, it.Entity)
		case it.Kind == store.Conflicts && it.State == store.Open:
			count["asked"]++
		}
	}
	if count["decided"] != 1 || count["asked"] != 1 {
		t.Errorf("%d conflicts were decided, and of %d somebody is asked", count["decided"], count["asked"])
	}

	aside := map[string]dot.Dot{}
	for e, err := range w.hub.Office().Entries(t.Context(), store.EntryQuery{Verdict: store.Quarantined}) {
		if err != nil {
			t.Fatal(err)
		}
		aside[e.Code] = e.Dot
	}
	inside := func(what string, d dot.Dot) string { return fmt.Sprintf(`[id="%s-%s"]`, what, d) }
	wrong, newer := aside["id_checksum"], aside["form_newer"]
	b.Open(base + "/queue?kind=quarantine")
	b.Await(fmt.Sprintf(`document.querySelector(%q)`, inside("accept", wrong)))
	b.Click(inside("accept", wrong) + " summary")
	o.types(inside("accept", wrong)+` input[name="answer.set.resident_id"]`, "999922200802332121")
	o.types(inside("accept", wrong)+` input[name="reason"]`, "read from the card again")
	o.looks("accept")
	b.Follow(inside("accept", wrong) + " button")
	b.Await(`document.querySelector(".trouble")`) // still mistyped: said, and nothing is done
	b.Await(fmt.Sprintf(`document.querySelector(%q).value === "999922200802332121"`, inside("accept", wrong)+`[open] input[name="answer.set.resident_id"]`))
	o.looks("accept-wrong")
	for _, last := range "0123456789X" {
		b.Open(base + "/queue?kind=quarantine")
		if !webuitest.Eval[bool](b, fmt.Sprintf(`!!document.querySelector(%q)`, inside("accept", wrong))) {
			break
		}
		b.Click(inside("accept", wrong) + " summary")
		o.types(inside("accept", wrong)+` input[name="answer.set.resident_id"]`, "99992220080223212"+string(last))
		o.types(inside("accept", wrong)+` input[name="reason"]`, "read from the card again")
		b.Follow(inside("accept", wrong) + " button")
	}
	b.Open(base + "/queue?kind=quarantine")
	if webuitest.Eval[bool](b, fmt.Sprintf(`!!document.querySelector(%q)`, inside("accept", wrong))) {
		t.Fatal("no number was accepted")
	}
	b.Click(inside("return", newer) + " summary")
	o.types(inside("return", newer)+` input[name="reason"]`, "please fill in the form of last year")
	b.Follow(inside("return", newer) + " button")
	b.Await(fmt.Sprintf(`document.querySelector(%q) && !document.querySelector(".trouble")`, inside("reject", newer)))

	// It arrives: the author of each reads what became of it.
	for d, want := range map[dot.Dot]string{wrong: ingest.CodeCorrected, newer: ingest.CodeReturned} {
		m := w.members[d.Device]
		err := until(t.Context(), want+" arrives on "+string(d.Device), func() (bool, error) {
			m.Link().Kick()
			rows, err := m.Log(t.Context(), web.LogQuery{Limit: 1000})
			if err != nil {
				return false, err
			}
			for _, r := range rows {
				if r.Dot == d && r.Verdict != nil && r.Verdict.Code == want {
					return true, nil
				}
			}
			return false, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	b.Open(base + "/queue?kind=quarantine")
	b.Click(inside("reject", newer) + " summary")
	o.types(inside("reject", newer)+` input[name="reason"]`, "filed on paper after all")
	b.Follow(inside("reject", newer) + " button")
	b.Await(fmt.Sprintf(`!document.querySelector(%q)`, inside("reject", newer)))
	o.importsTheRoster(w)
	o.makesTheStatement(w)
	o.takesRecordsAway(w)
	b.Open(base + "/ledger")
	b.Await(`document.querySelector("main .row")`)
	o.looks("ledger-after")
	for _, trouble := range b.Trouble() {
		if !strings.Contains(trouble, "/queue/aside") { // the ruling that was refused
			t.Error("the browser complains:", trouble)
		}
	}
	if got := b.Elsewhere(base); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
}
