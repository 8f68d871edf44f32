package web_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"otor/agent/web"
	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

// The large buttons stand in the traditional script as well, in Mongolian alone,
// downwards and in the font that comes with the program.
func TestTallLabels(t *testing.T) {
	for lang, want := range map[string]bool{"mn": true, "zh": false, "en": false} {
		cfg, _, _ := teamConfig(t)
		cfg.DefaultLang = lang
		srv := httptest.NewServer(web.New(cfg))
		t.Cleanup(srv.Close)
		if _, body := page(t, reader(t, srv), srv.URL+"/"); strings.Contains(body, "ᠥᠷᠲᠡᠭᠡ") != want {
			t.Errorf("%s: the stations in the traditional script: want %v", lang, want)
		}
	}
	b := webuitest.Start(t)
	cfg, _, _ := teamConfig(t)
	cfg.DefaultLang = "mn"
	srv := newServer(t, web.New(cfg))
	b.Resize(webuitest.Phone)
	b.Open(webui.EnterURL(srv, "secret"))
	b.Await(`document.querySelector(".tall")`)
	b.Await(`document.fonts.status === "loaded" && document.fonts.check('24px "Noto Sans Mongolian"', "ᠵᠠᠮ")`)
	tall := webuitest.Eval[bool](b, `[...document.querySelectorAll(".tall")].every((e) => { const r = e.getBoundingClientRect(); return getComputedStyle(e).writingMode === "vertical-lr" && r.height > r.width && parseFloat(getComputedStyle(e).fontSize) >= 22 })`)
	if !tall {
		t.Error("the labels do not stand downwards, large enough")
	}
	for _, size := range []webuitest.Size{webuitest.Phone, webuitest.Small} {
		b.Resize(size)
		b.Check(rules)
		b.Axe()
	}
	b.Shot("home-tall")
	if got := b.Elsewhere(srv); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
}
