package device

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"otor/agent/web"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/merge"
)

// displayed is what a draft keeps of the entities that its answers were shown
// from: their states as they were then, by "type/id". The context of what is
// written freezes at this moment (L13), however late the form is finished.
type displayed struct {
	States map[string][]byte `json:"states"`
}

// prefill answers the questions whose answers are saved into the entity that
// the record is about by what the device knows of it, and freezes what was shown.
func (d *Device) prefill(f *form.Form, st *web.Start) error {
	if st.Entity == "" || f.Entity == "" {
		return nil
	}
	ref := entry.Ref{Type: f.Entity, ID: st.Entity}
	state, ok, err := d.known(ref)
	if err != nil || !ok {
		return err
	}
	Known(f, f.Fields, state.View(d.typeOf(ref.Type)), st.Fields)
	kept, err := json.Marshal(displayed{map[string][]byte{ref.String(): state.Encode()}})
	if err != nil {
		return fmt.Errorf("freeze %s: %w", ref, err)
	}
	st.Context = kept
	if at := d.store.Contact().LastContact; !at.IsZero() {
		at = at.In(d.cfg.Zone)
		st.AsOf = &at
	}
	return nil
}

// prefillNamed answers the questions that ask for an entity which the record's
// own entity names: of a person, the household.
func (d *Device) prefillNamed(f *form.Form, st *web.Start) error {
	if st.Entity == "" || d.cfg.Pack == nil {
		return nil
	}
	state, ok, err := d.known(entry.Ref{Type: f.Entity, ID: st.Entity})
	if err != nil || !ok {
		return err
	}
	e, _ := d.cfg.Pack.Entity(f.Entity)
	view := state.View(d.typeOf(f.Entity))
	for _, x := range f.Fields {
		if x.Entity == "" || x.Many || x.Kind != form.Text || st.Fields[x.Name] != nil {
			continue
		}
		for _, p := range e.Fields {
			if v, known := view.Field(p.Name); p.Ref == x.Entity && known && v != nil && v != "" {
				st.Fields[x.Name] = v
				break
			}
		}
	}
	return nil
}

// Known answers the questions of one level, and of the groups in it, by what an
// entity shows. Answers that are there already stay.
func Known(f *form.Form, fields []form.Field, view merge.View, into map[string]any) {
	for _, x := range fields {
		if x.Kind == form.Group {
			inner, _ := into[x.Name].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
			}
			if Known(f, x.Fields, view, inner); len(inner) > 0 {
				into[x.Name] = inner
			}
			continue
		}
		property, mine := savedInto(f, x.SaveTo)
		if !mine || into[x.Name] != nil || x.Kind == form.Calculate || x.Kind == form.Hidden || x.Kind == form.Repeat {
			continue
		}
		if v, known := view.Field(property); known && v != nil {
			into[x.Name] = v
		}
	}
}

// known is an entity as the device has it. ok: it is known here.
func (d *Device) known(ref entry.Ref) (s *merge.State, ok bool, err error) {
	shown, err := d.store.Shown(ref)
	if err != nil {
		return nil, false, err
	}
	return shown.State, shown.InBase || len(shown.Own) > 0, nil
}

// frozen reads what a draft kept of the entities that were displayed.
func frozen(kept json.RawMessage) (map[entry.Ref][]byte, error) {
	if len(kept) == 0 || string(kept) == "null" {
		return nil, nil
	}
	var x displayed
	if err := json.Unmarshal(kept, &x); err != nil {
		return nil, err
	}
	out := make(map[entry.Ref][]byte, len(x.States))
	for _, b := range x.States {
		s, err := merge.Decode(b)
		if err != nil {
			return nil, err
		}
		out[s.Ref] = b
	}
	return out, nil
}

// savedInto finds the property of the record's own entity that a question is
// saved into.
func savedInto(f *form.Form, saveTo string) (property string, ok bool) {
	if saveTo == "" {
		return "", false
	}
	typ, property, split := strings.Cut(saveTo, "#")
	if !split {
		typ, property = f.Entity, saveTo
	}
	own := slices.ContainsFunc(f.Saves, func(s form.Save) bool {
		return s.Type == typ && s.Repeat == "" && (s.ID == nil || s.ID.String() == "${entity}")
	})
	return property, typ == f.Entity && own
}

// mostPlaces bounds the known places that a page offers.
const mostPlaces = 200

// places lists the places that the device knows: entities with a longitude and
// a latitude of the type waypoint.
func (d *Device) places(ctx context.Context, lang string) ([]web.Place, error) {
	out := []web.Place{}
	for row, err := range d.store.Bases(ctx, "waypoint") {
		if err != nil {
			return out, err
		}
		s, err := merge.Decode(row.Body)
		if err != nil {
			d.cfg.Log.Warn("a waypoint cannot be read", "key", row.Key, "err", err)
			continue
		}
		v := s.View(nil)
		lon, okLon := coordinate(v, "lon")
		lat, okLat := coordinate(v, "lat")
		if okLon && okLat && len(out) < mostPlaces {
			out = append(out, web.Place{ID: s.Ref.ID, Name: cmp.Or(text(v, "name_"+lang), text(v, "name"), text(v, "name_zh"), s.Ref.ID), Lon: lon, Lat: lat})
		}
	}
	return out, nil
}

// coordinate reads a degree, alone or as a member of a place.
func coordinate(v merge.View, name string) (float64, bool) {
	if x, ok := v.Field(name); ok {
		return number(x)
	}
	for _, f := range v.Fields {
		if m, ok := f.Value.(map[string]any); ok && f.Known {
			if n, ok := number(m[name]); ok {
				return n, true
			}
		}
	}
	return 0, false
}

func text(v merge.View, name string) string {
	x, _ := v.Field(name)
	s, _ := x.(string)
	return s
}
