package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"otor/agent/web"
	"otor/internal/form"
	"otor/internal/form/xlsform"
)

// xforms makes the XForms that the page asks, once each.
type xforms struct {
	mu   sync.Mutex
	made map[asked][]byte // guarded by mu
}

// asked is a form as a version of the pack has it, and what is left out of it.
type asked struct {
	form *form.Form
	out  string
}

// errNoSheets says that a form was not made of sheets and so has no page.
var errNoSheets = errors.New("the form has no sheets to ask by")

// of returns a form's XForm as the page asks it. Files, open choices and lists
// of answers are asked as text there: the page has controls of its own for them,
// and the answer is what is kept anyway. Questions of a role that is denied are left out.
func (x *xforms) of(f *form.Form, denied func(role string) bool) ([]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := asked{f, keptFrom(f.Fields, denied)}
	if b, ok := x.made[key]; ok {
		return b, nil
	}
	if f.Sheets == nil {
		return nil, fmt.Errorf("form %s: %w", f, errNoSheets)
	}
	b := &xlsform.Workbook{}
	for _, name := range []string{"survey", "choices", "settings"} {
		src, ok := f.Sheets[name]
		if !ok {
			continue
		}
		s, err := xlsform.ReadCSV(name, src)
		if err != nil {
			return nil, fmt.Errorf("form %s: %w", f, err)
		}
		b.Sheets = append(b.Sheets, s)
	}
	speak(b.Sheets, f)
	for i := range b.Sheets {
		if b.Sheets[i].Name == "survey" {
			without(&b.Sheets[i], denied)
			asText(&b.Sheets[i])
		}
	}
	res, err := xlsform.Convert(b, xlsform.Options{})
	if err != nil {
		return nil, fmt.Errorf("form %s: %w", f, err)
	}
	if x.made == nil {
		x.made = make(map[asked][]byte)
	}
	x.made[key] = res.XForm
	return res.XForm, nil
}

// keptFrom names the questions that are left out.
func keptFrom(fields []form.Field, denied func(role string) bool) (out string) {
	for _, f := range fields {
		if f.Role != "" && denied(f.Role) {
			out += " -" + f.Name
		}
		out += keptFrom(f.Fields, denied)
	}
	return out
}

// without leaves out the questions of roles that are denied.
func without(s *xlsform.Sheet, denied func(role string) bool) {
	i := slices.Index(s.Header, "otor:role")
	if i < 0 {
		return
	}
	s.Rows = slices.DeleteFunc(s.Rows, func(r xlsform.Row) bool {
		return i < len(r.Cells) && strings.TrimSpace(r.Cells[i]) != "" && denied(strings.TrimSpace(r.Cells[i]))
	})
}

// asText turns the rows that the page has controls of its own for into text,
// and leaves to capture what only it can judge: an answer that is needed unless
// another one is there. What a record writes into entities is worked out by
// capture as well.
func asText(s *xlsform.Sheet) {
	at := func(r xlsform.Row, name string) string { return cell(s, r, name) }
	set := func(r xlsform.Row, name, v string) {
		if i := slices.Index(s.Header, name); i >= 0 && i < len(r.Cells) {
			r.Cells[i] = v
		}
	}
	for _, r := range s.Rows {
		kind, _, _ := strings.Cut(at(r, "type"), " ")
		if slices.Contains([]string{"image", "audio", "video", "file"}, kind) || yes(at(r, "otor:open")) || yes(at(r, "otor:list")) {
			set(r, "type", "text")
			set(r, "parameters", "")
		}
		if at(r, "otor:required_unless") != "" {
			set(r, "required", "")
		}
		set(r, "save_to", "")
	}
}

func yes(s string) bool { return strings.EqualFold(s, "yes") || strings.EqualFold(s, "true") }

// questions says what the page must know beyond the XForm, by path.
func questions(fields []form.Field, lang string) map[string]web.Question {
	out := map[string]web.Question{}
	var walk func(fields []form.Field, path string)
	walk = func(fields []form.Field, path string) {
		for _, f := range fields {
			at := path + f.Name
			if f.Kind.Nests() {
				walk(f.Fields, at+"/")
				continue
			}
			q := web.Question{Media: medium(f), Many: f.Many, Open: f.Open, Unit: f.Unit}
			if f.Open {
				for _, c := range f.Choices {
					q.Choices = append(q.Choices, web.Choice{Name: c.Name, Label: c.Label.In(lang)})
				}
			}
			if q.Media != "" || q.Many || q.Open || q.Unit != "" {
				out[at] = q
			}
		}
	}
	walk(fields, "")
	return out
}

func medium(f form.Field) string {
	switch f.Kind {
	case form.Image:
		if strings.Contains(f.Appearance, "signature") {
			return "signature"
		}
		return "photo"
	case form.Audio:
		return "audio"
	case form.Video:
		return "video"
	case form.File:
		return "file"
	default:
		return ""
	}
}
