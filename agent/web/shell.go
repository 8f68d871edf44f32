package web

import (
	"context"
	"errors"
	"net/http"

	"otor/internal/webui"
)

// frame fills what every page of the team has around its matter.
func (s *site) frame(r *http.Request, heading string) webui.Frame {
	f := webui.NewFrame(r, texts(), s.assets, "home.css", s.DefaultLang, s.Clock())
	s.around(&f)
	if heading != "" {
		f.Heading = f.Words.T(heading)
		f.Title = f.Heading + " · Otor"
	}
	return f
}

// around adds the ways to the start page and to the call for help. The switch of
// languages stands on the start page and among the settings.
func (s *site) around(f *webui.Frame) {
	f.Home, f.Switch = f.Words.T("nav.home"), false
	if s.hasAlarm() {
		f.Alarm, f.AlarmURL = f.Words.T("nav.alarm"), "/sos"
	}
}

func (s *site) hasAlarm() bool {
	return s.Alarms != nil && s.Pack != nil && s.Pack() != nil && s.Pack().Pages != nil && s.Pack().Pages.Alarm != nil
}

var refusedPage = webui.NewTemplate(files, "page_refused.html")

// refusePage says in words why a page cannot be shown. 404: what a person can mend.
func (s *site) refusePage(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	status := http.StatusNotFound
	if _, ok := errors.AsType[*Refusal](err); !ok {
		s.Log.Error("page not shown", "path", r.URL.Path, "err", err)
		status = http.StatusInternalServerError
	}
	f := s.frame(r, "page.refused")
	f.Events = "" // it would be refused again
	webui.Render(w, refusedPage, status, struct {
		webui.Frame
		Refusal *Refusal
	}{f, asRefusal(err)}, s.Log)
}
