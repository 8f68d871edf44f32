package server

import (
	"context"
	"strings"

	"otor/hub/reconcile"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/pack"
)

// namer calls entities, forms and people what people call them. It is used by one
// goroutine, for one page.
type namer struct {
	ctx  context.Context //nolint:containedctx // it lives for one page
	t    table
	w    worded // nil: everything is called by its id
	lang string
}

func (t table) namer(ctx context.Context, lang string) namer {
	w, _ := t.domain.(worded)
	return namer{ctx, t, w, lang}
}

// form is a form's title.
func (n namer) form(id string) string {
	if n.w != nil {
		if title := n.w.FormWords(id, n.lang); title != "" {
			return title
		}
	}
	return id
}

// user is a user of a device by name, with the id.
func (n namer) user(id string) string {
	if n.w != nil {
		if name := n.name(entry.Ref{Type: n.w.UserType(), ID: id}); name != "" {
			return name + " (" + id + ")"
		}
	}
	return id
}

// about is an entity by its type, its name, and its id: "Household Batu · H-NB-07".
func (n namer) about(entity string) string {
	typ, id, ok := strings.Cut(entity, "/")
	if !ok || n.w == nil {
		return entity
	}
	what := n.w.TypeWords(typ, n.lang)
	if what == "" {
		return entity
	}
	if name := n.name(entry.Ref{Type: typ, ID: id}); name != "" {
		return what + " " + name + " · " + id
	}
	return what + " · " + id
}

// maxHops bounds the references that a name goes through.
const maxHops = 4

// name is what an entity is called; "" where nothing names it, or what names it is masked.
func (n namer) name(ref entry.Ref) string {
	if n.w == nil {
		return ""
	}
	path := n.w.NamePath(ref.Type)
	for range maxHops {
		if path == "" || ref.ID == "" {
			return ""
		}
		row, err := n.t.o.store.Entity(n.ctx, ref)
		if err != nil {
			return ""
		}
		s, err := merge.Decode(row.State)
		if err != nil {
			return ""
		}
		fields := reconcile.Shown(s, n.t.domain.Type(ref.Type))
		first, rest, more := strings.Cut(path, ".")
		if more {
			id, _ := fields[first].(string)
			ref, path = entry.Ref{Type: n.t.domain.Names(ref.Type, first), ID: id}, rest
			continue
		}
		for _, field := range pack.NameFields(first, n.lang) {
			if v, ok := fields[field].(string); ok && v != "" {
				if n.w.Mask(ref.Type, field) != "" {
					return ""
				}
				return n.t.said(ref.Type, field, v, n.lang)
			}
		}
		return ""
	}
	return ""
}
