package web

import (
	"cmp"
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"otor/internal/webui"
)

// routeView is what route.html shows.
type routeView struct {
	webui.Frame
	Age    string
	Stops  []routeStop
	Unsaid []hazardView // open hazards of which nobody said where they are
}

// routeStop is a stop on the strip.
type routeStop struct {
	ID, Name, Km, Gap string // Gap: how far it is from the stop before
	Here              bool
	Facts             []told
	Say               string
	Hazards           []hazardView
	Stations          []link
	Camps             *link // the households that camp there
	Work              []link
}

// hazardView is an open hazard.
type hazardView struct {
	Name, Age string
	Facts     []told
	Say       string
	Work      []link
}

var routePage = webui.NewTemplate(files, "route.html", "parts.html")

func (s *site) route(w http.ResponseWriter, r *http.Request) {
	v := routeView{Frame: s.frame(r, "nav.route")}
	t, err := s.tell(r, v.Words)
	if err == nil && t.pages().Route == nil {
		err = &Refusal{Code: "no_pages", What: v.Words.T("page.none"), Do: v.Words.T("page.none.do")}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	route, here := t.pages().Route, s.whereabouts(r, t)
	hazards := s.hazards(t)
	before := 0.0
	for i, st := range t.stops() {
		stop := routeStop{
			ID: st.ID, Name: t.name(st.Type, st.ID), Km: t.km(st), Here: st.ID == here, Facts: t.facts(st, route.Facts), Say: t.T("say.conflict"),
			Hazards: hazards[st.ID], Stations: t.stationsAt(st.ID), Camps: t.campsAt(st.ID), Work: s.work(t, route.Forms, st.ID),
		}
		if km, ok := st.number(route.Km); ok {
			if i > 0 && km > before {
				stop.Gap = t.T("route.gap", "km", t.Decimal(km-before, 1))
			}
			before = km
		}
		if route.Report != "" && s.Visits != nil {
			stop.Work = append(stop.Work, link{"/visit/" + url.PathEscape(route.Report) + "?entity=" + url.QueryEscape(newID(st.ID)), t.T("route.report")})
		}
		delete(hazards, st.ID)
		if v.Age == "" {
			v.Age = t.age(st)
		}
		v.Stops = append(v.Stops, stop)
	}
	for _, at := range slices.Sorted(maps.Keys(hazards)) {
		v.Unsaid = append(v.Unsaid, hazards[at]...)
	}
	webui.Render(w, routePage, http.StatusOK, v, s.Log)
}

// newID is an id for an entity that a form begins at a stop: the stop's id and
// eight random characters, as ids of this kind are put together.
func newID(at string) string { return at + "." + rand.Text()[:8] }

// hazards lists the open ones by the stop at which they are.
func (s *site) hazards(t *teller) map[string][]hazardView {
	route := t.pages().Route
	out := map[string][]hazardView{}
	if route.Hazard == "" {
		return out
	}
	for _, id := range t.book.IDs(route.Hazard) {
		th, ok := t.book.Thing(route.Hazard, id)
		if !ok || route.Open != "" && !th.yes(route.Open) {
			continue
		}
		h := hazardView{
			Name:  cmp.Or(t.value(th.Type, route.HazardTitle, th.Fields[route.HazardTitle]), id),
			Facts: t.facts(th, route.HazardFacts), Say: t.T("say.conflict"), Work: s.work(t, route.HazardForms, id),
		}
		if len(th.Touches) > 0 {
			h.Age = t.T("route.seen", "at", t.Clock(t.now, th.Touches[0].At), "ago", t.Ago(t.now, th.Touches[0].At))
		}
		at, _, said := strings.Cut(id, ".")
		if _, stop := t.book.Thing(route.Type, at); !said || !stop {
			at = ""
		}
		out[at] = append(out[at], h)
	}
	return out
}

// stationsAt are the stations at a stop.
func (t *teller) stationsAt(stop string) []link {
	d := t.pages().Depots
	if d == nil || d.Stop == "" {
		return nil
	}
	var out []link
	for _, id := range t.book.Having(d.Type, d.Stop, stop) {
		out = append(out, link{"/station/" + url.PathEscape(id), t.name(d.Type, id)})
	}
	return out
}

// campsAt leads to the households that camp at a stop.
func (t *teller) campsAt(stop string) *link {
	v := t.pages().Visited
	if v == nil || v.Stop == "" {
		return nil
	}
	n := len(t.book.Having(v.Type, v.Stop, stop))
	if n == 0 {
		return nil
	}
	return &link{"/households?stop=" + url.QueryEscape(stop), t.T("route.camps", "n", n)}
}
