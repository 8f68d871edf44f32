package server

import (
	"context"

	"otor/hub/console"
	"otor/internal/dot"
	"otor/internal/entry"
)

// places says of the sides of a conflict where they were captured, where their devices
// knew: by the stop of the route that lies closest, else by coordinates.
func (t table) places(ctx context.Context, it *console.Item, lang string) error {
	sight := t.o.sight(ctx)
	dots := make([]dot.Dot, len(it.Sides))
	for i, s := range it.Sides {
		d, err := dot.Parse(s.Dot)
		if err != nil {
			return err
		}
		dots[i] = d
	}
	if err := sight.read.entriesAhead(ctx, dots); err != nil {
		return err
	}
	some := false
	for i, d := range dots {
		e := sight.read.entries[d]
		if e == nil {
			continue
		}
		pub, err := entry.DecodePublic(e.Raw.Public)
		if err != nil || pub.Position == nil {
			continue // it is set aside for that, or there was no place
		}
		some = true
		it.Sides[i].Place = &console.SidePlace{Lon: float64(pub.Position.Lon) / 1e6, Lat: float64(pub.Position.Lat) / 1e6}
	}
	if !some || t.view.land == nil {
		return nil
	}
	r, ok, err := t.view.land.Route(ctx, sight.covers)
	if err != nil || !ok {
		return err
	}
	tell := t.view.telling(ctx, sight, r.Pack, lang)
	for i := range it.Sides {
		p := it.Sides[i].Place
		if p == nil {
			continue
		}
		if stop, metres := r.Nearest(p.Lon, p.Lat); stop >= 0 && metres <= offRoute {
			p.Stop, p.Metres = tell.Name(r.Stops[stop].Type, r.Stops[stop].ID), metres
		}
	}
	return nil
}
