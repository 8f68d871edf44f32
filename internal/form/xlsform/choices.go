package xlsform

import (
	"slices"
	"strings"
)

// choiceList is one list of the choices sheet.
type choiceList struct {
	name    string
	choices []*choice
	worded  bool // its labels stand in the translations
}

type choice struct {
	rec   record
	name  string
	label wording
	media []medium
	extra []attr // what a choice_filter looks at
}

// choices reads the choices sheet.
func (f *form) choices(t *table) {
	f.lists = map[string]*choiceList{}
	if t == nil {
		return
	}
	for _, c := range t.cols {
		if c.base == "" && c.head == "" {
			continue
		}
		if c.base != "" && strings.ContainsAny(c.base, " \t\n") {
			f.warnings = append(f.warnings, &Fault{
				Sheet: choicesSheet, Row: 1, Column: c.base,
				Words: "is invalid. Column headers must not be empty and must not contain spaces. Learn more: https://xlsform.org/en/#setting-up-your-worksheets",
			})
		}
	}
	for _, r := range t.rows {
		name := r.get("list_name")
		if name == "" {
			continue // notes between the lists
		}
		l := f.lists[name]
		if l == nil {
			l = &choiceList{name: name}
			f.lists[name] = l
			f.listOrder = append(f.listOrder, l)
		}
		f.choice(l, r)
	}
}

// choice reads one row into its list.
func (f *form) choice(l *choiceList, r record) {
	c := &choice{rec: r, name: r.get("name"), label: r.words("label"), media: mediaOf(r)}
	const more = "Learn more: https://xlsform.org/en/#setting-up-your-worksheets"
	if c.name == "" {
		f.at(choicesSheet, r.row, "name", "Choices must have a name. %s", more)
	}
	if len(c.label) == 0 && len(c.media) == 0 {
		f.warnings = append(f.warnings, &Fault{Sheet: choicesSheet, Row: r.row, Column: "label", Words: "is invalid. Choices should have a label. " + more})
	}
	for _, o := range l.choices {
		if o.name == c.name && c.name != "" && !f.set.duplicates {
			f.at(choicesSheet, r.row, "name", "Choice names must be unique for each choice list. If this is intentional, use the setting 'allow_choice_duplicates'. Learn more: https://xlsform.org/#choice-names.")
			break
		}
	}
	for i, col := range r.cols {
		if col.base == "" || slices.Contains(worded, col.base) || col.base == "list_name" || col.base == "name" || i >= len(r.cells) || r.cells[i] == "" {
			continue
		}
		if elementName.MatchString(col.base) {
			c.extra = append(c.extra, attr{col.base, r.cells[i]})
		}
	}
	if len(c.label) > 1 || len(c.label) == 1 && c.label[0].lang != "" || len(c.media) > 0 {
		l.worded = true
	}
	for _, w := range c.label {
		l.worded = l.worded || strings.Contains(w.words, "${") || strings.Contains(w.words, "instance(")
	}
	l.choices = append(l.choices, c)
}

// others adds the choice "other" to the lists that or_other asks for.
func (f *form) addOthers() {
	if len(f.others) == 0 {
		return
	}
	for _, name := range f.others {
		l := f.lists[name]
		if l == nil || len(l.choices) > 0 && l.choices[len(l.choices)-1].name == "other" {
			continue
		}
		label := wording{{"", "Other"}}
		if langs := f.listLanguages(l); len(langs) > 0 {
			label = nil
			for _, lang := range langs {
				label = append(label, struct{ lang, words string }{lang, "Other"})
			}
			f.warn(0, "This form uses or_other and translations, which is not recommended. An untranslated input question label and choice label is generated for 'other'. Learn more: https://xlsform.org/en/#specify-other).")
		}
		l.choices = append(l.choices, &choice{name: "other", label: label})
	}
}

// listLanguages are the languages of a list's labels, when they have any.
func (f *form) listLanguages(l *choiceList) []string {
	var out []string
	for _, c := range l.choices {
		for _, w := range c.label {
			if !slices.Contains(out, w.lang) {
				out = append(out, w.lang)
			}
		}
	}
	if len(out) == 1 && out[0] == "" {
		return nil
	}
	return out
}
