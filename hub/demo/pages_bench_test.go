package demo

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"otor/internal/pack"
	"otor/internal/webui/webuitest"
)

// evening lets the scenario's day pass and gives the address of a device's page:
// a device that has a gacha's households, persons, herds, places and its own
// records.
func evening(b *testing.B) string {
	b.Helper()
	s, err := (&Options{}).scenario()
	if err != nil {
		b.Fatal(err)
	}
	p, err := pack.Transhumance()
	if err != nil {
		b.Fatal(err)
	}
	w, err := openWorld(b.Context(), s, p, worldConfig{dir: b.TempDir(), natsAddr: "127.0.0.1:0", httpOn: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.close(); err != nil {
			b.Error(err)
		}
	})
	pl := newPlayer(w)
	if err := pl.play(b.Context(), func(context.Context, time.Time) error { return nil }, func() {}); err != nil {
		b.Fatal(err)
	}
	return w.members["D-101"].pageURL()
}

// loaded is what a browser says of the page that it has just loaded: when people
// could use it, and how many bytes came for it.
type loaded struct {
	Interactive float64 // ms since the address was entered, scripts done
	Bytes       float64
}

const howLoaded = `(() => {
	const nav = performance.getEntriesByType("navigation")[0];
	const all = [nav, ...performance.getEntriesByType("resource")];
	return {Interactive: nav.loadEventEnd, Bytes: all.reduce((n, e) => n + e.transferSize, 0)};
})()`

// BenchmarkHomeReady prints P11: how long the team's home page takes at a quarter
// of this machine's speed until it can be used, and what it weighs, when nothing of
// it is in the browser yet.
func BenchmarkHomeReady(b *testing.B) {
	w := webuitest.Start(b)
	page := evening(b)
	w.Resize(webuitest.Phone)
	w.Open(page)
	w.Await(`document.querySelector("#strip")`)
	home, err := url.Parse(page)
	if err != nil {
		b.Fatal(err)
	}
	home.Path, home.RawQuery = "/", ""
	w.Slow(4)
	var worst loaded
	for b.Loop() {
		w.Forget()
		w.Open(home.String())
		w.Await(`document.querySelector("#strip") && performance.getEntriesByType("navigation")[0].loadEventEnd > 0`)
		got := webuitest.Eval[loaded](w, howLoaded)
		worst.Interactive, worst.Bytes = max(worst.Interactive, got.Interactive), max(worst.Bytes, got.Bytes)
	}
	b.ReportMetric(worst.Interactive/1000, "s-worst")
	b.ReportMetric(worst.Interactive/1000, "x-of-1-s")
	b.ReportMetric(worst.Bytes/1000, "kB")
	b.ReportMetric(worst.Bytes/300_000, "x-of-300-kB")
}

// BenchmarkVisitReady prints how long the form page takes until its first question
// can be answered, about a household that the device has, at a quarter of this
// machine's speed; and the same for a browser that never opened a form.
func BenchmarkVisitReady(b *testing.B) {
	w := webuitest.Start(b)
	page := evening(b)
	w.Resize(webuitest.Phone)
	w.Open(page)
	w.Await(`document.querySelector("#strip")`)
	visit, err := url.Parse(page)
	if err != nil {
		b.Fatal(err)
	}
	visit.Path, visit.RawQuery = "/visit/livestock_count", url.Values{"entity": {"H-NB-07"}}.Encode()
	w.Slow(4)
	open := func() float64 {
		w.Open(visit.String())
		w.Await(`performance.getEntriesByName("otor-ready").length > 0`)
		return webuitest.Eval[float64](w, `performance.getEntriesByName("otor-ready")[0].startTime`)
	}
	var first, later float64
	for b.Loop() {
		w.Forget()
		first = max(first, open())
		later = max(later, open())
	}
	b.ReportMetric(later/1000, "s-worst")
	b.ReportMetric(later/2500, "x-of-2.5-s")
	b.ReportMetric(first/1000, "s-first-ever")
}
