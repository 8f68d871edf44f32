package form

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Code is the reason of a problem. Codes stand in verdicts: they never change.
type Code string

// The codes of [Problem] and [LookupError].
const (
	Missing      Code = "missing"       // a required answer is not there
	BadType      Code = "bad_type"      // an answer of the wrong type, or a date that does not exist
	BadChoice    Code = "bad_choice"    // an answer that the question does not offer
	UnknownField Code = "unknown_field" // an answer to no question of the form
	TooLong      Code = "too_long"      // a text over [MaxText]
	TooMany      Code = "too_many"      // a list over [MaxRows]
	OutOfRange   Code = "out_of_range"  // a number that cannot be kept, a place that is not on the earth

	IDShape    Code = "id_shape"    // not a resident identity number
	IDChecksum Code = "id_checksum" // its last character does not fit the others
	IDDate     Code = "id_date"     // its birth date does not exist or lies ahead
	PhoneShape Code = "phone_shape" // not a mobile number

	FormUnknown Code = "form_unknown"
	FormNewer   Code = "form_newer"
	FormOld     Code = "form_old"
)

// Problem is one thing that is wrong with a sheet.
type Problem struct {
	Field string `json:"field"` // its path; rows count from 0: "rows[2].count"
	Code  Code   `json:"code"`
	Words string `json:"words"` // a plain English sentence that names the field
	// Grave problems make a device refuse the capture. The others are warnings
	// there; the hub sets a record aside for either.
	Grave bool `json:"grave"`
}

func (p Problem) Error() string { return p.Words }

// most bounds the problems of each weight that one check reports.
const most = 16

// trail is where a walk over a sheet stands. It allocates only to report.
type trail struct {
	steps [MaxDepth + 2]step
	depth int
	grave []Problem
	mild  []Problem
}

// step is one level of the path: a field's name, and the row in it or -1.
type step struct {
	name string
	row  int
}

func (t *trail) down(name string) {
	t.steps[t.depth] = step{name, -1}
	t.depth++
}

func (t *trail) up() { t.depth-- }

func (t *trail) row(i int) { t.steps[t.depth-1].row = i }

func (t *trail) path() string {
	var b strings.Builder
	for i, s := range t.steps[:t.depth] {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.row >= 0 {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.row))
			b.WriteByte(']')
		}
	}
	return b.String()
}

// full reports whether nothing more would be kept.
func (t *trail) full() bool { return len(t.grave) >= most }

func (t *trail) refuse(code Code, words string) {
	if len(t.grave) < most {
		p := t.path()
		t.grave = append(t.grave, Problem{Field: p, Code: code, Words: "field " + p + ": " + words, Grave: true})
	}
}

func (t *trail) warn(code Code, words string) {
	if len(t.mild) < most {
		p := t.path()
		t.mild = append(t.mild, Problem{Field: p, Code: code, Words: "field " + p + ": " + words})
	}
}

// problems lists the grave ones first, each kind in the order of the form.
func (t *trail) problems() []Problem { return append(t.grave, t.mild...) }

// expected words a wrong type. The value of a field with a rule is a person's
// number and is not repeated.
func expected(f *Field, want string, v any) string {
	if f.Rule != NoRule {
		return fmt.Sprintf("expected %s, got a %s", want, jsonType(v))
	}
	return "expected " + want + ", got " + describe(v)
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	case json.Number:
		return "the number " + clip(v.String())
	case string:
		return fmt.Sprintf("text %q", clip(v))
	case []any:
		return "a list"
	case map[string]any:
		return "a group of answers"
	default:
		return fmt.Sprintf("a %T", v)
	}
}

func jsonType(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case int64, float64, json.Number:
		return "number"
	case string:
		return "text"
	case []any:
		return "list"
	default:
		return "group of answers"
	}
}

// clip keeps hostile input out of messages.
func clip(s string) string {
	const longest = 48
	if len(s) <= longest {
		return s
	}
	n := longest
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
