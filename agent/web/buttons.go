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
	if s.Alarms != nil {
		mux.HandleFunc("GET /sos", s.sos)
		mux.HandleFunc("POST /sos", s.raise)
		mux.HandleFunc("GET /sos/sent", s.sosSent)
	}
	mux.HandleFunc("GET /household/{id}", s.household)
	mux.HandleFunc("GET /route", s.route)
	mux.HandleFunc("GET /due", s.agenda)
	mux.HandleFunc("GET /bulletins", s.bulletins)
	mux.HandleFunc("GET /bulletin/{id}", s.bulletin)
	mux.HandleFunc("POST /bulletin/{id}", s.heard)
	mux.HandleFunc("GET /stations", s.stations)
	mux.HandleFunc("GET /station/{id}", s.station)
	mux.HandleFunc("POST /station/{id}", s.move)
}

// buttons are the ways from the start page: at most four large ones, and the rest.
func (s *site) buttons(r *http.Request, w *webui.Words) (main, more []button) {
	if t, err := s.tell(r, w); err == nil {
		unread := ""
		if t.pages().Notices != nil { // first: counting what is due may keep the book busy
			unread = t.unreadCount()
		}
		if t.pages().Visited != nil {
			main = append(main, button{ID: "visit", URL: "/due", Text: w.T("nav.visit"), Tall: w.Tall("nav.visit"), Shape: "check", Count: s.dueCount(r.Context(), t)})
			main = append(main, button{ID: "households", URL: "/households", Text: w.T("nav.households"), Tall: w.Tall("nav.households"), Shape: "ger"})
		}
		if t.pages().Route != nil {
			more = append(more, button{ID: "route", URL: "/route", Text: w.T("nav.route"), Shape: "route"})
		}
		if t.pages().Notices != nil {
			main = append(main, button{ID: "bulletins", URL: "/bulletins", Text: w.T("nav.bulletins"), Tall: w.Tall("nav.bulletins"), Shape: "horn", Count: unread})
		}
		if t.pages().Depots != nil {
			main = append(main, button{ID: "stations", URL: "/stations", Text: w.T("nav.stations"), Tall: w.Tall("nav.stations"), Shape: "station"})
		}
	}
	more = append(more, button{ID: "records", URL: "/records", Text: w.T("nav.lists"), Shape: "list"})
	if s.Prefs != nil {
		more = append(more, button{ID: "settings", URL: "/settings", Text: w.T("nav.settings"), Shape: "gear"})
	}
	return main, more
}

// unreadCount says how many bulletins not everybody has heard who must.
func (t *teller) unreadCount() string {
	n := uint64(0)
	for _, th := range t.notices() {
		if heard, all := t.heardCount(th.ID); th.yes(t.pages().Notices.Must) && heard < all {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return t.Num(n)
}
