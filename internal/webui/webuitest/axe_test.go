package webuitest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"otor/internal/webui/webuitest"
)

// Axe finds what is wrong with a page that has faults of each kind that matters
// here, and nothing with one that has none.
func TestAxe(t *testing.T) {
	const head = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Page</title><style>body{font:20px sans-serif;color:#111;background:#fff}</style></head><body>`
	pages := map[string]string{
		"/good": head + `<header><h1>Page</h1></header><main><p>Words</p><form><label for="a">Name</label><input id="a" style="min-height:48px"><button style="min-height:48px;min-width:48px;color:#fff;background:#0b4f6c">Save</button></form></main></body></html>`,
		"/bad":  head + `<main><h1>Page</h1><p style="color:#666">Grey words</p><input><button style="padding:0;border:0;width:9px;height:9px;font-size:6px">x</button><button style="padding:0;border:0;width:9px;height:9px;font-size:6px">y</button><img src="data:,"></main></body></html>`,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(pages[r.URL.Path]))
	}))
	t.Cleanup(srv.Close)
	b := webuitest.Start(t)
	b.Resize(webuitest.Phone)
	b.Open(srv.URL + "/good")
	if got := b.AxeFinds(); len(got) > 0 {
		t.Errorf("a good page: %q", got)
	}
	b.Open(srv.URL + "/bad")
	got := strings.Join(b.AxeFinds(), "\n")
	for _, want := range []string{"color-contrast-enhanced: ", "label: ", "target-size: ", "image-alt: "} {
		if !strings.Contains(got, want) {
			t.Errorf("not found: %s in\n%s", want, got)
		}
	}
}
