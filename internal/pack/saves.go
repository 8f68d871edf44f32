package pack

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"otor/internal/form"
)

// indexed is the name under which tomlLines keeps the nth table of a list.
func indexed(name string, n int) string { return strings.TrimSpace(name) + "#" + strconv.Itoa(n) }

// saving is an answer that is saved, and where the sheet says so.
type saving struct {
	file           string
	line           int
	typ            string // entity type
	property       string
	kind           form.Kind
	many           bool
	stored         form.Stored
	repeat, parent string
}

var entityLayout = layout{
	plain: []string{"list_name", "entity_id", "create_if", "update_if", "label", "otor:edit"},
	needs: []string{"list_name"},
}

// target is an entity that a form saves into, while its sheets are read.
type target struct {
	form.Save
	file  string
	line  int
	own   bool // declared by otor:saves
	where string
	used  bool
}

// entitySheet reads entities.csv, the sheet of ODK Entities.
func (l *loader) entitySheet(file string, s *survey) {
	sh := l.readSheet(file, entityLayout)
	if sh == nil || s == nil {
		return
	}
	for _, r := range sh.rows {
		t := target{Save: form.Save{Type: r.cell("list_name"), Edit: s.yes(r, "otor:edit")}, file: file, line: r.line, where: "entities.csv"}
		l.known(file, r.line, t.Type)
		if slices.ContainsFunc(s.targets, func(o *target) bool { return !o.own && o.Type == t.Type }) {
			l.fault(file, r.line, "list_name %s stands twice: keep one", clip(t.Type))
		}
		t.ID = s.expr(file, r.line, "entity_id", r.cell("entity_id"))
		when := r.cell("update_if")
		if c := r.cell("create_if"); c != "" && when == "" {
			when = c
		} else if c != "" {
			when = "(" + c + ") or (" + when + ")"
		}
		t.When = s.expr(file, r.line, "update_if", when)
		s.targets = append(s.targets, &t)
		s.references(r)
	}
	if len(sh.rows) == 0 {
		l.fault(file, 0, "names no entity: write a row, or remove the file")
	}
}

// ownTarget reads otor:saves: an entity type, and the expression of its id.
func (s *survey) ownTarget(file string, line int, cell, repeat string, edit bool) {
	typ, id, _ := strings.Cut(cell, " ")
	s.known(file, line, typ)
	t := target{Save: form.Save{Type: typ, Repeat: repeat, Edit: edit}, file: file, line: line, own: true}
	t.ID = s.expr(file, line, "otor:saves", id)
	s.targets = append(s.targets, &t)
}

// expr reads an expression that the programs work out. nil: there is none.
func (s *survey) expr(file string, line int, column, text string) *form.Expr {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	e, err := form.ParseExpr(text)
	if err != nil {
		s.fault(file, line, "%s: %v", column, err)
	}
	return e
}

// finish binds the answers that are saved to the entities that they go into.
func (s *survey) finish() ([]form.Field, []form.Save) {
	if s == nil {
		return nil, nil
	}
	fields := s.open[0].fields
	b := binder{survey: s, worked: map[string]*form.Field{}}
	b.level(fields, "")
	b.cycles()
	saves := make([]form.Save, 0, len(s.targets))
	for _, t := range s.targets {
		if !t.used {
			s.fault(t.file, t.line, "no question saves into %s: write the property under save_to", clip(t.Type))
		}
		saves = append(saves, t.Save)
	}
	if len(saves) == 0 {
		return fields, nil
	}
	return fields, saves
}

// binder walks over the fields of a form.
type binder struct {
	*survey
	worked map[string]*form.Field
	repeat string // the outermost repeat that the walk is in
	depth  int    // of repeats
}

func (b *binder) level(fields []form.Field, parent string) {
	for i := range fields {
		x := &fields[i]
		b.field(x, parent)
		if x.Kind == form.Repeat {
			b.depth++
			if b.depth == 1 {
				b.repeat = x.Name
			}
		}
		b.level(x.Fields, x.Name)
		if x.Kind == form.Repeat {
			if b.depth--; b.depth == 0 {
				b.repeat = ""
			}
		}
	}
}

func (b *binder) field(x *form.Field, parent string) {
	if x.SaveTo == "" {
		return
	}
	line := b.names[x.Name]
	if x.Kind == form.Calculate {
		x.Worked = b.expr(b.file, line, "calculation", x.Calculation)
		b.worked[x.Name] = x
	}
	if x.Kind.Nests() || x.Kind == form.Note {
		b.fault(b.file, line, "save_to stands on a %s, which has no answer: move it to a question", x.Kind)
		return
	}
	if b.depth > 1 {
		b.fault(b.file, line, "save_to %s stands in a repeat within a repeat, which is not saved", clip(x.SaveTo))
		return
	}
	t := b.target(x, line)
	if t == nil {
		return
	}
	typ, property, split := strings.Cut(x.SaveTo, "#")
	if !split {
		typ, property = t.Type, x.SaveTo
	}
	x.SaveTo = typ + "#" + property
	t.used = true
	b.saving = append(b.saving, saving{b.file, line, typ, property, x.Kind, x.Many, x.Stored, b.repeat, parent})
}

// target finds the entity that an answer goes into.
func (b *binder) target(x *form.Field, line int) *target {
	typ, _, split := strings.Cut(x.SaveTo, "#")
	for _, t := range b.targets {
		if split && t.Type != typ {
			continue
		}
		switch {
		case t.own && t.Repeat == b.repeat:
			return t
		case t.own:
		case !t.used:
			t.Repeat = b.repeat
			return t
		case t.Repeat == b.repeat:
			return t
		default:
			b.fault(b.file, line, "save_to %s: %s gets answers from inside and outside of a repeat: keep to one of them", clip(x.SaveTo), t.Type)
			return nil
		}
	}
	if len(b.targets) == 0 {
		b.fault(b.file, line, "save_to %s: the form saves into no entity: add %s", clip(x.SaveTo), path.Join(path.Dir(b.file), "entities.csv"))
		return nil
	}
	b.fault(b.file, line, "save_to %s: the form does not save into it here: write property, or type#property with a list_name of entities.csv", clip(x.SaveTo))
	return nil
}

// cycles reports saved calculations that are worked out of one another.
func (b *binder) cycles() {
	state := map[string]int{} // 1: being visited, 2: done
	var visit func(name string) bool
	visit = func(name string) bool {
		x := b.worked[name]
		if x == nil || x.Worked == nil || state[name] == 2 {
			return false
		}
		if state[name] == 1 {
			return true
		}
		state[name] = 1
		for _, to := range x.Worked.Names() {
			if visit(to) {
				b.fault(b.file, b.names[name], "calculation of %s goes round in a circle by way of %s: break it", clip(name), clip(to))
				state[name] = 2
				return false
			}
		}
		state[name] = 2
		return false
	}
	for _, name := range sortedKeys(b.worked) {
		visit(name)
	}
}

// saves checks what the forms save against entities.toml.
func (l *loader) saves([]*form.Form) {
	for _, s := range l.saving {
		e, ok := l.pack.Entity(s.typ)
		if !ok {
			continue // reported where the sheet names it
		}
		p, ok := e.Field(s.property)
		if !ok {
			names := make([]string, len(e.Fields))
			for i, f := range e.Fields {
				names[i] = f.Name
			}
			l.fault(s.file, s.line, "save_to %s: %s has no such field: declare it in entities.toml, or write one of %s",
				clip(s.property), s.typ, strings.Join(names, ", "))
			continue
		}
		if want := s.fits(p); want != "" {
			l.fault(s.file, s.line, "save_to %s: the field has type %s in entities.toml, and the question is %s: change one of them",
				s.property, p.Type, want)
		}
	}
}

// fits says what the answer is when it is not of the property's type; "" when it fits.
func (s *saving) fits(p Property) string {
	list := s.many || s.kind == form.SelectMultiple || s.kind == form.Rank
	number := s.kind == form.Integer || s.kind == form.SelectOne && s.stored == form.AsInteger
	ok := false
	switch {
	case list:
		ok = p.Type == "list"
	case p.Type == "list": // one more element
		ok = p.Rule == "set"
	case s.kind == form.Calculate || s.kind == form.Hidden:
		ok = true
	case p.Type == "integer":
		ok = number
	case p.Type == "decimal":
		ok = number || s.kind == form.Decimal || s.kind == form.Range
	case p.Type == "boolean":
		ok = s.kind == form.Acknowledge || s.kind == form.SelectOne && s.stored == form.AsBoolean
	case p.Type == "date":
		ok = s.kind == form.DateOnly
	case p.Type == "datetime":
		ok = s.kind == form.DateTime
	case p.Type == "text":
		ok = !number && s.kind != form.Decimal && s.kind != form.Geopoint && s.kind != form.Acknowledge
	}
	switch {
	case ok:
		return ""
	case list:
		return "a list"
	default:
		return s.kind.String()
	}
}
