package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"otor/hub/console"
	"otor/hub/land"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/lane"
	"otor/internal/pack"
	"otor/internal/webui"
)

// Route implements console.Land.
func (v outlook) Route(ctx context.Context, w *webui.Words, now time.Time) (console.RouteMap, error) {
	sight := v.o.sight(ctx)
	r, ok, err := v.land.Route(ctx, sight.covers)
	if err != nil {
		return console.RouteMap{}, err
	}
	if !ok {
		return console.RouteMap{NoPack: true}, nil
	}
	tell := v.telling(ctx, sight, r.Pack, w.Lang)
	stops := make([]entry.Ref, 0, len(r.Stops))
	for _, st := range r.Stops {
		stops = append(stops, entry.Ref{Type: st.Type, ID: st.ID})
	}
	if err := sight.read.ahead(ctx, stops); err != nil {
		return console.RouteMap{}, err
	}
	tell.Phrases, tell.Now = w, now
	var out console.RouteMap
	route := r.Pack.Pages.Route
	camps := v.camps(ctx)
	for _, st := range r.Stops {
		x := console.RouteStop{
			ID: st.ID, Name: tell.Name(st.Type, st.ID), Km: st.Km, KmKnown: st.KmKnown, Facts: factsOf(tell, st.Thing, route.Facts), Camps: camps[st.ID],
		}
		for _, h := range st.Hazards {
			x.Hazards = append(x.Hazards, hazardOf(tell, route, h))
		}
		for _, d := range st.Stations {
			x.Stations = append(x.Stations, tell.Name(d.Type, d.ID))
		}
		out.Stops = append(out.Stops, x)
	}
	at := make(map[string]int, len(r.Stops))
	for i, st := range r.Stops {
		at[st.ID] = i
	}
	if err := v.report(ctx, sight.read, r, at, tell, &out); err != nil {
		return out, err
	}
	return out, v.place(ctx, r, at, tell, &out)
}

// report puts each hazard of which nobody said where it is to the stop that lies closest to
// where it was reported.
func (v outlook) report(ctx context.Context, read *readings, r land.Route, at map[string]int, tell pack.Telling, out *console.RouteMap) error {
	var dots []dot.Dot
	for _, h := range r.Unsaid {
		if !h.By.IsZero() {
			dots = append(dots, h.By)
		}
	}
	if err := read.entriesAhead(ctx, dots); err != nil {
		return err
	}
	places := make(map[dot.Dot]place) // one entry may report many
	for _, h := range r.Unsaid {
		x := hazardOf(tell, r.Pack.Pages.Route, h)
		p, looked := places[h.By]
		if e := read.entries[h.By]; e != nil && !looked {
			p = v.placeOf(ctx, *e, r, at)
			places[h.By] = p
		}
		if p.known && p.stop >= 0 && p.metres <= offRoute {
			x.Metres, x.Known = p.metres, p.measured
			out.Stops[p.stop].Hazards = append(out.Stops[p.stop].Hazards, x)
		} else {
			out.Unsaid = append(out.Unsaid, x)
		}
	}
	return nil
}

// camps counts households by stop, as of the last survey.
func (v outlook) camps(ctx context.Context) map[string]int {
	s, err := v.land.Survey()
	if err != nil || s == nil {
		return nil
	}
	return s.Of(v.o.sight(ctx).covers).Camps
}

func factsOf(tell pack.Telling, th land.Thing, facts []pack.Fact) (out []console.Fact) {
	for _, f := range facts {
		if v := th.Fields[f.Field]; v != nil {
			if text := tell.Value(th.Type, f.Field, v); text != "" {
				out = append(out, console.Fact{Label: tell.Pack.In(f.Label, tell.Lang), Text: find.Hide(text)})
			}
		}
	}
	return out
}

func hazardOf(tell pack.Telling, route *pack.Route, h land.Thing) console.Hazard {
	x := console.Hazard{Name: h.ID, Facts: factsOf(tell, h, route.HazardFacts), Seen: h.Changed}
	if name := h.Fields[route.HazardTitle]; name != nil {
		x.Name = find.Hide(tell.Value(h.Type, route.HazardTitle, name))
	}
	return x
}

// offRoute is from how far away on a team is at no stop, in metres.
const offRoute = 15_000

// place puts devices to the stops at which they were last.
func (v outlook) place(ctx context.Context, r land.Route, at map[string]int, tell pack.Telling, out *console.RouteMap) error {
	devices, err := v.lastly(ctx)
	if err != nil {
		return err
	}
	for _, d := range devices {
		w, found, err := v.where(ctx, d, r, at)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		p := console.Position{Device: string(d.ID), Team: teamOf(d, tell), At: w.at, Metres: w.metres, Known: w.measured}
		if w.stop < 0 || w.measured && w.metres > offRoute {
			p.Known = false
			out.Off = append(out.Off, p)
			continue
		}
		out.Stops[w.stop].Teams = append(out.Stops[w.stop].Teams, p)
	}
	return nil
}

// teamOf is the team whose scope a device has.
func teamOf(d store.Device, tell pack.Telling) string {
	for _, s := range d.Scopes {
		if team, ok := strings.CutPrefix(s, teamScope); ok {
			return tell.Name("team", team)
		}
	}
	return ""
}

const teamScope = "team:"

// place is where something was captured, as far as that is known.
type place struct {
	stop     int // -1: at none
	metres   float64
	measured bool // by the device's own position
	known    bool
}

// whereabouts is where a device was when it captured one of its newest entries.
type whereabouts struct {
	at time.Time // by the hub's clock
	place
}

// where asks a device's newest entries, the newest first: for a position, and else for
// somebody or something whose place is known.
func (v outlook) where(ctx context.Context, d store.Device, r land.Route, stops map[string]int) (w whereabouts, found bool, err error) {
	lanes, err := v.o.store.LanesOf(ctx, d.ID)
	if err != nil {
		return w, false, err
	}
	for _, l := range lanes {
		last := l.Received.Highest()
		if last == 0 {
			continue
		}
		first := dot.Seq(1)
		if last > lookedAt {
			first = last - lookedAt + 1
		}
		es, err := v.o.store.EntriesOf(ctx, l.Chain, lane.Run(first, last), 256<<10)
		if err != nil {
			return w, false, err
		}
		for _, e := range slices.Backward(es) {
			at := v.o.at(e.CorrectedTime)
			if found && !at.After(w.at) {
				break
			}
			if p := v.placeOf(ctx, e, r, stops); p.known {
				w, found = whereabouts{at, p}, true
				break
			}
		}
	}
	return w, found, nil
}

// placeOf is where one entry was captured.
func (v outlook) placeOf(ctx context.Context, e store.Entry, r land.Route, stops map[string]int) place {
	pub, err := entry.DecodePublic(e.Raw.Public)
	if err != nil {
		return place{} // the entry is set aside for that
	}
	if p := pub.Position; p != nil && p.Source != entry.Waypoint {
		stop, metres := r.Nearest(float64(p.Lon)/1e6, float64(p.Lat)/1e6)
		return place{stop, metres, true, true}
	}
	pages := r.Pack.Pages
	for _, ref := range pub.Refs {
		if i, ok := stops[ref.ID]; ok && ref.Type == pages.Route.Type {
			return place{stop: i, known: true}
		}
		if pages.Visited == nil || ref.Type != pages.Visited.Type || pages.Visited.Stop == "" {
			continue
		}
		row, err := v.o.store.Entity(ctx, ref)
		if err != nil {
			continue
		}
		fields, err := v.fields(row)
		if err != nil {
			continue
		}
		camp, _ := fields[pages.Visited.Stop].(string)
		if i, ok := stops[camp]; ok {
			return place{stop: i, known: true}
		}
	}
	return place{}
}
