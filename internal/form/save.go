package form

import (
	"fmt"
	"slices"
	"strings"
)

// Save says that the answers of a form are written into an entity: a row of the
// form's entities sheet (ODK Entities, specification 2025.1). Which answer goes
// into which property stands beside the question, in [Field.SaveTo].
type Save struct {
	// Type is the entity's type, the sheet's list_name.
	Type string
	// ID gives the entity's id. nil: the entity that the record is about.
	ID *Expr
	// When says whether anything is written; nil: always. The sheet's update_if.
	When *Expr
	// Repeat names the repeat whose rows are an entity each; "" for the form itself.
	Repeat string
	// Edit says that the form corrects what others correct as well: when two
	// such records change different fields of one entity without knowing of each
	// other, the merge is told. The sheet's otor:edit.
	Edit bool
}

// Saved is one value that a record writes into a property of an entity. A single
// value for a property that is a set is one more element of it; a number for a
// property that is a count is a movement.
type Saved struct {
	Type, ID string
	Property string
	Value    any // as in [Form.Check]
	Edit     bool
}

// Saved lists what a sheet writes, in the order of the form: the answered
// questions that are saved, and the calculations that are, worked out here
// unless the sheet has them. main is the id of the entity that the record is
// about, and what ${entity} stands for; now is the moment of capture. Questions
// without an answer write nothing, calculations that come out empty neither, and
// an entity of which no saved question was answered gets nothing at all. An error names the expression that cannot be
// worked out; it is a [Problem].
func (f *Form) Saved(main string, sheet map[string]any, now Moment) ([]Saved, error) {
	var out []Saved
	for i := range f.Saves {
		s := &f.Saves[i]
		top := scope{main: main, form: f.Fields, now: now, answers: []map[string]any{sheet}, fields: []map[string]*Field{f.byName}}
		if s.Repeat == "" {
			found, err := s.saved(f.Fields, top, len(f.Saves) == 1)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
			continue
		}
		x := f.byName[s.Repeat]
		rows, _ := sheet[s.Repeat].([]any)
		for _, row := range rows {
			answers, _ := row.(map[string]any)
			found, err := s.saved(x.Fields, top.inside(x, answers), len(f.Saves) == 1)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// saved lists what one entity gets from one level of answers.
func (s *Save) saved(fields []Field, in scope, only bool) ([]Saved, error) {
	if s.When != nil {
		if ok, err := s.When.value(in); err != nil || !truth(ok) {
			return nil, err
		}
	}
	c := collected{save: s, only: only}
	if err := c.level(fields, in); err != nil || c.answered == 0 {
		return nil, err
	}
	id := in.main
	if s.ID != nil {
		v, err := s.ID.value(in)
		if err != nil {
			return nil, err
		}
		id = asText(v)
	}
	if id == "" && in.main == "" {
		return nil, nil // the record names no entity: there is nothing to write into
	}
	if !ValidEntityID(id) {
		return nil, Problem{Field: s.Type, Code: Missing, Grave: true, Words: fmt.Sprintf("the id of the %s that is written cannot be made of the answers: %s", s.Type, s.ID)}
	}
	for i := range c.out {
		c.out[i].ID = id
	}
	return c.out, nil
}

// collected is what one entity gets.
type collected struct {
	save     *Save
	only     bool // there is no other entity
	out      []Saved
	answered int // of out, by a person
}

func (c *collected) level(fields []Field, in scope) error {
	for i := range fields {
		x := &fields[i]
		if x.Kind == Group {
			inner, _ := in.answers[len(in.answers)-1][x.Name].(map[string]any)
			if err := c.level(x.Fields, in.inside(x, inner)); err != nil {
				return err
			}
			continue
		}
		property, mine := c.save.property(x.SaveTo, c.only)
		if !mine {
			continue
		}
		v, err := in.answer(x)
		if err != nil {
			return err
		}
		if v == nil || x.Worked != nil && v == "" {
			continue
		}
		if x.Worked == nil {
			c.answered++
		}
		c.out = append(c.out, Saved{Type: c.save.Type, Property: property, Value: v, Edit: c.save.Edit})
	}
	return nil
}

// property reads a save_to: "property", or "type#property" in a form that saves
// into several entities.
func (s *Save) property(saveTo string, only bool) (string, bool) {
	typ, property, split := strings.Cut(saveTo, "#")
	switch {
	case saveTo == "":
		return "", false
	case !split:
		return saveTo, only
	default:
		return property, typ == s.Type
	}
}

// Writers lists the questions whose answers are written into a property of entities of
// a type. What is calculated is no question.
func (f *Form) Writers(typ, property string) []*Field {
	var out []*Field
	for i := range f.Saves {
		s := &f.Saves[i]
		if s.Type != typ {
			continue
		}
		fields := f.Fields
		if s.Repeat != "" {
			fields = f.byName[s.Repeat].Fields
		}
		out = s.writers(out, fields, property, len(f.Saves) == 1)
	}
	return out
}

func (s *Save) writers(out []*Field, fields []Field, property string, only bool) []*Field {
	for i := range fields {
		x := &fields[i]
		if x.Kind == Group {
			out = s.writers(out, x.Fields, property, only)
			continue
		}
		if name, mine := s.property(x.SaveTo, only); mine && name == property && x.Worked == nil {
			out = append(out, x)
		}
	}
	return out
}

// Askers are the questions that decide what is written into a property: its [Form.Writers],
// and those whose answers a calculation carries over as they are.
func (f *Form) Askers(typ, property string) []*Field {
	out := f.Writers(typ, property)
	for i := range f.Saves {
		s := &f.Saves[i]
		if s.Type != typ {
			continue
		}
		fields := f.Fields
		if s.Repeat != "" {
			fields = f.byName[s.Repeat].Fields
		}
		for _, name := range s.carries(fields, property, len(f.Saves) == 1) {
			x := named(fields, name)
			if x == nil {
				x = named(f.Fields, name)
			}
			if x != nil && !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	}
	return out
}

// carries lists the questions whose answers calculations carry into a property.
func (s *Save) carries(fields []Field, property string, only bool) (out []string) {
	for i := range fields {
		x := &fields[i]
		if x.Kind == Group {
			out = append(out, s.carries(x.Fields, property, only)...)
			continue
		}
		if name, mine := s.property(x.SaveTo, only); mine && name == property && x.Worked != nil && x.Worked.root.op == opRef {
			out = append(out, x.Worked.root.text)
		}
	}
	return out
}

// named finds a question on a level, or in the groups of that level.
func named(fields []Field, name string) *Field {
	for i := range fields {
		x := &fields[i]
		if x.Name == name {
			return x
		}
		if x.Kind == Group {
			if inner := named(x.Fields, name); inner != nil {
				return inner
			}
		}
	}
	return nil
}

// ValidEntityID reports whether s can be the id of an entity: 1 to 128 bytes
// without spaces or control characters.
func ValidEntityID(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
