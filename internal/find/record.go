package find

import (
	"strings"

	"otor/internal/form"
)

// Masks says how a property of an entity type is shown to those who need not read
// it: "" is whole, "all" nothing of it, others its end.
type Masks func(typ, property string) string

// MaskOf is how an answer is shown: as the pack says where it is saved; of a number of
// a person its end, wherever it is saved.
func MaskOf(f *form.Form, x *form.Field, masks Masks) string {
	if masks != nil && x.SaveTo != "" {
		typ, property, split := strings.Cut(x.SaveTo, "#")
		if split {
			if m := masks(typ, property); m != "" {
				return m
			}
		}
		for _, s := range f.Saves {
			if m := masks(s.Type, x.SaveTo); !split && m != "" {
				return m
			}
		}
	}
	if x.Rule != form.NoRule {
		return "last4"
	}
	return ""
}

// Record gives what is to be found of a record: its texts, and its numbers of
// persons, whole. What is chosen, counted, measured or worked out is not searched for.
func Record(f *form.Form, fields map[string]any, masks Masks) (texts, numbers []string) {
	g := gathered{form: f, masks: masks}
	g.fields(f.Fields, fields)
	return g.texts, g.numbers
}

type gathered struct {
	form           *form.Form
	masks          Masks
	texts, numbers []string
}

func (g *gathered) fields(asked []form.Field, answers map[string]any) {
	for i := range asked {
		x := &asked[i]
		switch v := answers[x.Name].(type) {
		case nil:
		case map[string]any:
			if x.Kind == form.Group {
				g.fields(x.Fields, v)
			}
		case []any:
			for _, row := range v {
				if inner, ok := row.(map[string]any); ok && x.Kind == form.Repeat {
					g.fields(x.Fields, inner)
				} else if text, ok := row.(string); ok && !x.Kind.Selects() {
					g.answer(x, text)
				}
			}
		case string:
			g.answer(x, v)
		}
	}
}

func (g *gathered) answer(x *form.Field, v string) {
	if x.Kind != form.Text && x.Kind != form.Barcode || x.Entity != "" {
		return // what names an entity is found by that
	}
	if MaskOf(g.form, x, g.masks) != "" {
		if n := plainNumber(v); len(n) >= leastDigits {
			g.numbers = append(g.numbers, n)
		}
		return
	}
	g.texts = append(g.texts, v)
	g.numbers = append(g.numbers, Numbers(v)...)
}
