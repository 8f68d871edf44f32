package demo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"otor/internal/pack"
	"otor/internal/webui/webuitest"
)

// teamPages are the pages of the team, by the names of their pictures.
var teamPages = []struct{ name, path string }{
	{"home", "/"},
	{"households", "/households"},
	{"found", "/households?q=NB-07"},
	{"household-over", "/household/H-NB-07"},
	{"household-elders", "/household/H-NB-02"},
	{"records", "/records"},
	{"drafts", "/records?list=drafts"},
	{"waiting", "/records?list=waiting"},
	{"received", "/records?list=received"},
	{"returned", "/records?list=returned"},
	{"settings", "/settings"},
	{"due", "/due"},
	{"already", "/visit/pension_auth?entity=P007"},
	{"route", "/route"},
	{"bulletins", "/bulletins"},
	{"bulletin", "/bulletin/B-03"},
	{"stations", "/stations"},
	{"station", "/station/S1"},
	{"sos", "/sos"},
	{"refused", "/household/H-XX-99"},
}

var teamRules = webuitest.Rules{MinText: 18, MinTarget: 48, Contrast: 7}

// TestTeamPages looks at every page of the team, in every language and at the
// sizes of a phone, with what a device holds at the end of the day.
func TestTeamPages(t *testing.T) {
	b := webuitest.Start(t)
	w, _ := dayUntil(t, "18:40")
	base, _, _ := strings.Cut(w.members["D-102"].pageURL(), "/enter")
	b.Resize(webuitest.Phone)
	b.Open(w.members["D-102"].pageURL())
	b.Await(`document.querySelector("#strip")`)
	langs := []string{"zh", "mn", "en"}
	if testing.Short() {
		langs = langs[1:2] // that of the longest words
	}
	for _, lang := range langs {
		b.Open(base + "/")
		b.Follow("#lang-" + lang)
		for _, p := range teamPages {
			b.Open(base + p.path)
			b.Await(fmt.Sprintf(`document.readyState === "complete" && document.documentElement.lang === %q`, lang))
			for _, size := range []webuitest.Size{webuitest.Phone, webuitest.Small} {
				b.Resize(size)
				b.Check(teamRules)
				if size == webuitest.Phone {
					b.Axe()
				}
				b.Shot(fmt.Sprintf("team-%s-%s-%d", p.name, lang, size.Width))
			}
			b.Resize(webuitest.Phone)
		}
	}
	for _, trouble := range b.Trouble() {
		if !strings.Contains(trouble, "404") { // the page that is not there
			t.Error("the browser complains:", trouble)
		}
	}
	if got := b.Elsewhere(base); len(got) > 0 {
		t.Errorf("loaded from elsewhere: %q", got)
	}
}

// dayUntil plays the day up to a time of day.
func dayUntil(t *testing.T, until string, changes ...func(*Scenario)) (*world, *player) {
	t.Helper()
	s, err := (&Options{}).scenario()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(s)
	}
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	w, err := openWorld(t.Context(), s, p, worldConfig{dir: t.TempDir(), natsAddr: "127.0.0.1:0", httpOn: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	pl := newPlayer(w)
	end := clockTime(s.Meta.T0, until)
	pl.events = pl.events[:func() int {
		for i, e := range pl.events {
			if e.at.After(end) {
				return i
			}
		}
		return len(pl.events)
	}()]
	if err := pl.play(t.Context(), func(context.Context, time.Time) error { return nil }, func() {}); err != nil {
		t.Fatal(err)
	}
	w.clock.set(end)
	return w, pl
}
