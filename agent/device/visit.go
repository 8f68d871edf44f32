package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"otor/agent/capture"
	"otor/agent/store"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
)

// Device is what the form page works with.
var (
	_ web.Visits = (*Device)(nil)
	_ web.Drafts = (*Device)(nil)
	_ web.Photos = (*Device)(nil)
)

// Start implements web.Visits.
func (d *Device) Start(ctx context.Context, q web.StartQuery) (web.Start, error) {
	st := web.Start{Form: q.Form, Entity: q.Entity, Fields: map[string]any{}, Places: []web.Place{}}
	if !q.Corrects.IsZero() {
		fields, e, err := d.recorded(q.Corrects)
		if err != nil {
			return st, err
		}
		if e.Form.ID != q.Form {
			return st, &web.Refusal{Code: "other_form", What: "that record belongs to another form", Which: e.Form.ID, Do: "open it from the list of entries"}
		}
		st.Fields, st.Corrects = fields, q.Corrects.String()
		if q.Version == 0 {
			q.Version = e.Form.Version
		}
		if len(e.Refs) > 0 && q.Entity == "" {
			st.Entity = e.Refs[0].ID
		}
	}
	f, err := d.formOf(q.Form, q.Version)
	if err != nil {
		return st, refuse(err)
	}
	denied, _, err := d.denied(ctx, d.user(""))
	if err != nil {
		return st, err
	}
	x, err := d.xforms.of(f, denied)
	if err != nil {
		return st, &web.Refusal{Code: "form_broken", What: err.Error(), Which: f.ID, Do: "tell the office; the other forms are not affected"}
	}
	st.Version, st.XForm, st.EntityType, st.Title = f.Version, string(x), f.Entity, f.Title.In(q.Lang)
	st.Questions = questions(f.Fields, q.Lang)
	if st.Corrects == "" {
		prefillEntity(f, st.Entity, st.Fields)
		if err := d.prefill(f, &st); err != nil {
			return st, err
		}
		if err := d.prefillNamed(f, &st); err != nil {
			return st, err
		}
	}
	if slices.ContainsFunc(f.Fields, func(x form.Field) bool { return x.Kind == form.Geopoint }) {
		if st.Places, err = d.places(ctx, q.Lang); err != nil {
			return st, err
		}
	}
	return st, nil
}

// prefillEntity answers the questions that ask for the entity which the record
// is about anyway.
func prefillEntity(f *form.Form, entity string, fields map[string]any) {
	if entity == "" {
		return
	}
	for _, x := range f.Fields {
		if x.Entity == f.Entity && x.Kind == form.Text && !x.Many && fields[x.Name] == nil {
			fields[x.Name] = entity
			return
		}
	}
}

func (d *Device) formOf(id string, version uint32) (*form.Form, error) {
	if version != 0 {
		return d.cfg.Forms.Form(id, version)
	}
	f, ok := d.cfg.Forms.Latest(id)
	if !ok {
		return nil, &form.LookupError{Code: form.FormUnknown, ID: id}
	}
	return f, nil
}

// recorded reads the answers of an entry of this device.
func (d *Device) recorded(at dot.Dot) (map[string]any, entry.Public, error) {
	it, err := d.store.Get(at)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = &web.Refusal{Code: "not_found", What: "this device does not hold that record", Which: at.String(), Do: "correct it on the device that made it, or ask the office"}
		}
		return nil, entry.Public{}, refusePruned(at, err)
	}
	p, err := entry.DecodePrivate(it.Raw.Private)
	if err != nil {
		return nil, entry.Public{}, fmt.Errorf("read %s: %w", at, err)
	}
	if p.Fields == nil {
		p.Fields = map[string]any{}
	}
	return p.Fields, it.Public, nil
}

// Submit implements web.Visits.
func (d *Device) Submit(ctx context.Context, s web.Submission) (web.PutResult, error) {
	if done, ok := d.completed(s.Draft); ok {
		return done, nil
	}
	f, err := d.formOf(s.Form, s.Version)
	if err != nil {
		return web.PutResult{}, refuse(err)
	}
	fields, problems := form.FromXML(f, []byte(s.XML))
	if len(problems) > 0 {
		return web.PutResult{}, refuse(problems[0])
	}
	user := d.user(s.User)
	warn, err := d.judged(ctx, f, fields, user)
	if err != nil {
		return web.PutResult{}, err
	}
	req := capture.Request{
		Form: f.ID, Version: f.Version, EntityType: f.Entity, Entity: s.Entity, Actor: user, Fields: fields, FormDraft: s.Draft,
		Position: d.found(f, fields, s.Sources),
	}
	if req.Displayed, err = frozen(s.Context); err != nil {
		return web.PutResult{}, &web.Refusal{Code: "bad_context", What: "what the form was shown from cannot be read", Do: "open the form anew; the draft's answers can be copied from it"}
	}
	if s.Corrects != "" {
		c, err := dot.Parse(s.Corrects)
		if err != nil {
			return web.PutResult{}, &web.Refusal{Code: "bad_dot", What: err.Error(), Which: "corrects", Do: "open the record again from the list of entries"}
		}
		req.Corrects = &c
	}
	return warned(d.begin(ctx, req), warn)()
}

// found notes in each place how it was found, and makes the first one the
// entry's position.
func (d *Device) found(f *form.Form, fields map[string]any, sources map[string]web.Fix) *entry.Position {
	var out *entry.Position
	for _, x := range f.Fields {
		place, ok := fields[x.Name].(map[string]any)
		if x.Kind != form.Geopoint || !ok {
			continue
		}
		fix := sources[x.Name]
		source, known := fix.Position(d.cfg.Now())
		if !known {
			continue
		}
		place["source"] = fix.Source
		lon, okLon := number(place["lon"])
		lat, okLat := number(place["lat"])
		if out != nil || !okLon || !okLat {
			continue
		}
		acc, _ := number(place["acc_m"])
		out = &entry.Position{
			Lon: int32(math.Round(lon * 1e6)), Lat: int32(math.Round(lat * 1e6)), Source: source,
			Accuracy: uint32(max(0, min(acc, 1e6)) * 10), Age: fix.Age(d.cfg.Now()),
		}
	}
	return out
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// completed finds what a draft became, when it was submitted before.
func (d *Device) completed(id string) (web.PutResult, bool) {
	if id == "" {
		return web.PutResult{}, false
	}
	_, err := d.store.FormDraft(id)
	done, ok := errors.AsType[*store.Completed](err)
	if !ok {
		return web.PutResult{}, false
	}
	return web.PutResult{Dot: done.Saved.Dot, SavedAt: done.Saved.SavedAt.In(d.cfg.Zone)}, true
}

// SaveDraft implements web.Drafts.
func (d *Device) SaveDraft(ctx context.Context, id string, content json.RawMessage) error {
	d.unnamed.mu.RLock() // what it names is not removed from under it
	defer d.unnamed.mu.RUnlock()
	return refuseDraft(d.store.SaveFormDraft(ctx, id, content))
}

// DropDraft implements web.Drafts.
func (d *Device) DropDraft(ctx context.Context, id string) error {
	return refuseDraft(d.store.DropFormDraft(ctx, id))
}

// Draft implements web.Drafts.
func (d *Device) Draft(_ context.Context, id string) (web.Draft, error) {
	x, err := d.store.FormDraft(id)
	if err != nil {
		return web.Draft{}, refuseDraft(err)
	}
	return web.Draft{ID: x.ID, SavedAt: x.SavedAt.In(d.cfg.Zone), Content: x.Content}, nil
}

// Drafts implements web.Drafts.
func (d *Device) Drafts(context.Context) ([]web.Draft, error) {
	var out []web.Draft
	for _, x := range d.store.FormDrafts() {
		out = append(out, web.Draft{ID: x.ID, SavedAt: x.SavedAt.In(d.cfg.Zone), Content: x.Content})
	}
	return out, nil
}

// refuseDraft words what a person can mend about a draft.
func refuseDraft(err error) error {
	if done, ok := errors.AsType[*store.Completed](err); ok {
		return &web.Refusal{Code: "completed", What: "this form was saved already", Which: done.Saved.Dot.String(), Do: "look at it in the list of entries"}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return &web.Refusal{Code: "no_draft", What: "there is no such draft on this device", Do: "begin the form anew"}
	case errors.Is(err, store.ErrFormDraft):
		return &web.Refusal{Code: "bad_draft", What: err.Error(), Do: "shorten the texts, or finish other drafts first"}
	default:
		return refuse(err)
	}
}
