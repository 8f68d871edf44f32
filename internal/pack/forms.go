package pack

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"otor/internal/dot"
	"otor/internal/form"
)

const formsDir = "forms"

// forms reads every folder under forms/.
func (l *loader) forms() []*form.Form {
	dirs, err := fs.ReadDir(l.dir, formsDir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(dirs) == 0 {
		l.fault(formsDir, 0, "is missing: a pack has at least one form, in forms/<id>/")
		return nil
	}
	if err != nil {
		l.fault(formsDir, 0, "cannot be read: %v", err)
		return nil
	}
	if len(dirs) > maxForms {
		l.fault(formsDir, 0, "%d forms: at most %d", len(dirs), maxForms)
		return nil
	}
	var out []*form.Form
	for _, d := range dirs {
		name := path.Join(formsDir, d.Name())
		if !d.IsDir() {
			l.fault(name, 0, "is a file: put each form in a folder of its own")
			continue
		}
		if f := l.form(name); f != nil {
			out = append(out, f)
		}
	}
	return out
}

var formFiles = []string{"survey.csv", "choices.csv", "settings.csv", "entities.csv"}

// form reads one form's folder.
func (l *loader) form(dir string) *form.Form {
	files, err := fs.ReadDir(l.dir, dir)
	if err != nil {
		l.fault(dir, 0, "cannot be read: %v", err)
		return nil
	}
	before := len(l.faults)
	hasChoices, hasEntities := false, false
	for _, f := range files {
		hasChoices = hasChoices || f.Name() == "choices.csv"
		hasEntities = hasEntities || f.Name() == "entities.csv"
		if !slices.Contains(formFiles, f.Name()) {
			l.fault(path.Join(dir, f.Name()), 0, "unknown file: a form has %s", strings.Join(formFiles, ", "))
		}
	}
	f := l.settings(dir)
	lists := map[string]*choiceList{}
	if hasChoices {
		lists = l.choices(path.Join(dir, "choices.csv"))
	}
	survey := l.survey(path.Join(dir, "survey.csv"), lists)
	if f.saves != "" && survey != nil {
		survey.ownTarget(path.Join(dir, "settings.csv"), f.savesLine, f.saves, "", f.edit)
	}
	if hasEntities {
		l.entitySheet(path.Join(dir, "entities.csv"), survey)
	}
	f.Fields, f.Saves = survey.finish()
	if len(l.faults) > before {
		return nil
	}
	f.Sheets = l.sheets(dir, files)
	ready, err := form.New(f.Form)
	if err != nil {
		l.fault(path.Join(dir, "survey.csv"), 0, "%v", err)
		return nil
	}
	return ready
}

var settingsLayout = layout{
	plain:  []string{"form_id", "form_title", "version", "default_language", "style", "otor:lane", "otor:entity", "otor:saves", "otor:edit"},
	worded: []string{"otor:title"},
	needs:  []string{"form_id", "form_title", "version", "default_language", "otor:lane", "otor:entity"},
}

// settings reads settings.csv: one row about the form as a whole.
func (l *loader) settings(dir string) headed {
	file := path.Join(dir, "settings.csv")
	s := l.readSheet(file, settingsLayout)
	if s == nil {
		return headed{}
	}
	if len(s.rows) != 1 {
		line := 0
		if len(s.rows) > 1 {
			line = s.rows[1].line
		}
		l.fault(file, line, "%d rows under the header: write exactly one", len(s.rows))
		return headed{}
	}
	r := s.rows[0]
	id, folder := r.cell("form_id"), path.Base(dir)
	switch {
	case !idPattern.MatchString(id):
		l.fault(file, r.line, "form_id %q: %s", clip(id), idRule)
	case id != folder:
		l.fault(file, r.line, "form_id %s stands in the folder %s: give both one name", id, clip(folder))
	}
	version, err := strconv.ParseUint(r.cell("version"), 10, 32)
	if err != nil || version == 0 {
		l.fault(file, r.line, "version %q: write a whole number from 1", clip(r.cell("version")))
	}
	lane, err := dot.ParseLane(r.cell("otor:lane"))
	if err != nil {
		l.fault(file, r.line, "otor:lane %q: write alert or record", clip(r.cell("otor:lane")))
	}
	entity := r.cell("otor:entity")
	l.known(file, r.line, entity)
	lang := languageOf(r.cell("default_language"))
	if !l.language(lang) {
		l.fault(file, r.line, "default_language %q: write one of the languages of %s (%s)",
			clip(r.cell("default_language")), manifestFile, strings.Join(l.pack.Languages, ", "))
	}
	title := r.labels("otor:title")
	if title == nil {
		title = form.Labels{}
	}
	title[lang] = r.cell("form_title")
	title = l.say(title, "titles."+id)
	l.labelled(file, r.line, "the form's title", title)
	edit := false
	switch r.cell("otor:edit") {
	case "", "no":
	case "yes":
		edit = true
	default:
		l.fault(file, r.line, "otor:edit %q: write yes or leave it empty", clip(r.cell("otor:edit")))
	}
	return headed{
		Form:  form.Form{ID: id, Version: uint32(version), Title: title, DefaultLanguage: lang, Lane: lane, Entity: entity},
		saves: r.cell("otor:saves"), savesLine: r.line, edit: edit,
	}
}

// headed is a form of which only the settings are known.
type headed struct {
	form.Form
	saves     string // otor:saves, for what stands outside of repeats
	savesLine int
	edit      bool // of what is saved by otor:saves
}

// choiceList is one list of choices.sheet.
type choiceList struct {
	choices []form.Choice
	line    int // of its first choice
	used    bool
}

var choicesLayout = layout{
	plain:  []string{"list_name", "name"},
	worded: []string{"label"},
	needs:  []string{"list_name", "name"},
	free:   true,
}

// choices reads choices.csv. nil: it could not be read.
func (l *loader) choices(file string) map[string]*choiceList {
	s := l.readSheet(file, choicesLayout)
	if s == nil {
		return nil
	}
	lists := map[string]*choiceList{}
	seen := map[[2]string]int{}
	for _, r := range s.rows {
		list, name := r.cell("list_name"), r.cell("name")
		switch {
		case list == "" || strings.ContainsAny(list, " \t\r\n"):
			l.fault(file, r.line, "list_name %q: write one word", clip(list))
			continue
		case name == "" || len(name) > 64 || strings.ContainsAny(name, " \t\r\n"):
			l.fault(file, r.line, "choice name %q: write one word of at most 64 bytes", clip(name))
			continue
		case seen[[2]string{list, name}] > 0:
			l.fault(file, r.line, "choice %s of list %s stands on line %d already: keep one",
				clip(name), clip(list), seen[[2]string{list, name}])
			continue
		}
		seen[[2]string{list, name}] = r.line
		c := form.Choice{Name: name, Label: l.say(r.labels("label"), "choices."+list+"."+name)}
		l.labelled(file, r.line, "choice "+clip(name), c.Label)
		for i, col := range s.columns {
			if col.lang == "" && col.base != "" && !slices.Contains(choicesLayout.plain, col.base) &&
				i < len(r.cells) && r.cells[i] != "" {
				if c.Attributes == nil {
					c.Attributes = map[string]string{}
				}
				c.Attributes[col.base] = r.cells[i]
			}
		}
		if lists[list] == nil {
			lists[list] = &choiceList{line: r.line}
		}
		lists[list].choices = append(lists[list].choices, c)
	}
	return lists
}

// sheets keeps a form's sheets as they are written, for what makes a page of them.
func (l *loader) sheets(dir string, files []fs.DirEntry) map[string][]byte {
	out := make(map[string][]byte, len(files))
	for _, f := range files {
		if b, err := readBounded(l.dir, path.Join(dir, f.Name())); err == nil {
			out[strings.TrimSuffix(f.Name(), ".csv")] = b
		}
	}
	return out
}
