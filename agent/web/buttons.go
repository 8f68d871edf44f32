package web

import (
	"net/http"

	"otor/internal/webui"
)

// teamRoutes adds the team's pages.
func (s *site) teamRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /records", s.lists)
	if s.Prefs != nil {
		mux.HandleFunc("GET /settings", s.settings)
		mux.HandleFunc("POST /settings", s.saveSettings)
		mux.HandleFunc("POST /doctor", s.recheck)
	}
	if s.Books == nil {
		return
	}
	mux.HandleFunc("GET /households", s.households)
	mux.HandleFunc("GET /household/{id}", s.household)
}

// buttons are the ways from the start page: at most four large ones, and the rest.
func (s *site) buttons(r *http.Request, w *webui.Words) (main, more []button) {
	if t, err := s.tell(r, w); err == nil {
		if t.pages().Visited != nil {
			main = append(main, button{ID: "households", URL: "/households", Text: w.T("nav.households"), Shape: "ger"})
		}
	}
	more = append(more, button{ID: "records", URL: "/records", Text: w.T("nav.lists"), Shape: "list"})
	if s.Prefs != nil {
		more = append(more, button{ID: "settings", URL: "/settings", Text: w.T("nav.settings"), Shape: "gear"})
	}
	return main, more
}
