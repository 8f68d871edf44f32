package pack

import (
	"strconv"
	"strings"
	"time"
)

// Phrases are a program's own words in the reader's language; *webui.Words has them. The
// keys say.yes, say.no, say.comma and those of units, such as unit.km, are asked for.
type Phrases interface {
	T(key string, args ...any) string
	Has(key string) bool
	Decimal(v float64, digits int) string
	Clock(now, t time.Time) string
}

// Telling puts entities into words, by a pack. It lives for one look.
type Telling struct {
	Phrases
	Pack *Pack
	Lang string
	Now  time.Time
	// Read gives the written fields of an entity; ok is false for one that is not known.
	Read func(typ, id string) (fields map[string]any, ok bool)
}

// mostHops bounds the references that a name goes through.
const mostHops = 4

// Name is what an entity is called, its id when nothing better is known.
func (t Telling) Name(typ, id string) string {
	if n := t.Named(typ, id); n != "" {
		return n
	}
	return id
}

// Named is the name without the id to fall back to.
func (t Telling) Named(typ, id string) string {
	if t.Pack.Pages == nil {
		return ""
	}
	path := t.Pack.Pages.Names[typ]
	for range mostHops {
		if path == "" || id == "" {
			return ""
		}
		fields, ok := t.Read(typ, id)
		if !ok {
			return ""
		}
		first, rest, more := strings.Cut(path, ".")
		if more {
			e, _ := t.Pack.Entity(typ)
			f, _ := e.Field(first)
			id, _ = fields[first].(string)
			typ, path = f.Ref, rest
			continue
		}
		for _, field := range NameFields(first, t.Lang) {
			if v, ok := fields[field].(string); ok && v != "" {
				if w := t.Pack.ValueLabel(typ, field, v, t.Lang); w != "" {
					return w
				}
				return v
			}
		}
		return ""
	}
	return ""
}

// Value says a field's value.
func (t Telling) Value(typ, field string, v any) string {
	e, _ := t.Pack.Entity(typ)
	p, _ := e.Field(field)
	unit := ""
	if p.Unit != "" {
		unit = " " + t.Unit(p.Unit)
	}
	switch v := v.(type) {
	case bool:
		if v {
			return t.T("say.yes")
		}
		return t.T("say.no")
	case float64:
		if w := t.Pack.ValueLabel(typ, field, strconv.FormatFloat(v, 'f', -1, 64), t.Lang); w != "" {
			return w // a number that stands for a choice
		}
		return t.Decimal(v, 2) + unit
	case int64:
		return t.Decimal(float64(v), 0) + unit
	case string:
		return t.text(typ, field, p, v)
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, t.Value(typ, field, x))
		}
		return strings.Join(parts, t.T("say.comma"))
	}
	return ""
}

func (t Telling) text(typ, field string, p Property, v string) string {
	if p.Ref != "" {
		return t.Name(p.Ref, v)
	}
	if w := t.Pack.ValueLabel(typ, field, v, t.Lang); w != "" {
		return w
	}
	if at, err := time.Parse(time.RFC3339, v); err == nil && p.Type == "datetime" {
		return t.Clock(t.Now, at)
	}
	return v
}

// Unit says a unit of the pack in the reader's words, where there are some.
func (t Telling) Unit(u string) string {
	if t.Has("unit." + u) {
		return t.T("unit." + u)
	}
	return u
}
