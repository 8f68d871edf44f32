package device

import (
	"slices"
	"strings"

	"otor/internal/form"
	"otor/internal/form/xlsform"
)

// A form may have words in more languages than its sheets: those of the pack's
// catalogues. The sheets get a column for each of them before a page is made of them.

// speak adds columns to the sheets of a form for the languages that they lack.
func speak(sheets []xlsform.Sheet, f *form.Form) {
	says := wordsOf(f)
	for i := range sheets {
		s := &sheets[i]
		switch s.Name {
		case "survey":
			for _, column := range []string{"label", "hint", "constraint_message", "required_message"} {
				words := says.rows(s, column)
				says.add(s, column, f.DefaultLanguage, words)
			}
		case "choices":
			words := make([]form.Labels, len(s.Rows))
			for i, r := range s.Rows {
				words[i] = says.choices[[2]string{cell(s, r, "list_name"), cell(s, r, "name")}]
			}
			says.add(s, "label", f.DefaultLanguage, words)
		}
	}
}

// formWords are all words of a form.
type formWords struct {
	questions map[[2]string]form.Labels // by the sheet's column, and the name with the groups that it stands in
	choices   map[[2]string]form.Labels // by list and name
	langs     []string                  // sorted
}

func wordsOf(f *form.Form) *formWords {
	w := &formWords{questions: map[[2]string]form.Labels{}, choices: map[[2]string]form.Labels{}}
	seen := func(l form.Labels) form.Labels {
		for lang, words := range l {
			if words != "" && !slices.Contains(w.langs, lang) {
				w.langs = append(w.langs, lang)
			}
		}
		return l
	}
	var walk func(fields []form.Field, way string)
	walk = func(fields []form.Field, way string) {
		for i := range fields {
			x := &fields[i]
			at := way + x.Name
			w.questions[[2]string{"label", at}] = seen(x.Label)
			w.questions[[2]string{"hint", at}] = seen(x.Hint)
			w.questions[[2]string{"constraint_message", at}] = seen(x.ConstraintWords)
			w.questions[[2]string{"required_message", at}] = seen(x.RequiredWords)
			for _, c := range x.Choices {
				w.choices[[2]string{x.List, c.Name}] = seen(c.Label)
			}
			walk(x.Fields, at+"/")
		}
	}
	walk(f.Fields, "")
	slices.Sort(w.langs)
	return w
}

// rows are the words of a column for each row of a survey.
func (w *formWords) rows(s *xlsform.Sheet, column string) []form.Labels {
	out := make([]form.Labels, len(s.Rows))
	way := ""
	for i, r := range s.Rows {
		kind := strings.NewReplacer("begin ", "begin_", "end ", "end_").Replace(cell(s, r, "type"))
		name := cell(s, r, "name")
		if strings.HasPrefix(kind, "end_") {
			way = way[:strings.LastIndexByte("/"+strings.TrimSuffix(way, "/"), '/')]
			continue
		}
		out[i] = w.questions[[2]string{column, way + name}]
		if strings.HasPrefix(kind, "begin_") {
			way += name + "/"
		}
	}
	return out
}

// add adds a column in each language that the sheet does not have it in. A row without
// words in it has those of the form's own language there.
func (w *formWords) add(s *xlsform.Sheet, column, own string, rows []form.Labels) {
	if !slices.ContainsFunc(rows, func(l form.Labels) bool { return len(l) > 0 }) {
		return
	}
	for _, lang := range w.langs {
		if slices.ContainsFunc(s.Header, func(h string) bool { return isColumn(h, column, lang) }) {
			continue
		}
		s.Header = append(s.Header, column+"::"+lang)
		for i := range s.Rows {
			cells := make([]string, len(s.Header))
			copy(cells, s.Rows[i].Cells)
			if cells[len(cells)-1] = rows[i][lang]; rows[i][lang] == "" {
				cells[len(cells)-1] = rows[i][own]
			}
			s.Rows[i].Cells = cells
		}
	}
}

func cell(s *xlsform.Sheet, r xlsform.Row, name string) string {
	if i := slices.Index(s.Header, name); i >= 0 && i < len(r.Cells) {
		return strings.TrimSpace(r.Cells[i])
	}
	return ""
}

// isColumn reports whether a header such as "label::中文 (zh)" is the column in a language.
func isColumn(header, column, lang string) bool {
	base, in, worded := strings.Cut(header, "::")
	in = strings.TrimSpace(in)
	if open := strings.LastIndexByte(in, '('); open >= 0 && strings.HasSuffix(in, ")") {
		in = in[open+1 : len(in)-1]
	}
	return worded && strings.TrimSpace(base) == column && strings.TrimSpace(in) == lang
}
