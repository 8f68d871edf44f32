package console

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"otor/internal/webui"
)

// Land is what the hub knows of the route.
type Land interface {
	// Route tells of the route in the reader's words.
	Route(ctx context.Context, w *webui.Words, now time.Time) (RouteMap, error)
}

// RouteMap is the route as a reader sees it.
type RouteMap struct {
	NoPack bool // no form pack tells of a route
	Stops  []RouteStop
	Unsaid []Hazard   // of which nobody said where they are
	Off    []Position // of teams that are at no stop
}

// RouteStop is a stop with what is there.
type RouteStop struct {
	ID, Name string
	Km       float64
	KmKnown  bool
	Facts    []Fact
	Hazards  []Hazard
	Stations []string
	Camps    int // households
	Teams    []Position
}

// Fact is one thing that is said of something.
type Fact struct{ Label, Text string }

// Hazard is an open one. Seen: when somebody last wrote of it; zero: not known.
type Hazard struct {
	Name  string
	Facts []Fact
	Seen  time.Time
	// Metres is how far from the stop it was reported, where the record says so.
	Metres float64
	Known  bool
}

// Position is where a device was last known to be.
type Position struct {
	Device, Team string
	At           time.Time
	Metres       float64 // from the stop
	Known        bool    // Metres is; else its record was about somebody or something there
}

type routeView struct {
	Frame
	Trouble string
	None    string // why there are no stops
	Stops   []stopView
	Unsaid  []hazardView
	Off     []teamView
	Strip   stripView
	Summary string
}

type stopView struct {
	ID, Name, Km, Gap, Camps string
	Facts                    []Fact
	Hazards                  []hazardView
	Stations                 []string
	Teams                    []teamView
}

type hazardView struct {
	Name, Seen string
	Facts      []Fact
}

type teamView struct{ Device, Team, Seen, How string }

// stripView draws the route as a line, for who sees it.
type stripView struct{ Marks []markView }

// markView is a stop on the line: X in percent.
type markView struct {
	X, Name, Km, Anchor    string
	Danger, Station, Teams bool
	Upper                  bool // its name stands above the line
}

var routePage = webui.NewTemplate(files, "route.html", "nav.html")

func (s *site) route(w http.ResponseWriter, r *http.Request) {
	v := routeView{Frame: s.frame(r, "/route")}
	words := v.Words
	v.Style = s.assets.URL("land.css")
	v.title(words.T("menu.route"))
	m, err := s.Land.Route(r.Context(), words, v.Now)
	if err != nil {
		var status int
		v.Trouble, status = s.trouble(r, err)
		webui.Render(w, routePage, status, v, s.Log)
		return
	}
	v.None = words.T("route.none")
	if m.NoPack {
		v.None = words.T("route.no_pack") + " " + words.T("route.no_pack.do")
	}
	hazards, teams := len(m.Unsaid), len(m.Off)
	before := 0.0
	for i, st := range m.Stops {
		x := stopView{ID: st.ID, Name: st.Name, Facts: st.Facts, Hazards: hazardsIn(words, v.Now, st.Hazards), Stations: st.Stations, Teams: teamsIn(words, v.Now, st.Teams)}
		if st.KmKnown {
			x.Km = words.T("route.km", "km", words.Decimal(st.Km, 1))
			if i > 0 && st.Km > before {
				x.Gap = words.T("route.gap", "km", words.Decimal(st.Km-before, 1))
			}
			before = st.Km
		}
		if st.Camps > 0 {
			x.Camps = words.T("route.camps", "n", int64(st.Camps))
		}
		hazards, teams = hazards+len(st.Hazards), teams+len(st.Teams)
		v.Stops = append(v.Stops, x)
	}
	v.Unsaid, v.Off = hazardsIn(words, v.Now, m.Unsaid), teamsIn(words, v.Now, m.Off)
	v.Strip = strip(words, m.Stops)
	v.Summary = words.T("route.summary", "stops", int64(len(m.Stops)), "hazards", int64(hazards), "teams", int64(teams))
	webui.Render(w, routePage, http.StatusOK, v, s.Log)
}

func hazardsIn(w *webui.Words, now time.Time, hs []Hazard) (out []hazardView) {
	for _, h := range hs {
		x := hazardView{Name: h.Name, Facts: h.Facts, Seen: w.T("route.age_unknown")}
		if !h.Seen.IsZero() {
			x.Seen = w.T("route.seen", "at", w.Clock(now, h.Seen), "ago", w.Ago(now, h.Seen))
		}
		if h.Known {
			x.Seen += " · " + w.T("route.from_report", "how", away(w, h.Metres))
		}
		out = append(out, x)
	}
	return out
}

func teamsIn(w *webui.Words, now time.Time, ps []Position) (out []teamView) {
	slices.SortStableFunc(ps, func(a, b Position) int { return b.At.Compare(a.At) })
	for _, p := range ps {
		x := teamView{Device: p.Device, Team: p.Team, Seen: w.T("route.seen", "at", w.Clock(now, p.At), "ago", w.Ago(now, p.At)), How: w.T("route.by_record")}
		if p.Known {
			x.How = away(w, p.Metres)
		}
		out = append(out, x)
	}
	return out
}

// away says how far from a stop something is.
func away(w *webui.Words, metres float64) string {
	if metres < 1000 {
		return w.T("route.away_m", "m", w.Decimal(metres, 0))
	}
	return w.T("route.away_km", "km", w.Decimal(metres/1000, 1))
}

// mostMarks is how many stops a line has room for, nameRoom how many letters of a name.
const (
	mostMarks = 24
	nameRoom  = 18
	lineLong  = 1200 // units of the picture, see route.html
)

// roomFor is how many letters a name at the end of the line has before it touches the one
// beside it, of which it has half the length and which is far away, both in units of the line.
func roomFor(name, beside string, far float64) int {
	const gap = 18
	left, n := far-gap-lengthOf(beside)/2, 0
	for _, r := range name {
		if left -= lengthOf(string(r)); left < 0 {
			break
		}
		n++
	}
	return max(n, 4)
}

// lengthOf is about how long a name is on the line, whose letters are 17 units high.
func lengthOf(name string) (units float64) {
	for _, r := range name {
		if r >= 0x2e80 { // ideographs are square
			units += 17
			continue
		}
		units += 11
	}
	return units
}

// clipped is a name as far as there is room for it; the list below has the whole of it.
func clipped(name string, room int) string {
	r := []rune(name)
	if len(r) <= room {
		return name
	}
	return strings.TrimSpace(string(r[:room-1])) + "…"
}

// strip draws the stops at their kilometres.
func strip(w *webui.Words, stops []RouteStop) (v stripView) {
	if len(stops) < 2 || len(stops) > mostMarks {
		return v
	}
	first, last := stops[0].Km, stops[len(stops)-1].Km
	var ats []float64
	for i, st := range stops {
		at := float64(i) / float64(len(stops)-1)
		if st.KmKnown && last > first {
			at = min(max((st.Km-first)/(last-first), 0), 1)
		}
		m := markView{X: num(4 + 92*at), Name: clipped(st.Name, nameRoom), Danger: len(st.Hazards) > 0, Station: len(st.Stations) > 0, Teams: len(st.Teams) > 0, Upper: i%2 == 1, Anchor: "middle"}
		switch { // a name at the end of the line goes inwards
		case at < 0.05:
			m.Anchor = "start"
		case at > 0.95:
			m.Anchor = "end"
		}
		if st.KmKnown {
			m.Km = w.Decimal(st.Km, 0)
		}
		ats = append(ats, at)
		v.Marks = append(v.Marks, m)
	}
	if n := len(stops); n > 2 { // names stand on the same side of the line as those after the next
		for _, end := range [][2]int{{0, 2}, {n - 1, n - 3}} {
			m, far := &v.Marks[end[0]], lineLong*0.92*math.Abs(ats[end[0]]-ats[end[1]])
			m.Name = clipped(stops[end[0]].Name, min(nameRoom, roomFor(stops[end[0]].Name, v.Marks[end[1]].Name, far)))
		}
	}
	return v
}
