package form

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Env is what a check needs to know of the world.
type Env struct {
	Today    Date // the zero date: not known, nothing counts as ahead
	DemoMode bool // the fictional area of resident numbers is accepted
}

// Check finds what is wrong with a sheet. Fields hold nil, bool, int64,
// float64, string, []any and map[string]any, as [entry.Private] decodes to; nil
// counts as no answer. The order of the problems depends on the form and the
// sheet alone. nil: the sheet is in order. Check is safe for concurrent use.
func (f *Form) Check(fields map[string]any, env Env) []Problem {
	c := checker{env: env}
	c.level(f.Fields, f.byName, fields)
	if c.grave == nil && c.mild == nil {
		return nil
	}
	return c.problems()
}

// Check finds what is wrong with one answer to the question, whatever stands beside it.
// v is as in [Form.Check].
func (f *Field) Check(v any, env Env) []Problem {
	c := checker{env: env}
	c.down(f.Name)
	c.field(f, v, nil)
	c.up()
	return c.problems()
}

type checker struct {
	trail
	env Env
}

// level checks one level of fields against its answers.
func (c *checker) level(fields []Field, byName map[string]*Field, answers map[string]any) {
	found := 0
	for i := range fields {
		f := &fields[i]
		v, ok := answers[f.Name]
		if ok {
			found++
		}
		c.down(f.Name)
		c.field(f, v, answers)
		c.up()
		if c.full() {
			return
		}
	}
	if found < len(answers) {
		c.unknown(byName, answers)
	}
}

// unknown reports the answers that no field asks for, in the order of their names.
func (c *checker) unknown(byName map[string]*Field, answers map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		if byName[name] == nil {
			c.down(clip(name))
			c.refuse(UnknownField, "the form has no such question; check the spelling or the form's version")
			c.up()
		}
	}
}

func (c *checker) field(f *Field, v any, siblings map[string]any) {
	if f.Required && f.Relevant == "" && (empty(v) || f.Kind == Acknowledge && v == false) &&
		(f.RequiredUnless == "" || empty(siblings[f.RequiredUnless])) {
		c.missing(f)
		return
	}
	switch {
	case v == nil:
		if f.Kind == Group && f.Relevant == "" {
			c.level(f.Fields, f.byName, nil)
		}
	case f.Kind == Group:
		m, ok := v.(map[string]any)
		if !ok {
			c.refuse(BadType, expected(f, "a group of answers", v))
			return
		}
		c.level(f.Fields, f.byName, m)
	case f.Kind == Repeat || f.Many || f.Kind == SelectMultiple || f.Kind == Rank:
		c.list(f, v)
	default:
		c.one(f, v)
	}
}

func (c *checker) missing(f *Field) {
	if f.RequiredUnless != "" {
		c.refuse(Missing, "an answer is needed here or in "+f.RequiredUnless)
		return
	}
	c.refuse(Missing, "an answer is needed")
}

// empty reports whether v is no answer to a required question.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// list checks the answers that are lists: rows, many of one kind, several choices.
func (c *checker) list(f *Field, v any) {
	items, ok := v.([]any)
	if !ok {
		c.refuse(BadType, expected(f, "a list", v))
		return
	}
	if len(items) > MaxRows {
		c.refuse(TooMany, fmt.Sprintf("%d rows, the limit is %d; split the record", len(items), MaxRows))
		return
	}
	for i, item := range items {
		if c.full() {
			return
		}
		c.row(i)
		switch {
		case f.Kind == Repeat:
			m, ok := item.(map[string]any)
			if !ok {
				c.refuse(BadType, expected(f, "a row of answers", item))
				continue
			}
			c.level(f.Fields, f.byName, m)
		case f.Kind == SelectMultiple || f.Kind == Rank:
			c.choice(f, item)
		default:
			c.one(f, item)
		}
	}
}

// one checks a single answer of a kind that does not nest.
func (c *checker) one(f *Field, v any) {
	switch f.Kind {
	case Integer:
		if _, ok := v.(int64); !ok {
			c.refuse(BadType, expected(f, "a whole number", v))
		}
	case Decimal, Range:
		c.number(f, v)
	case SelectOne:
		c.choice(f, v)
	case Acknowledge:
		if _, ok := v.(bool); !ok {
			c.refuse(BadType, expected(f, "true or false", v))
		}
	case Geopoint:
		c.place(f, v)
	case DateOnly:
		if s, ok := v.(string); !ok || !isDate(s) {
			c.refuse(BadType, expected(f, "a date like 2025-09-18", v))
		}
	case Time:
		if s, ok := v.(string); !ok || !isTime(s) {
			c.refuse(BadType, expected(f, "a time like 14:05:00", v))
		}
	case DateTime:
		if s, ok := v.(string); !ok || !isDateTime(s) {
			c.refuse(BadType, expected(f, "a time like 2025-09-18T14:05:00+08:00", v))
		}
	case Note:
		c.refuse(UnknownField, "this is a note, not a question; it takes no answer")
	case Calculate, Hidden:
		c.scalar(f, v)
	default: // the kinds that are text
		c.text(f, v)
	}
}

func (c *checker) number(f *Field, v any) {
	switch n := v.(type) {
	case int64:
	case float64:
		if math.IsNaN(n) || math.IsInf(n, 0) {
			c.refuse(OutOfRange, "expected a number, got one that is not finite")
		}
	default:
		c.refuse(BadType, expected(f, "a number", v))
	}
}

func (c *checker) text(f *Field, v any) {
	s, ok := v.(string)
	if !ok {
		c.refuse(BadType, expected(f, "text", v))
		return
	}
	if !c.fits(s) || s == "" {
		return
	}
	switch f.Rule {
	case ResidentID:
		if code, words := CheckResidentID(s, c.env); code != "" {
			c.warn(code, words)
		}
	case Phone:
		if code, words := CheckPhone(s); code != "" {
			c.warn(code, words)
		}
	case NoRule:
	}
}

// fits reports whether a text is within the limit.
func (c *checker) fits(s string) bool {
	if len(s) > MaxText {
		c.refuse(TooLong, fmt.Sprintf("%d bytes of text, the limit is %d; shorten it", len(s), MaxText))
		return false
	}
	return true
}

func (c *checker) scalar(f *Field, v any) {
	switch x := v.(type) {
	case bool:
	case string:
		c.fits(x)
	case int64, float64:
		c.number(f, v)
	default:
		c.refuse(BadType, expected(f, "text or a number", v))
	}
}

// choice checks one chosen answer.
func (c *checker) choice(f *Field, v any) {
	var name string
	switch f.Stored {
	case AsInteger:
		n, ok := v.(int64)
		if !ok {
			c.refuse(BadType, expected(f, "a whole number", v))
			return
		}
		name = strconv.FormatInt(n, 10) // one or two digits: no allocation
	case AsBoolean:
		b, ok := v.(bool)
		if !ok {
			c.refuse(BadType, expected(f, "true or false", v))
			return
		}
		name = strconv.FormatBool(b)
	case AsText:
		s, ok := v.(string)
		if !ok {
			c.refuse(BadType, expected(f, "one of its choices as text", v))
			return
		}
		name = s
	}
	if f.choices[name] {
		return
	}
	if f.Open {
		c.fits(name)
		return
	}
	c.refuse(BadChoice, fmt.Sprintf("%q is not one of its choices: %s", clip(name), f.offers()))
}

// offers lists the choices for a message.
func (f *Field) offers() string {
	const shown = 12
	names := make([]string, 0, shown)
	for i, ch := range f.Choices {
		if i == shown {
			names = append(names, fmt.Sprintf("and %d more", len(f.Choices)-shown))
			break
		}
		names = append(names, ch.Name)
	}
	return strings.Join(names, ", ")
}
