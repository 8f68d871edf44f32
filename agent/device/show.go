package device

import (
	"context"
	"strings"

	"otor/agent/web"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/merge"
)

// Show shows an entity, named by type and id or by its id alone.
func (d *Device) Show(ctx context.Context, name string) (web.EntityView, error) {
	ref, err := d.named(ctx, name)
	if err != nil {
		return web.EntityView{}, err
	}
	shown, err := d.store.Shown(ref)
	if err != nil {
		return web.EntityView{}, err
	}
	if !shown.InBase && len(shown.Own) == 0 {
		return web.EntityView{}, notHere(name)
	}
	v := shown.State.View(d.typeOf(ref.Type))
	out := web.EntityView{
		Type: ref.Type, ID: ref.ID, Deleted: v.Deleted, Conflicts: append([]string{}, v.Conflicts()...),
		Fields: []web.FieldView{}, Scope: shown.Base.Scope, Own: shown.Own,
	}
	if at := d.store.Feed(shown.Base.Scope).AsOf; shown.InBase && !at.IsZero() {
		out.AsOf = &at
	}
	for _, f := range v.Fields {
		if !f.Known && !f.Conflict {
			continue
		}
		field := web.FieldView{Name: f.Name, Rule: f.Rule.String(), Conflict: f.Conflict}
		if f.Known {
			field.Value = d.masked(ref.Type, f.Name, f.Value)
		}
		for _, side := range f.Values {
			if f.Conflict {
				field.Sides = append(field.Sides, d.masked(ref.Type, f.Name, side.Get()))
			}
		}
		out.Fields = append(out.Fields, field)
	}
	return out, nil
}

func notHere(name string) error {
	return &web.Refusal{Code: "not_here", What: "this device knows of no such entity", Which: name, Do: "check the id, or look for it with find; it may be in a scope that the device is not granted"}
}

// named finds the entity that a person means.
func (d *Device) named(ctx context.Context, name string) (entry.Ref, error) {
	if ref, ok := feed.RefOf(name); ok && d.typeOf(ref.Type) != nil {
		return ref, nil
	}
	if err := d.finder.fresh(ctx, d); err != nil {
		return entry.Ref{}, err
	}
	hits := d.finder.exact(name)
	switch len(hits) {
	case 0:
		return entry.Ref{}, notHere(name)
	case 1:
		return hits[0], nil
	}
	var names []string
	for _, h := range hits {
		names = append(names, h.String())
	}
	return entry.Ref{}, &web.Refusal{Code: "ambiguous", What: "several entities have this id", Which: strings.Join(names, ", "), Do: "say which one, with its type"}
}

func (d *Device) typeOf(name string) *merge.Type {
	if d.cfg.Types == nil {
		return nil
	}
	return d.cfg.Types(name)
}

// mask says how a field is kept from those who need not read it; "" not at all.
func (d *Device) mask(typ, field string) string {
	if d.cfg.Mask == nil {
		return ""
	}
	return d.cfg.Mask(typ, field)
}

// masked is a value as it is shown: of a telephone or an account the last four
// characters, of the rest that is masked nothing.
func (d *Device) masked(typ, field string, v any) any {
	how := d.mask(typ, field)
	if how == "" || v == nil {
		return v
	}
	text, ok := v.(string)
	if r := []rune(text); ok && len(r) > 8 && (how == "last4" || how == "id") {
		return "****" + string(r[len(r)-4:])
	}
	return "****"
}
