package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"otor/internal/lane"
	"otor/internal/webui"
)

// fleetView is what fleet.html shows.
type fleetView struct {
	Frame
	Strip   chip   // the fleet in one sentence
	Seen    string // the account's time
	Tiles   []tile
	Rows    []rowView
	Charts  chartsView
	Charted bool
	Epoch   string
	MayPlan bool
	Noticed chip   // what the hub noticed, as a link
	Broken  string // why there is no account; "" if there is one
}

type tile struct{ Num, Words, Tone, Shape string }

// chip is a state as a word, a shape and a colour.
type chip struct{ Tone, Shape, Words string }

// rowView is one device.
type rowView struct {
	Device, Team, Version       string
	States                      []chip // what the device wants looked at, most pressing first
	Ago, Clock, ISO             string // last seen; empty if never
	Declared, Received, Waiting string
	Done, Of                    uint64 // for the bar
	BarWords                    string
	Gaps                        []gapView
	Held, SetAside              string
	Skew                        chip
	Lanes                       []laneView
	Battery, Disk               string // as of the last contact; "": not said
	Plan                        []string
	Trouble                     bool
}

type gapView struct{ Lane, Missing string }

type laneView struct{ Name, Account, Missing string }

var fleetPage = webui.NewTemplate(files, "fleet.html", "nav.html", "charts.html")

func (s *site) fleet(w http.ResponseWriter, r *http.Request) {
	now := s.Clock()
	v := fleetView{Frame: s.frame(r, "/")}
	v.Style = s.assets.URL("fleet.css")
	words := v.Words
	v.title(words.T("fleet.title"))
	f, err := s.Fleet.Fleet(r.Context())
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return
		}
		s.Log.Error("fleet page: fleet not readable", "err", err)
		v.Strip = chip{"danger", "danger", words.T("fleet.broken")}
		v.Broken = words.T("chart.broken")
		webui.Render(w, fleetPage, http.StatusInternalServerError, v, s.Log)
		return
	}
	v.Epoch = f.Epoch
	v.MayPlan = v.Who.May != nil && v.Who.May("dispatch")
	v.Seen = words.T("fleet.as_of", "at", words.Clock(now, f.AsOf))
	v.AsOf = words.Clock(now, f.AsOf)
	v.Tiles = tiles(words, f)
	for _, d := range f.Devices {
		v.Rows = append(v.Rows, s.row(words, d, now))
	}
	v.Strip = s.sentence(words, f, now)
	if s.Findings != nil {
		v.Noticed = s.noticed(r, words)
	}
	if s.Outlook != nil {
		v.Charts = s.charts(r, words, now)
		v.Charted = true
	}
	webui.Render(w, fleetPage, http.StatusOK, v, s.Log)
}

// sentence says the worst of the fleet first, and never "complete" while a
// device is silent or has never been heard from.
func (s *site) sentence(w *webui.Words, f Fleet, now time.Time) chip {
	var waiting, gaps, overdue, silent, away uint64
	for _, d := range f.Devices {
		waiting += d.Waiting
		gaps += d.GapsOpen
		switch {
		case !s.silent(d, now):
		case d.OverdueSince != nil:
			overdue++
		case d.ExpectedBack != nil:
			away++
		default:
			silent++
		}
	}
	var parts []string
	add := func(n uint64, key string) {
		if n > 0 {
			parts = append(parts, w.T(key, "n", n))
		}
	}
	add(gaps, "strip.gaps")
	add(overdue, "strip.overdue")
	add(waiting, "strip.waiting")
	add(silent, "strip.silent")
	add(away, "strip.away")
	sentence := strings.Join(parts, " · ")
	switch {
	case len(f.Devices) == 0:
		return chip{"off", "silent", w.T("strip.none")}
	case gaps > 0:
		return chip{"danger", "gap", sentence}
	case overdue > 0:
		return chip{"danger", "danger", sentence}
	case waiting > 0:
		return chip{"wait", "wait", sentence}
	case silent+away > 0:
		return chip{"off", "silent", sentence}
	default:
		return chip{"ok", "ok", w.T("strip.complete")}
	}
}

// silent reports whether a device should have been heard from: one that was revoked is
// not heard any more.
func (s *site) silent(d DeviceRow, now time.Time) bool {
	return !d.Revoked && (d.LastSeen == nil || now.Sub(*d.LastSeen) >= SilentAfter)
}

func tiles(w *webui.Words, f Fleet) []tile {
	var received, waiting, gaps, aside uint64
	for _, d := range f.Devices {
		received += d.Received
		waiting += d.Waiting
		gaps += d.GapsOpen
		aside += d.SetAside
	}
	tone := func(n uint64, tone string) string {
		if n == 0 {
			return "off"
		}
		return tone
	}
	return []tile{
		{w.Num(received), w.T("tile.received"), "ok", "ok"},
		{w.Num(waiting), w.T("tile.waiting"), tone(waiting, "wait"), "wait"},
		{w.Num(gaps), w.T("tile.gaps"), tone(gaps, "danger"), "gap"},
		{w.Num(aside), w.T("tile.set_aside"), tone(aside, "danger"), "danger"},
		{w.Num(f.Unattributed), w.T("tile.unattributed"), tone(f.Unattributed, "danger"), "danger"},
		{w.Num(f.TransportDuplicates), w.T("tile.duplicates"), "off", "archive"},
	}
}

func (s *site) row(w *webui.Words, d DeviceRow, now time.Time) rowView {
	v := rowView{
		Device: string(d.Device), Team: d.Team, Version: d.Version,
		Declared: w.Num(d.Declared), Received: w.Num(d.Received), Waiting: w.Num(d.Waiting),
		Held: w.Num(d.Held), SetAside: w.Num(d.SetAside), Done: d.Received, Of: d.Declared,
		BarWords: w.T("fleet.bar", "received", d.Received, "declared", d.Declared),
		States:   s.states(w, d, now), Skew: s.skew(w, d.Skew), Trouble: d.GapsOpen > 0 || d.OverdueSince != nil,
		Plan: planned(w, now, d.Plan),
	}
	if d.Battery != nil {
		v.Battery = w.T("fleet.battery", "n", int64(*d.Battery))
	}
	if d.DiskFree > 0 {
		v.Disk = w.T("fleet.disk", "n", w.Num(uint64(d.DiskFree)>>20))
	}
	if d.LastSeen != nil {
		v.Ago, v.Clock = w.Ago(now, *d.LastSeen), w.Clock(now, *d.LastSeen)
		v.ISO = d.LastSeen.Format(time.RFC3339)
	}
	for _, l := range d.Lanes {
		name := w.T("lane."+l.Lane.String()) + " · " + w.T("lane.life", "n", int64(l.Incarnation))
		lv := laneView{Name: name, Account: w.T("lane.account",
			"declared", uint64(l.Declared), "received", uint64(l.Received), "waiting", l.Waiting, "held", l.Held)}
		if len(l.Missing) > 0 {
			v.Gaps = append(v.Gaps, gapView{w.T("lane." + l.Lane.String()), missing(l.Missing)})
			lv.Missing = w.T("lane.missing", "ranges", missing(l.Missing))
		}
		v.Lanes = append(v.Lanes, lv)
	}
	return v
}

// mostRanges keeps a badly torn lane from filling the page.
const mostRanges = 12

func missing(rs []lane.Range) string {
	if len(rs) > mostRanges {
		return strings.TrimSuffix(lane.Format(rs[:mostRanges]), "}") + ", …}"
	}
	return lane.Format(rs)
}

// states lists what is to be said of a device, most pressing first. "Complete"
// is said of a device that was heard from lately and of which nothing is
// missing; a silent one is only known to have been complete.
func (s *site) states(w *webui.Words, d DeviceRow, now time.Time) []chip {
	if d.LastSeen == nil && d.Received == 0 && d.Declared == 0 && !d.Revoked {
		out := []chip{{"off", "silent", w.T("state.never")}}
		if d.OverdueSince != nil || d.ExpectedBack != nil {
			out = append([]chip{s.silence(w, d, now)}, out...)
		}
		return out
	}
	var out []chip
	if d.GapsOpen > 0 {
		out = append(out, chip{"danger", "gap", w.T("state.gap", "n", d.GapsOpen)})
	}
	if d.OverdueSince != nil && s.silent(d, now) {
		out = append(out, s.silence(w, d, now))
	}
	if d.Waiting > 0 {
		out = append(out, chip{"wait", "wait", w.T("state.waiting", "n", d.Waiting)})
	}
	if d.OverdueSince == nil && s.silent(d, now) {
		out = append(out, s.silence(w, d, now))
	}
	if d.Revoked {
		out = append(out, chip{"off", "off", w.T("device.revoked")})
	}
	if len(out) == 0 {
		out = append(out, chip{"ok", "ok", w.T("state.complete")})
	}
	if d.SetAside > 0 {
		out = append(out, chip{"danger", "danger", w.T("state.set_aside", "n", d.SetAside)})
	}
	return out
}

func (s *site) skew(w *webui.Words, k Skew) chip {
	if !k.Known {
		return chip{"off", "", w.T("skew.unknown")}
	}
	span := w.Span(k.Ahead)
	switch {
	case k.Ahead >= s.SkewNoted:
		return chip{"danger", "clock", w.T("skew.fast", "span", span)}
	case k.Ahead <= -s.SkewNoted:
		return chip{"danger", "clock", w.T("skew.slow", "span", span)}
	case k.Ahead >= time.Second:
		return chip{"", "", w.T("skew.fast", "span", span)}
	case k.Ahead <= -time.Second:
		return chip{"", "", w.T("skew.slow", "span", span)}
	default:
		return chip{"", "", w.T("skew.none")}
	}
}
