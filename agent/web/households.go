package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"otor/internal/pack"
	"otor/internal/webui"
)

// mostHouseholds bounds what one page lists.
const mostHouseholds = 120

// householdsView is what households.html shows.
type householdsView struct {
	webui.Frame
	Query  string
	Stops  []stopOf
	Found  int
	More   bool // there are more than are shown
	Age    string
	Search bool
}

// stopOf is a stop of the route with who camps there.
type stopOf struct {
	ID, Name, Km string
	Here         bool // the team was here last
	Rows         []householdRow
}

// householdRow is one line of the list.
type householdRow struct {
	URL, Name, ID, Last string
	Marks               []mark
}

// mark is a state with a colour, a shape and a word.
type mark struct{ Tone, Shape, Text string }

var householdsPage = webui.NewTemplate(files, "households.html", "parts.html")

func (s *site) households(w http.ResponseWriter, r *http.Request) {
	v := householdsView{Frame: s.frame(r, "nav.households"), Query: clipQuery(r.URL.Query().Get("q")), Search: s.Entities != nil}
	v.Still = v.Search
	t, err := s.tell(r, v.Words)
	if err == nil && t.pages().Visited == nil {
		err = &Refusal{Code: "no_pages", What: v.Words.T("page.none"), Do: v.Words.T("page.none.do")}
	}
	var ids []string
	if err == nil {
		ids, err = s.wanted(r, t, v.Query)
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	v.Found = len(ids)
	s.byRoute(r, t, &v, ids)
	webui.Render(w, householdsPage, http.StatusOK, v, s.Log)
}

// clipQuery bounds what somebody looks for.
func clipQuery(q string) string {
	r := []rune(strings.TrimSpace(q))
	return string(r[:min(len(r), 80)])
}

// wanted lists the visited entities that a search finds: by their own words or
// by those of what belongs to them. No words: all of them.
func (s *site) wanted(r *http.Request, t *teller, words string) ([]string, error) {
	v := t.pages().Visited
	if stop := r.URL.Query().Get("stop"); stop != "" && v.Stop != "" {
		return t.book.Having(v.Type, v.Stop, stop), nil
	}
	if words == "" || s.Entities == nil {
		return t.book.IDs(v.Type), nil
	}
	found, err := s.Entities.Find(r.Context(), words, MaxFound)
	if err != nil {
		return nil, err
	}
	var out []string
	add := func(id string) {
		if _, known := t.book.Thing(v.Type, id); known && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, f := range found {
		if f.Type == v.Type {
			add(f.ID)
			continue
		}
		for _, p := range v.Parts {
			if p.Type == f.Type {
				thing, _ := t.book.Thing(f.Type, f.ID)
				add(thing.text(p.By))
			}
		}
	}
	return out, nil
}

// byRoute puts the list in the order in which the team comes by: from the stop
// where it was last onwards, then the stops behind it.
func (s *site) byRoute(r *http.Request, t *teller, v *householdsView, ids []string) {
	stops, here := t.stops(), s.whereabouts(r, t)
	at := map[string]*stopOf{}
	for i, st := range stops {
		at[st.ID] = &stopOf{ID: st.ID, Name: t.name(st.Type, st.ID), Km: t.km(st), Here: st.ID == here}
		if st.ID == here {
			stops = append(slices.Clone(stops[i:]), stops[:i]...)
			break
		}
	}
	for _, st := range stops {
		if at[st.ID] == nil {
			at[st.ID] = &stopOf{ID: st.ID, Name: t.name(st.Type, st.ID), Km: t.km(st)}
		}
	}
	rest := &stopOf{Name: t.T("households.elsewhere")}
	latest, due := s.latest(r), t.dueCounts()
	vis := t.pages().Visited
	for _, id := range ids {
		thing, ok := t.book.Thing(vis.Type, id)
		if !ok {
			continue
		}
		to := rest
		if st := at[thing.text(vis.Stop)]; st != nil {
			to = st
		}
		to.Rows = append(to.Rows, s.householdRow(t, thing, latest, due[thing.ID]))
		if v.Age == "" {
			v.Age = t.age(thing)
		}
	}
	left := mostHouseholds
	for _, st := range append(stops, Thing{}) {
		to := rest
		if st.ID != "" {
			to = at[st.ID]
		}
		if len(to.Rows) == 0 && (!to.Here || v.Query != "") {
			continue
		}
		slices.SortStableFunc(to.Rows, func(a, b householdRow) int {
			return cmp.Or(cmp.Compare(len(b.Marks), len(a.Marks)), strings.Compare(a.ID, b.ID))
		})
		v.More = v.More || len(to.Rows) > left
		to.Rows = to.Rows[:min(left, len(to.Rows))]
		left -= len(to.Rows)
		v.Stops = append(v.Stops, *to)
	}
}

func (s *site) householdRow(t *teller, thing Thing, latest map[string]EntryRow, due []DueLine) householdRow {
	row := householdRow{URL: "/household/" + thing.ID, Name: t.name(thing.Type, thing.ID), ID: thing.ID}
	if e, ok := latest[thing.ID]; ok {
		row.Last = t.T("households.last", "what", s.title(t.Words, e.Form), "at", t.Clock(t.now, e.DeviceTime))
	}
	if len(due) > 0 {
		m := mark{"wait", "clock", t.T("due.n", "n", len(due))}
		if slices.ContainsFunc(due, func(l DueLine) bool { return l.Days < 0 }) {
			m.Tone, m.Shape = "danger", "danger"
		}
		row.Marks = append(row.Marks, m)
	}
	if m, ok := t.balanceMark(thing); ok {
		row.Marks = append(row.Marks, m)
	}
	if len(thing.Conflicts) > 0 {
		row.Marks = append(row.Marks, mark{"danger", "danger", t.T("say.conflict")})
	}
	return row
}

// balanceMark warns of what is counted beyond what is allowed.
func (t *teller) balanceMark(thing Thing) (mark, bool) {
	b := t.pages().Visited.Balance
	if b == nil {
		return mark{}, false
	}
	share, ok := thing.number(b.Share)
	if st := thing.text(b.Status); !ok || st == "" || st != b.Over && st != b.Watch {
		return mark{}, false
	}
	m := mark{"wait", "wait", t.T("balance.over", "share", t.Percent(share))}
	if thing.text(b.Status) == b.Over {
		m.Tone, m.Shape = "danger", "danger"
	}
	return m, true
}

// stops are the route's, in order.
func (t *teller) stops() []Thing {
	r := t.pages().Route
	if r == nil {
		return nil
	}
	var out []Thing
	for _, id := range t.book.IDs(r.Type) {
		if th, ok := t.book.Thing(r.Type, id); ok {
			out = append(out, th)
		}
	}
	slices.SortStableFunc(out, func(a, b Thing) int {
		x, _ := a.number(r.Order)
		y, _ := b.number(r.Order)
		return cmp.Compare(x, y)
	})
	return out
}

func (t *teller) km(stop Thing) string {
	if n, ok := stop.number(t.pages().Route.Km); ok {
		return t.T("route.km", "km", t.Decimal(n, 1))
	}
	return ""
}

// logLooked is how many of the latest entries pages look through.
const logLooked = 300

// latest finds the latest entry of this device about each entity.
func (s *site) latest(r *http.Request) map[string]EntryRow {
	rows, err := s.Device.Log(r.Context(), LogQuery{Limit: logLooked})
	if err != nil {
		s.Log.Warn("the log cannot be read", "err", err)
	}
	out := map[string]EntryRow{}
	for _, e := range rows {
		if _, later := out[e.Entity]; !later && e.Entity != "" {
			out[e.Entity] = e
		}
	}
	return out
}

// whereabouts is the stop of the route at which the team was last: that of the
// latest entry about a stop, or about somebody who camps at one. "" not known.
func (s *site) whereabouts(r *http.Request, t *teller) string {
	route, vis := t.pages().Route, t.pages().Visited
	if route == nil {
		return ""
	}
	rows, err := s.Device.Log(r.Context(), LogQuery{Limit: logLooked})
	if err != nil {
		return ""
	}
	for _, e := range rows {
		if _, ok := t.book.Thing(route.Type, e.Entity); ok {
			return e.Entity
		}
		if vis == nil {
			continue
		}
		if th, ok := t.visitedOf(vis, e.Entity); ok && th.text(vis.Stop) != "" {
			return th.text(vis.Stop)
		}
	}
	return ""
}

// visitedOf finds the visited entity that an id names, or that what it names belongs to.
func (t *teller) visitedOf(v *pack.Visited, id string) (Thing, bool) {
	if th, ok := t.book.Thing(v.Type, id); ok {
		return th, true
	}
	for _, p := range v.Parts {
		if part, ok := t.book.Thing(p.Type, id); ok {
			return t.book.Thing(v.Type, part.text(p.By))
		}
	}
	return Thing{}, false
}
