package server_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/internal/entry"
	"otor/internal/webui/webuitest"
)

// signsIn makes an administrator and brings the browser in by the link that makes one.
func signsIn(t *testing.T, b *webuitest.Browser, s *server.Server) {
	t.Helper()
	l, err := s.Office().AddOperator(t.Context(), server.NewOperator{Name: "rita", Title: "Rita", Role: "administrator", Scopes: []string{"*"}})
	check(t, err)
	b.Resize(webuitest.Desk)
	b.Open(l.Link)
	b.Await(`document.querySelector("#again")`)
	b.Do(chromedp.SendKeys(chromedp.CSS("#password"), password))
	b.Do(chromedp.SendKeys(chromedp.CSS("#again"), password))
	b.Follow("#go")
	b.Await(`document.querySelector("#fleet")`)
}

// looked holds a page to the rules at each size, and keeps pictures of it.
func looked(b *webuitest.Browser, name string) {
	for _, size := range []webuitest.Size{webuitest.Phone, webuitest.Desk} {
		b.Resize(size)
		b.Check(webuitest.Rules{MinText: 16, MinTarget: 24, Contrast: 7})
		b.Axe()
		b.Shot(name + map[bool]string{true: "-desk", false: "-phone"}[size == webuitest.Desk])
	}
}

// Somebody looks for a record, reads it, reveals a number, and asks why a value is there;
// in each language, at each size, as the pages are held to.
func TestRecordsInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	s := village(t)
	home := entry.Ref{Type: "household", ID: "H-AA"}
	e := visited(t, s, home.ID, "羊圈漏雨，电话13904831234找他儿子")
	row, err := s.Store().Entity(t.Context(), home)
	check(t, err)
	for _, phone := range []string{"13904831111", "13904832222"} {
		_, err := s.Author().Add(t.Context(), ingest.Note{
			Form: "household_edit", Entity: home, Actor: "U-10", Fields: map[string]any{"set": map[string]any{"phone": phone}}, Displayed: map[entry.Ref][]byte{home: row.State},
		})
		check(t, err)
	}
	base := "http://" + s.HTTPAddr()
	signsIn(t, b, s)
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		for name, at := range map[string]string{
			"records": "/records", "record": "/records/" + e.Dot.String(), "entity": "/entities/household/H-AA", "entities": "/entities?text=%E5%B7%B4%E7%89%B9",
		} {
			b.Open(base + at)
			b.Await(`document.querySelector("main .card")`)
			looked(b, "console-"+name+"-"+lang)
		}
	}
	b.Open(base + "/records")
	b.Do(chromedp.SendKeys(chromedp.CSS("#text"), "漏雨"))
	b.Follow("#find")
	b.Await(`document.querySelectorAll("#records .row").length === 1`)
	looked(b, "console-records-found")
	b.Visit("#records .to-item")
	b.Await(`document.querySelector("#answers")`)
	b.Click("[id=\"reveal-needs\"] summary")
	b.Do(chromedp.SendKeys(chromedp.CSS("[id=\"reveal-needs\"] input[name=reason]"), "the ambulance asks"))
	b.Follow("[id=\"reveal-needs\"] button")
	b.Await(`document.querySelector("#revealed").innerText.includes("13904831234")`)
	looked(b, "console-record-revealed")
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	if got := b.Elsewhere(base); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
}
