package pack

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"otor/internal/form"
)

var surveyLayout = layout{
	plain: []string{
		"type", "name", "required", "relevant", "constraint", "calculation", "choice_filter", "appearance",
		"parameters", "default", "read_only", "trigger", "repeat_count",
		"otor:unit", "otor:check", "otor:entity", "otor:list", "otor:open", "otor:value", "otor:required_unless", "otor:role", "save_to", "otor:save_to", "otor:saves",
	},
	worded: []string{"label", "hint", "required_message", "constraint_message"},
	needs:  []string{"type", "name"},
}

// section is a group or repeat that is being read, or the form itself.
type section struct {
	row    row
	field  form.Field // its Kind is 0 for the form itself
	fields []form.Field
	lines  map[string]int // of the names used in it
}

// survey is the reading of one survey.csv.
type survey struct {
	*loader
	file  string
	lists map[string]*choiceList
	open  []*section     // the form, then the groups that are open
	names map[string]int // every name of the sheet

	targets []*target // the entities that the form saves into
}

// survey reads survey.csv into fields. lists are the form's choices, nil when
// they could not be read, so that one fault there is not reported again here.
func (l *loader) survey(file string, lists map[string]*choiceList) *survey {
	sh := l.readSheet(file, surveyLayout)
	if sh == nil {
		return nil
	}
	s := &survey{loader: l, file: file, lists: lists, names: map[string]int{}}
	s.open = []*section{{lines: map[string]int{}}}
	for _, r := range sh.rows {
		s.row(r)
	}
	for _, o := range s.open[1:] {
		s.fault(file, o.row.line, "%s %s is never ended: add a row of type %s", o.field.Kind, clip(o.field.Name), endOf(o.field.Kind))
	}
	s.siblings(s.open[0])
	if len(sh.rows) == 0 {
		l.fault(file, 0, "has no questions: write at least one row")
	}
	for _, r := range sh.rows {
		s.references(r)
	}
	for name, list := range lists {
		if !list.used {
			l.fault(strings.TrimSuffix(file, "survey.csv")+"choices.csv", list.line,
				"list %s is used by no question: remove it or write select_one %s", clip(name), clip(name))
		}
	}
	return s
}

func (s *survey) top() *section { return s.open[len(s.open)-1] }

func endOf(k form.Kind) string { return strings.Replace(k.String(), "begin", "end", 1) }

// row reads one row of the sheet.
func (s *survey) row(r row) {
	words := strings.Fields(strings.NewReplacer("begin group", "begin_group", "begin repeat", "begin_repeat",
		"end group", "end_group", "end repeat", "end_repeat").Replace(r.cell("type")))
	if len(words) == 0 {
		s.fault(s.file, r.line, "no type: write one of %s", strings.Join(form.KindNames(), ", "))
		return
	}
	switch words[0] {
	case "end_group", "end_repeat":
		s.end(r, words[0])
		return
	}
	kind, ok := form.ParseKind(words[0])
	if !ok {
		s.unknownType(r, words[0])
		return
	}
	f := s.field(r, kind, words[1:])
	if kind.Nests() {
		if len(s.open) == form.MaxDepth {
			s.fault(s.file, r.line, "groups nest more than %d deep: flatten them", form.MaxDepth)
		}
		s.open = append(s.open, &section{row: r, field: f, lines: map[string]int{}})
		return
	}
	t := s.top()
	t.fields = append(t.fields, f)
}

// end closes the innermost group or repeat.
func (s *survey) end(r row, word string) {
	t := s.top()
	switch {
	case len(s.open) == 1:
		s.fault(s.file, r.line, "%s ends nothing: remove it or add its begin", word)
		return
	case endOf(t.field.Kind) != word:
		s.fault(s.file, r.line, "%s crosses %s %s of line %d: write %s here",
			word, t.field.Kind, clip(t.field.Name), t.row.line, endOf(t.field.Kind))
	case r.cell("name") != "" && r.cell("name") != t.field.Name:
		s.fault(s.file, r.line, "%s %s ends %s of line %d: write that name or none",
			word, clip(r.cell("name")), clip(t.field.Name), t.row.line)
	case len(t.fields) == 0:
		s.fault(s.file, t.row.line, "%s %s holds no questions: add one or remove it", t.field.Kind, clip(t.field.Name))
	}
	s.siblings(t)
	t.field.Fields = t.fields
	s.open = s.open[:len(s.open)-1]
	up := s.top()
	up.fields = append(up.fields, t.field)
}

// siblings reports the otor:required_unless that name no question of the section.
func (s *survey) siblings(t *section) {
	for _, f := range t.fields {
		if f.RequiredUnless != "" && t.lines[f.RequiredUnless] == 0 {
			s.fault(s.file, t.lines[f.Name], "otor:required_unless %s: there is no such question beside %s; correct the name",
				clip(f.RequiredUnless), clip(f.Name))
		}
	}
}

// typeHints are what people write for the types that are understood.
var typeHints = map[string]string{
	"int": "integer", "number": "decimal", "float": "decimal", "string": "text", "photo": "image", "picture": "image",
	"datetime": "dateTime", "gps": "geopoint", "location": "geopoint", "select": "select_one", "select1": "select_one",
	"select_many": "select_multiple", "boolean": "select_one with otor:value boolean", "bool": "select_one with otor:value boolean",
	"confirm": "acknowledge", "trigger": "acknowledge", "voice": "audio", "group": "begin_group", "repeat": "begin_repeat",
	"signature": "image with appearance signature", "select_one_from_file": "select_one with a list in choices.csv",
}

func (s *survey) unknownType(r row, word string) {
	switch word {
	case "start", "end", "today", "deviceid", "username", "phonenumber", "audit", "start-geopoint":
		s.fault(s.file, r.line, "type %s: every entry keeps this by itself; remove the row", word)
		return
	}
	if hint := typeHints[strings.ToLower(word)]; hint != "" {
		s.fault(s.file, r.line, "unknown type %q: write %s", clip(word), hint)
		return
	}
	s.fault(s.file, r.line, "unknown type %q: write one of %s", clip(word), strings.Join(form.KindNames(), ", "))
}

// field reads a row of a known kind. rest are the words after the type.
func (s *survey) field(r row, kind form.Kind, rest []string) form.Field {
	f := form.Field{
		Name: r.cell("name"), Kind: kind, Label: s.words(r, "label", "form", "questions"), Hint: s.words(r, "hint", "hints", ""),
		Relevant: r.cell("relevant"), Constraint: r.cell("constraint"), Calculation: r.cell("calculation"),
		ChoiceFilter: r.cell("choice_filter"), RepeatCount: r.cell("repeat_count"), RequiredUnless: r.cell("otor:required_unless"),
		RequiredWords: s.words(r, "required_message", "required", ""), ConstraintWords: s.words(r, "constraint_message", "messages", ""),
		Appearance: r.cell("appearance"), Parameters: r.cell("parameters"), Default: r.cell("default"),
		Trigger: r.cell("trigger"), Unit: r.cell("otor:unit"), Entity: r.cell("otor:entity"), Role: r.cell("otor:role"),
	}
	s.name(r, f.Name)
	if kind != form.Calculate && kind != form.Hidden && kind != form.Group {
		s.labelled(s.file, r.line, "question "+clip(f.Name), f.Label)
	}
	if kind == form.Calculate && f.Calculation == "" {
		s.fault(s.file, r.line, "calculate %s has no calculation: write one, or use hidden", clip(f.Name))
	}
	s.list(r, &f, rest)
	s.required(r, &f)
	f.ReadOnly = s.yes(r, "read_only")
	s.extras(r, &f)
	f.SaveTo = r.cell("save_to")
	if own := r.cell("otor:save_to"); own != "" {
		if f.SaveTo != "" {
			s.fault(s.file, r.line, "save_to and otor:save_to on one row: keep one")
		}
		f.SaveTo = own
	}
	if own := r.cell("otor:saves"); own != "" {
		if s.only(r, "otor:saves", true, kind == form.Repeat && len(s.open) == 1, "a repeat that stands in no other"); kind == form.Repeat {
			s.ownTarget(s.file, r.line, own, f.Name, false)
		}
	}
	return f
}

// words are a row's words in all languages: those of the sheet, and of the catalogues.
// own is the table for one form's words, shared the one for those of all forms; "": none.
func (s *survey) words(r row, column, own, shared string) form.Labels {
	keys := []string{own + "." + path.Base(path.Dir(s.file)) + "." + r.cell("name")}
	if shared != "" {
		keys = append(keys, shared+"."+r.cell("name"))
	}
	return s.say(r.labels(column), keys...)
}

// name checks a question's name.
func (s *survey) name(r row, name string) {
	t := s.top()
	switch {
	case !idPattern.MatchString(name):
		s.fault(s.file, r.line, "name %q: %s", clip(name), idRule)
	case t.lines[name] > 0:
		s.fault(s.file, r.line, "name %s stands on line %d already: choose another", name, t.lines[name])
	}
	if t.lines[name] == 0 {
		t.lines[name] = r.line
	}
	s.names[name] = r.line
}

// list finds the choices of a select question.
func (s *survey) list(r row, f *form.Field, rest []string) {
	switch {
	case !f.Kind.Selects() && len(rest) > 0:
		s.fault(s.file, r.line, "type %s takes no further word: remove %q", f.Kind, clip(strings.Join(rest, " ")))
	case !f.Kind.Selects():
	case len(rest) == 0:
		s.fault(s.file, r.line, "%s names no list: write %s and a list_name of choices.csv", f.Kind, f.Kind)
	case len(rest) > 1:
		s.fault(s.file, r.line, "%s %s: remove %q; for further answers write yes under otor:open",
			f.Kind, clip(rest[0]), clip(strings.Join(rest[1:], " ")))
	case s.lists == nil:
	default:
		list := s.lists[rest[0]]
		if list == nil {
			hint := ""
			if len(s.lists) > 0 {
				hint = ", or write one of " + strings.Join(sortedKeys(s.lists), ", ")
			}
			s.fault(s.file, r.line, "list %q is not in choices.csv: add it there%s", clip(rest[0]), hint)
			return
		}
		list.used = true
		f.List, f.Choices = rest[0], list.choices
	}
}

func (s *survey) required(r row, f *form.Field) {
	switch v := r.cell("required"); strings.ToLower(v) {
	case "", "no", "false", "false()":
	case "yes", "true", "true()":
		f.Required = true
	default:
		f.RequiredIf = v
	}
	if f.RequiredUnless != "" && !f.Required {
		s.fault(s.file, r.line, "otor:required_unless stands on a question that is not required: write yes under required")
	}
	if f.Required && (f.Kind == form.Note || f.Kind == form.Calculate || f.Kind == form.Hidden) {
		s.fault(s.file, r.line, "%s %s cannot be required: leave required empty", f.Kind, clip(f.Name))
	}
}

// extras reads Otor's own columns.
func (s *survey) extras(r row, f *form.Field) {
	var ok bool
	if f.Rule, ok = form.ParseRule(r.cell("otor:check")); !ok {
		s.fault(s.file, r.line, "otor:check %q: write resident_id or phone", clip(r.cell("otor:check")))
	}
	if f.Stored, ok = form.ParseStored(r.cell("otor:value")); !ok {
		s.fault(s.file, r.line, "otor:value %q: write integer or boolean", clip(r.cell("otor:value")))
	}
	f.Many, f.Open = s.yes(r, "otor:list"), s.yes(r, "otor:open")
	isText := f.Kind == form.Text || f.Kind == form.Barcode
	isNumber := f.Kind == form.Integer || f.Kind == form.Decimal || f.Kind == form.Range
	lists := isText || isNumber || slices.Contains([]form.Kind{form.DateOnly, form.Image, form.Audio, form.Video, form.File}, f.Kind)
	s.only(r, "otor:check", f.Rule != form.NoRule, f.Kind == form.Text, "text")
	s.only(r, "otor:value", f.Stored != form.AsText, f.Kind == form.SelectOne, "select_one")
	s.only(r, "otor:open", f.Open, f.Kind == form.SelectOne && f.Stored == form.AsText, "select_one that is stored as text")
	s.only(r, "otor:unit", f.Unit != "", isNumber || f.Kind == form.Calculate, "numbers")
	s.only(r, "otor:entity", f.Entity != "", isText, "text and barcode")
	s.only(r, "otor:list", f.Many, lists, "text, numbers, dates and files; use select_multiple or begin_repeat")
	if f.Entity != "" && f.Entity != anyEntity {
		s.known(s.file, r.line, f.Entity)
	}
	for _, c := range f.Choices {
		if !f.Stored.Allows(c.Name) {
			s.fault(s.file, r.line, "otor:value %s: choice %q of list %s is not one; rename the choice", f.Stored, clip(c.Name), f.List)
		}
	}
}

// only reports a column that is used on a kind it says nothing about.
func (s *survey) only(r row, column string, used, fits bool, where string) {
	if used && !fits {
		s.fault(s.file, r.line, "%s is for %s: leave it empty here", column, where)
	}
}

func (s *survey) yes(r row, column string) bool {
	switch v := strings.ToLower(r.cell(column)); v {
	case "", "no", "false":
		return false
	case "yes", "true":
		return true
	default:
		s.fault(s.file, r.line, "%s %q: write yes or leave it empty", column, clip(v))
		return false
	}
}

var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// references reports ${names} that no question has.
func (s *survey) references(r row) {
	for i, c := range r.sheet.columns {
		if i >= len(r.cells) || c.base == "name" || c.base == "type" || !strings.Contains(r.cells[i], "${") {
			continue
		}
		for _, m := range reference.FindAllStringSubmatch(r.cells[i], -1) {
			if s.names[strings.TrimSpace(m[1])] == 0 {
				s.fault(r.sheet.file, r.line, "%s names the question %s, which the form does not have: correct the name",
					c.base, fmt.Sprintf("${%s}", clip(m[1])))
			}
		}
	}
}
