package xlsform

import (
	"slices"
	"strings"
)

// Options name what the sheets leave open.
type Options struct {
	Root string // the element that holds the answers; "" is "data"
	ID   string // the form's id when settings name none; "" is "data"
}

// Result is a converted form.
type Result struct {
	XForm    []byte // XML, UTF-8
	ID       string
	Version  string
	Title    string
	Files    []File
	Warnings Faults
}

// File is an attachment that the form looks things up in.
type File struct {
	ID  string // as instance('ID') names it
	URI string // "jr://file-csv/NAME.csv" and the like
}

// form is the state of one conversion.
type form struct {
	log
	opt       Options
	set       settings
	root      *node
	lists     listsByName
	listOrder []*choiceList
	byName    map[string][]*node
	counts    map[*node]*node    // a repeat's generated count
	triggered map[string][]*node // by the trigger's name
	ranges    map[*node]rangeQuestion
	others    []string // lists that need the choice "other"
	entities  []*entity
	files     []secondary
	texts     phrases
	lastSaved bool
}

type listsByName map[string]*choiceList

func (l listsByName) has(name string) bool { return l[name] != nil }

type rangeQuestion struct {
	attrs []attr
	bind  string
}

// Convert makes an XForm of a workbook. The error is [Faults]: all that is
// wrong with the form. Warnings stand in the result.
func Convert(b *Workbook, opt Options) (*Result, error) {
	f := &form{opt: opt, counts: map[*node]*node{}, triggered: map[string][]*node{}, ranges: map[*node]rangeQuestion{}}
	root := opt.Root
	if root == "" {
		root = "data"
	}
	f.root = &node{what: "survey", name: root}
	survey := b.sheet(surveySheet)
	if survey == nil {
		f.plain(surveySheet, 0, "", "You must have a sheet named 'survey'. %s", similar(b, surveySheet))
		return nil, f.err()
	}
	f.settings(f.read(b.sheet("settings"), "settings", settingsAliases, false))
	choices := f.read(b.sheet(choicesSheet), choicesSheet, choiceAliases, true, "list_name", "name")
	f.choices(choices)
	t := f.read(survey, surveySheet, aliases, false, "type")
	if t == nil {
		return nil, f.err()
	}
	f.survey(t)
	f.resolve(choices, b)
	if err := f.err(); err != nil {
		return nil, err
	}
	doc := f.document()
	f.languageWarnings(t, choices)
	if err := f.err(); err != nil {
		return nil, err
	}
	res := &Result{XForm: doc.bytes(), ID: f.id(), Version: f.set.version, Title: f.title(), Warnings: f.warnings}
	for _, s := range f.files {
		res.Files = append(res.Files, File{s.id, s.src})
	}
	return res, nil
}

// resolve ties the sheets together: names, lists, references, entities.
func (f *form) resolve(choices *table, b *Workbook) {
	f.names()
	f.addOthers()
	f.references(choices)
	f.triggers()
	entities := b.sheet(entitiesSheet)
	if entities == nil {
		if s := similar(b, entitiesSheet); s != "" {
			f.warn(0, "%s", s)
		}
	}
	f.entitySheet(f.read(entities, entitiesSheet, entityAliases, false))
	f.attachments()
	f.selects()
	f.allocate()
	f.root.walk(func(n *node) {
		if n.kind == "range" {
			attrs, bind := f.rangeOf(n)
			f.ranges[n] = rangeQuestion{attrs, bind}
		}
	})
	f.checkRefs("settings", 2, "instance_name", f.set.instanceName)
}

// selects finds the choices of each question.
func (f *form) selects() {
	f.root.walk(func(n *node) {
		if g := n.params.get("reference-geometry"); g != "" {
			f.geometry(n, g)
		}
		if !n.kindOf().selects || n.list == "" || fromFile(n.kind) || strings.HasPrefix(n.list, "${") {
			return
		}
		if f.lists[n.list] == nil {
			names := make([]string, 0, len(f.lists))
			for name := range f.lists {
				names = append(names, name)
			}
			slices.Sort(names)
			hint := "Add it there."
			if len(names) > 0 {
				hint = "Add it there, or write one of " + quoted(names) + "."
			}
			f.plain(surveySheet, n.row, "type", "List name not in choices sheet: %s. %s", clip(n.list), hint)
		}
	})
}

// geometry checks where a map question's shapes come from.
func (f *form) geometry(n *node, list string) {
	if strings.HasPrefix(list, "${") {
		if m := anyRef.FindStringSubmatch(list); m != nil {
			if t := f.ref(m[2]); t == nil || t.what == "repeat" {
				return
			}
		}
	} else if f.lists[list] != nil {
		return
	} else if slices.ContainsFunc(f.files, func(s secondary) bool { return s.id == list && s.what != "pulldata" }) ||
		slices.ContainsFunc(f.entities, func(e *entity) bool { return e.list == list }) {
		return
	}
	f.at(surveySheet, n.row, "parameters", "The 'reference-geometry' parameter must either match a secondary instance name (a choices list_name, an entities list_name, or the base name of an attached file), or be a reference variable containing the name of a repeat.")
}

// triggers gives each calculation to the questions that set it off.
func (f *form) triggers() {
	f.root.walk(func(n *node) {
		cell := n.triggers()
		if cell == "" || n.what != "question" {
			return
		}
		found := anyRef.FindAllStringSubmatchIndex(cell, -1)
		if len(found) == 0 {
			f.at(surveySheet, n.row, "trigger", "Write the question that sets it off, as ${its_name}.")
			return
		}
		for i, m := range found {
			if i > 0 && !strings.Contains(cell[found[i-1][1]:m[0]], ",") {
				f.at(surveySheet, n.row, "trigger", "Reference variable lists must have a comma between each variable.")
				return
			}
		}
		for _, m := range found {
			t := f.ref(cell[m[4]:m[5]])
			if t == nil {
				continue
			}
			if !t.visible() {
				f.plain(surveySheet, n.row, "trigger", "The question ${%s} is not user-visible so it can't be used as a calculation trigger for question ${%s}.", t.name, n.name)
				continue
			}
			f.triggered[t.name] = append(f.triggered[t.name], n)
		}
	})
}

func (f *form) id() string {
	switch {
	case f.set.id != "":
		return f.set.id
	case f.opt.ID != "":
		return f.opt.ID
	default:
		return "data"
	}
}

func (f *form) title() string {
	if f.set.title != "" {
		return f.set.title
	}
	return f.id()
}
