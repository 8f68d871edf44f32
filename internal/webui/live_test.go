package webui_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

// livePage is a page with three live regions: one that somebody works in, one that
// stays the same but for the time of its data, and one that changes.
const livePage = `<!doctype html><html lang="en"><title>Live</title><body data-events="/events">
<div id="stale" data-text="{at}" hidden><span></span></div>
<div id="work" data-live data-asof="%[1]d"><form><select id="role" name="role"><option>viewer</option><option>reconciler</option></select>
<input type="radio" name="choice" id="keep"><input id="reason"><details id="more"><summary>More</summary></details><b id="made">%[1]d</b></form></div>
<p id="same" data-live data-asof="%[1]d">as ever</p>
<p id="moves" data-live>%[1]d</p>
<script src="/live.js"></script></body></html>`

// Whoever has typed or chosen something keeps it while the page is kept true; what did not
// change stays the same node, so that nothing is read aloud twice.
func TestLivePagesLeaveWhatIsInUse(t *testing.T) {
	b := webuitest.Start(t)
	var bell webui.Bell
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, livePage, n.Add(1))
	})
	mux.HandleFunc("GET /live.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(webui.Live())
	})
	mux.Handle("GET /events", &webui.Stream{Listen: bell.Listen})
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = webui.NewServer(t.Context(), mux, slog.New(slog.DiscardHandler))
	srv.Start()
	t.Cleanup(srv.Close) // by then the stream has ended, with the test's context
	b.Open(srv.URL + "/")
	// refreshed rings and waits until the page was fetched anew and taken over.
	refreshed := func() {
		t.Helper()
		before := webuitest.Eval[string](b, `document.getElementById("moves").textContent`)
		bell.Ring()
		b.Await(fmt.Sprintf(`document.getElementById("moves").textContent !== %q`, before))
	}
	made := func() string { return webuitest.Eval[string](b, `document.getElementById("made").textContent`) }

	webuitest.Eval[bool](b, `(window.same = document.getElementById("same")).dataset.asof.length > 0`)
	was := made()
	refreshed()
	if made() == was {
		t.Error("a region that nobody uses is not kept true")
	}
	if !webuitest.Eval[bool](b, `window.same.isConnected && window.same.dataset.asof === document.getElementById("moves").textContent`) {
		t.Error("what did not change was replaced, or is of an older time")
	}
	for _, use := range []struct{ name, does, holds, undoes string }{
		{"a choice of a list", `document.getElementById("role").selectedIndex = 1`, `document.getElementById("role").value === "reconciler"`, `document.getElementById("role").selectedIndex = 0`},
		{"a choice", `document.getElementById("keep").checked = true`, `document.getElementById("keep").checked`, `document.getElementById("keep").checked = false`},
		{"a text", `document.getElementById("reason").value = "seen"`, `document.getElementById("reason").value === "seen"`, `document.getElementById("reason").value = ""`},
	} {
		webuitest.Eval[bool](b, `(`+use.does+`, document.activeElement.blur(), true)`)
		was := made()
		refreshed()
		if !webuitest.Eval[bool](b, use.holds) || made() != was {
			t.Errorf("%s was lost", use.name)
		}
		webuitest.Eval[bool](b, `(`+use.undoes+`, true)`)
		refreshed()
		if made() == was {
			t.Errorf("%s: the region is not kept true once it is as it was", use.name)
		}
	}
	webuitest.Eval[bool](b, `document.getElementById("more").open = true`)
	refreshed()
	if !webuitest.Eval[bool](b, `document.getElementById("more").open`) {
		t.Error("what was opened was closed")
	}
}
