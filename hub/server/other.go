package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"otor/hub/console"
	"otor/internal/form"
	"otor/internal/merge"
)

// otherParts are what another value of a field takes, in words: one part of a field that
// stands by itself, one for each member of a group. None where no value can be typed.
func (n *naming) otherParts(typ, field string, sides []any) (out []console.OtherPart) {
	if n.says == nil || field == merge.Deleted {
		return nil
	}
	members := n.says.Members(typ, field)
	if len(members) == 0 {
		if part, ok := n.otherPart(typ, field, sides); ok {
			part.Name = ""
			return []console.OtherPart{part}
		}
		return nil
	}
	for _, name := range members {
		var had []any
		for _, s := range sides {
			if group, ok := s.(map[string]any); ok {
				had = append(had, group[name])
			}
		}
		part, ok := n.otherPart(typ, name, had)
		if !ok {
			return nil // all of a group is written, or nothing
		}
		out = append(out, part)
	}
	return out
}

// otherPart says how a value of a field is typed. had are the values that it has on the
// sides: without one on each of them it may be left out.
func (n *naming) otherPart(typ, field string, had []any) (console.OtherPart, bool) {
	p := console.OtherPart{Name: field, Label: n.field(typ, field), Kind: n.says.Kind(typ, field), Unit: console.UnitWords(n.words, n.says.Unit(typ, field))}
	p.Needed = !slices.Contains(had, nil)
	switch p.Kind {
	case "text", "integer", "decimal", "date", "datetime":
	case "boolean":
		for _, v := range []bool{true, false} {
			p.Choices = append(p.Choices, console.Named{ID: strconv.FormatBool(v), Words: n.said(typ, field, v, func(_, _, s string) string { return s })})
		}
	case "": // a field of no pack goes by what its sides are
		for _, v := range had {
			switch v.(type) {
			case string, float64, bool:
			default:
				return p, false
			}
		}
		p.Kind = "text"
	default: // lists are too long to type
		return p, false
	}
	for _, q := range n.o.askers(typ, field) {
		if q.Kind == form.SelectOne && !q.Open && len(p.Choices) == 0 {
			for _, c := range q.Choices {
				p.Choices = append(p.Choices, console.Named{ID: c.Name, Words: cmp.Or(c.Label.In(n.lang), c.Name)})
			}
		}
		if q.Constraint != "" && p.Hint == "" {
			p.Hint = q.ConstraintWords.In(n.lang)
		}
	}
	return p, true
}

// otherValue is what was typed of another value, for [Ruling.Value].
func otherValue(typed map[string]string) (json.RawMessage, error) {
	text, alone := typed[""]
	if alone {
		if strings.TrimSpace(text) == "" {
			return nil, nil
		}
		return json.Marshal(strings.TrimSpace(text))
	}
	if len(typed) == 0 {
		return nil, nil
	}
	out := make(map[string]*string, len(typed))
	for name, v := range typed {
		out[name] = nil
		if v = strings.TrimSpace(v); v != "" {
			out[name] = &v
		}
	}
	return json.Marshal(out)
}

// askers are the questions of the current forms that decide what is written to a field.
func (o *Office) askers(typ, field string) (out []*form.Field) {
	forms, ok := o.forms.(formList)
	if !ok {
		return nil
	}
	for _, id := range forms.IDs() {
		if f, ok := forms.Latest(id); ok {
			out = append(out, f.Askers(typ, field)...)
		}
	}
	return out
}

// kindly are questions by what packs say of fields that no form asks about.
var kindly = map[string]form.Kind{"date": form.DateOnly, "datetime": form.DateTime}

// fits says why a value that an operator typed cannot stand in a field: none of the
// questions about it takes that as an answer. Each member of a group has its own.
func (o *Office) fits(typ, field string, v any) error {
	if group, ok := v.(map[string]any); ok {
		var errs []error
		for _, name := range sortedKeys(group) {
			if err := o.fits(typ, name, group[name]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		return errors.Join(errs...)
	}
	if v == nil { // that it may be left out was looked at
		return nil
	}
	asked := o.askers(typ, field)
	if says, ok := o.domain.(worded); ok && len(asked) == 0 && kindly[says.Kind(typ, field)] != 0 {
		asked = []*form.Field{{Name: field, Kind: kindly[says.Kind(typ, field)]}}
	}
	env := form.Env{Today: form.DateOf(o.now().In(o.zone)), DemoMode: o.demo}
	var why error
	for _, q := range asked {
		problems := q.Check(v, env)
		switch {
		case len(problems) > 0:
			why = problems[0]
		case !q.Within(v):
			why = fmt.Errorf("%v is not what the form takes: %s", v, cmp.Or(q.ConstraintWords.In("en"), q.Constraint))
		default:
			return nil
		}
	}
	return why
}
