package webui

import (
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"
)

//go:embed layout.html
var layoutFile embed.FS

// Frame is what every page has around its own matter. A page's view embeds it,
// begins with {{template "open" .}} and <main id="main">, and ends with
// {{template "close" .}}, which closes main.
type Frame struct {
	Words               *Words
	Title, Heading      string
	Style, Script, Icon string
	Events              string   // address of the page's [Stream]
	Still               bool     // without its script the page does not load itself anew: somebody may be typing
	Back                string   // where the language switch goes back to
	Choices             []Choice // of the language switch
	Switch              bool     // it stands in the header; else where the page puts {{template "langs" .}}
	Now                 time.Time
	AsOf                string // Now as a time of day, for people
	// Home is what the way to the start page is called; "": no such way is shown.
	// Alarm and AlarmURL lead from every page to the call for help; "": none.
	Home, Alarm, AlarmURL string
}

// Choice is one button of the language switch.
type Choice struct {
	Lang, Short, Name string
	On                bool
}

var shorts = map[string]string{"zh": "中", "mn": "Мо", "en": "EN"}

// NewFrame fills a frame for a request answered at now.
func NewFrame(r *http.Request, texts *Catalogues, a *Assets, style, defaultLang string, now time.Time) Frame {
	w := texts.Pick(r, defaultLang)
	f := Frame{
		Words: w, Style: a.URL(style), Script: a.URL("live.js"), Icon: a.URL("icon.svg"),
		Switch: true, Events: "/api/v1/events", Back: LocalPath(r.URL.RequestURI()), Now: now, AsOf: now.Format("15:04:05"),
	}
	for _, l := range langs {
		f.Choices = append(f.Choices, Choice{Lang: l, Short: shorts[l], Name: texts.Words(l).T("lang.name"), On: l == w.Lang})
	}
	return f
}

// NewTemplate parses one embedded page together with the frame, and with parts
// that several pages use.
func NewTemplate(from fs.FS, name string, parts ...string) *template.Template {
	t := template.Must(template.New(name).ParseFS(layoutFile, "layout.html"))
	return template.Must(t.ParseFS(from, append(parts, name)...))
}

// Render writes a page. Rendering goes through memory, so that a page is shown
// whole or not at all.
func Render(w http.ResponseWriter, t *template.Template, status int, view any, log *slog.Logger) {
	var b limitedBuffer
	if err := t.Execute(&b, view); err != nil {
		log.Error("page not rendered", "page", t.Name(), "err", err)
		http.Error(w, "the page could not be rendered; the program's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client is gone if this fails
}
