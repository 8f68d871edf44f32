package server_test

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"otor/hub/server"
	"otor/internal/webui/webuitest"
)

// A reconciler's evening by keys: sign in, go to the queue, choose a side, say
// why; in each language, at each size, as the pages are held to.
func TestTheEveningInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	rules := webuitest.Rules{MinText: 16, MinTarget: 24, Contrast: 7}
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	l, err := s.Office().AddOperator(t.Context(), server.NewOperator{Name: "rita", Title: "Rita", Role: "administrator", Scopes: []string{"*"}})
	check(t, err)
	look := func(name string) {
		for _, size := range []webuitest.Size{webuitest.Phone, webuitest.Desk} {
			b.Resize(size)
			b.Check(rules)
			b.Shot(name + map[bool]string{true: "-desk", false: "-phone"}[size == webuitest.Desk])
		}
	}
	b.Resize(webuitest.Desk)
	b.Open(l.Link)
	b.Await(`document.querySelector("#again")`)
	look("console-join")
	b.Do(chromedp.SendKeys(chromedp.CSS("#password"), password))
	b.Do(chromedp.SendKeys(chromedp.CSS("#again"), password))
	b.Follow("#go")
	b.Await(`document.querySelector("#fleet")`)
	look("console-fleet")
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		b.Open(base + "/queue")
		b.Await(`document.querySelector(".to-item")`)
		look("console-queue-" + lang)
	}
	for _, kind := range []string{"gap", "quarantine"} {
		b.Open(base + "/queue?" + url.Values{"kind": {kind}}.Encode())
		b.Await(`document.querySelector("#waits")`)
		look("console-" + kind)
	}
	b.Open(base + "/queue")
	b.Await(`document.querySelector(".to-item")`)
	b.Do(chromedp.KeyEvent("j"))
	b.Await(`document.activeElement.classList.contains("to-item")`)
	b.Do(chromedp.KeyEvent("\r"))
	b.Await(`document.querySelector("#ruling")`)
	look("console-item")
	b.Do(chromedp.KeyEvent("2"))
	b.Await(`document.querySelector("#pick-2").checked && document.activeElement.id === "reason"`)
	b.Do(chromedp.SendKeys(chromedp.CSS("#reason"), "the daughter said so"))
	b.Follow("#decide")
	b.Await(`document.querySelector("#undo") && document.querySelector("#state").innerText.includes("rita")`)
	look("console-item-decided")
	for _, page := range []string{"devices", "ledger", "operators"} {
		b.Open(base + "/" + page)
		b.Await(`document.querySelector("main .row")`)
		look("console-" + page)
	}
	b.Open(base + "/statements")
	b.Await(`document.querySelector("#make")`)
	look("console-statements")
	b.Open(base + "/account")
	b.Await(`document.querySelector("#factor-state") && !document.querySelector(".qr")`)
	look("console-account")
	b.Do(chromedp.Click(chromedp.CSS("#factor-new summary")))
	b.Do(chromedp.SendKeys(chromedp.CSS("#new-password"), password))
	b.Follow("#begin-factor")
	b.Await(`document.querySelector(".qr")`)
	look("console-account-factor")
	b.Open(base + "/account")
	b.Await(`document.querySelector("#factor-state") && !document.querySelector(".qr")`)
	b.Follow("#sign-out")
	b.Await(`document.querySelector("#name")`)
	look("console-signin")
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	if got := b.Elsewhere(base); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
	// A session that ends elsewhere takes the open page with it.
	b.Do(chromedp.SendKeys(chromedp.CSS("#name"), "rita"))
	b.Do(chromedp.SendKeys(chromedp.CSS("#password"), password))
	b.Follow("#go")
	b.Open(base + "/queue")
	b.Await(`document.querySelector("#waits")`)
	webuitest.Eval[bool](b, `(fetch("/signout", { method: "POST" }).then(() => document.dispatchEvent(new Event("visibilitychange"))), true)`)
	b.Await(`location.pathname === "/signin" && document.querySelector("#go")`)
}
