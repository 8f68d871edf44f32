package web_test

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"

	"otor/agent/web"
	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

func dirFS(name string) fs.FS { return os.DirFS(name) }

// own are the keys that this room adds.
func own(all *webui.Catalogues) []string {
	shared := webui.Shared().Keys()
	return slices.DeleteFunc(all.Keys(), func(k string) bool { return slices.Contains(shared, k) })
}

var rules = webuitest.Rules{MinText: 18, MinTarget: 48, Contrast: 7}

func TestPageInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	p := newPhone().day()
	cfg := config(p)
	cfg.DefaultLang = "zh"
	srv := newServer(t, web.New(cfg))

	b.Resize(webuitest.Phone)
	b.Open(srv + "/")
	b.Await(`document.querySelector(".refused h1")`)
	b.Check(rules)
	b.Shot("agent-refused-phone")
	b.Trouble() // the refusal itself

	b.Open(webui.EnterURL(srv, "secret"))
	b.Await(`document.querySelector("#strip")`)
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		b.Await(fmt.Sprintf(`document.documentElement.lang === %q`, lang))
		for _, size := range webuitest.Sizes {
			b.Resize(size)
			b.Check(rules)
			b.Shot(fmt.Sprintf("agent-home-%s-%d", lang, size.Width))
		}
	}

	// What is captured elsewhere arrives without a reload, and so do its ticks.
	b.Resize(webuitest.Phone)
	webuitest.Eval[bool](b, `window.sameDocument = true`)
	p.mu.Lock()
	p.capture("visit", "H-NEW-99", noon)
	p.mu.Unlock()
	p.Ring()
	b.Await(`document.querySelector("#entries").innerText.includes("H-NEW-99") && window.sameDocument`)
	b.Await(`document.querySelector("#strip").innerText.includes("4 waiting")`)
	p.receive(7, noon)
	b.Await(`document.querySelector("#strip").innerText.includes("all at the hub") && window.sameDocument`)
	b.Shot("agent-home-en-all")

	// A contact that was asked for and did not work is told of.
	p.mu.Lock()
	p.state = web.Offline
	p.syncErr = &web.Refusal{Code: "unreachable", What: "no signal", Do: "try again on the next hill"}
	p.mu.Unlock()
	b.Click("#sync")
	b.Await(`document.querySelector("#link").innerText.includes("no signal; try again on the next hill") && window.sameDocument`)
	b.Check(rules)
	b.Shot("agent-home-en-offline")

	p.mu.Lock()
	p.lost = true
	p.findings = []web.Finding{{Code: "chain_broken", What: "2 entries cannot be read", Which: "D-101/1/record/4-5", Do: "bring this phone to the office; do not delete anything"}}
	p.mu.Unlock()
	p.Ring()
	b.Await(`document.querySelector("#findings").innerText.includes("2 entries")`)
	b.Await(`!document.body.innerText.includes("nothing lost")`)
	b.Check(rules)
	b.Shot("agent-home-en-danger")

	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	if got := b.Elsewhere(srv); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
}

// A page whose server is gone says from when it is.
func TestPageWithoutServer(t *testing.T) {
	b := webuitest.Start(t)
	p := newPhone().day()
	cfg := config(p)
	cfg.DefaultLang = "en"
	srv, stop := startServer(t, web.New(cfg))
	b.Resize(webuitest.Phone)
	b.Open(webui.EnterURL(srv, "secret"))
	b.Await(`document.querySelector("#strip")`)
	stop()
	webuitest.Eval[bool](b, `document.dispatchEvent(new Event("visibilitychange"))`)
	b.Await(`document.body.classList.contains("is-stale") && document.querySelector("#stale").innerText.includes("13:05")`)
	b.Check(rules)
	b.Shot("agent-home-en-stale")
}
