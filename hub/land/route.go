package land

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/rules"
)

// Route is the line of stops along which teams ride, as somebody sees it.
type Route struct {
	Pack  *pack.Pack
	Stops []Stop
	// Unsaid are open hazards of which nobody said where they are.
	Unsaid []Thing
}

// Stop is a stop with what is there.
type Stop struct {
	Thing
	Km       float64
	KmKnown  bool
	Lon, Lat float64 // degrees; both 0: not known
	Hazards  []Thing
	Stations []Thing
}

// Thing is an entity as a page tells of it.
type Thing struct {
	Type, ID string
	Fields   map[string]any // derived ones among them
	Changed  time.Time      // when the latest of what stands was written, by its writer's clock; zero: not known
	By       dot.Dot        // the entry that wrote it
}

// mostStops bounds a route.
const mostStops = 500

// Route reads the route and what is along it; ok is false when the pack has none.
func (r *Room) Route(ctx context.Context, covers func(scopes []string) bool) (out Route, ok bool, err error) {
	p := r.cfg.Pack()
	if p == nil || p.Pages == nil || p.Pages.Route == nil {
		return out, false, nil
	}
	out.Pack = p
	b := newBook(ctx, r.cfg)
	b.stamped = true
	day, route := r.cfg.Now().Format(time.DateOnly), p.Pages.Route
	at := make(map[string]int)
	for _, th := range b.things(p, route.Type, day, covers) {
		s := Stop{Thing: th}
		s.Km, s.KmKnown = number(th.Fields[route.Km])
		s.Lon, _ = number(th.Fields["lon"])
		s.Lat, _ = number(th.Fields["lat"])
		out.Stops = append(out.Stops, s)
	}
	slices.SortStableFunc(out.Stops, func(a, b Stop) int {
		x, _ := number(a.Fields[route.Order])
		y, _ := number(b.Fields[route.Order])
		return cmp.Compare(x, y)
	})
	out.Stops = out.Stops[:min(len(out.Stops), mostStops)]
	for i, s := range out.Stops {
		at[s.ID] = i
	}
	if route.Hazard != "" {
		for _, th := range b.things(p, route.Hazard, day, covers) {
			if open, _ := th.Fields[route.Open].(bool); route.Open != "" && !open {
				continue
			}
			// An id of this kind begins with that of the stop, see the team's page.
			stop, _, said := strings.Cut(th.ID, ".")
			if i, known := at[stop]; said && known {
				out.Stops[i].Hazards = append(out.Stops[i].Hazards, th)
			} else {
				out.Unsaid = append(out.Unsaid, th)
			}
		}
	}
	if d := p.Pages.Depots; d != nil && d.Stop != "" {
		for _, th := range b.things(p, d.Type, day, covers) {
			stop, _ := th.Fields[d.Stop].(string)
			if i, known := at[stop]; known {
				out.Stops[i].Stations = append(out.Stops[i].Stations, th)
			}
		}
	}
	return out, true, b.err
}

// things are the entities of a type that somebody sees.
func (b *book) things(p *pack.Pack, typ, day string, covers func([]string) bool) (out []Thing) {
	sh := b.sheet(typ)
	for _, id := range sh.ids {
		if l := sh.of[id]; covers(l.row.Scopes) {
			out = append(out, Thing{Type: typ, ID: id, Fields: b.derived(p.Rules, typ, id, day), Changed: l.changed, By: l.by})
		}
	}
	return out
}

// stamp is when the latest of what stands in an entity was written, and by which entry.
func stamp(row store.Entity) (at time.Time, by dot.Dot) {
	s, err := merge.Decode(row.State)
	if err != nil {
		return at, by // Fields has told of it
	}
	for _, name := range s.Registers() {
		for _, v := range s.Values(name) {
			if t := time.UnixMilli(v.HLC.Millis); t.After(at) && len(v.Dots) > 0 {
				at, by = t, v.Dots[0]
			}
		}
	}
	return at, by
}

// Nearest is the stop that lies closest to a place, and how many metres away; -1 when no
// stop has a place.
func (r Route) Nearest(lon, lat float64) (stop int, metres float64) {
	stop = -1
	for i, s := range r.Stops {
		if s.Lon == 0 && s.Lat == 0 {
			continue
		}
		if m := rules.Metres(lon, lat, s.Lon, s.Lat); stop < 0 || m < metres {
			stop, metres = i, m
		}
	}
	return stop, metres
}
