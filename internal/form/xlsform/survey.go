package xlsform

import (
	"regexp"
	"slices"
	"strings"
)

const (
	surveySheet  = "survey"
	choicesSheet = "choices"
)

// What a name may be, so that it can be an XML element: NCName of Namespaces in XML 1.0,
// third edition, by the letters of XML 1.0, fifth edition. U+FFFD, which stands for
// what could not be read, is none of them.
const (
	nameStart = `A-Z_a-z\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{2FF}\x{370}-\x{37D}\x{37F}-\x{1FFF}\x{200C}\x{200D}\x{2070}-\x{218F}` +
		`\x{2C00}-\x{2FEF}\x{3001}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFFC}\x{10000}-\x{EFFFF}`
	ncName = `[` + nameStart + `][` + nameStart + `\-.0-9\x{B7}\x{300}-\x{36F}\x{203F}\x{2040}]*`
)

// elementName is what the name of a question, group or repeat may be, and of whatever else
// becomes an element.
var elementName = regexp.MustCompile(`^` + ncName + `$`)

const nameRule = "Names must begin with a letter or underscore. After the first character, names may contain letters, digits, underscores, hyphens, or periods."

// survey reads the rows of the survey sheet into a tree.
func (f *form) survey(t *table) {
	open := []*node{f.root}
	for _, r := range t.rows {
		cell := r.get("type")
		top := open[len(open)-1]
		lower := strings.ToLower(strings.Join(strings.Fields(cell), " "))
		if what, ok := closings[lower]; ok {
			f.containerSaveTo(r)
			open = f.end(open, r, what)
			continue
		}
		if what, ok := openings[lower]; ok {
			f.containerSaveTo(r)
			n := f.container(r, what)
			n.parent = top
			f.count(n, top)
			top.children = append(top.children, n)
			open = append(open, n)
			continue
		}
		if n := f.question(r, cell); n != nil {
			n.parent = top
			top.children = append(top.children, n)
			f.specifyOther(n, top)
		}
	}
	for _, n := range open[1:] {
		f.plain(surveySheet, n.row, "type", "Unmatched 'begin_%s'. No matching 'end_%s' was found for the name '%s'.", n.what, n.what, n.name)
	}
	if len(f.root.children) == 0 && len(f.faults) == 0 {
		f.plain(surveySheet, 0, "", "The survey sheet has no questions: write at least one row.")
	}
}

// containerSaveTo reports a save_to on a row that has no answer.
func (f *form) containerSaveTo(r record) {
	if r.get("save_to") != "" {
		f.at(surveySheet, r.row, "save_to", "Groups and repeats can't be saved as entity properties. Either remove or move the save_to value in this row.")
	}
}

// end closes the innermost group or repeat.
func (f *form) end(open []*node, r record, what string) []*node {
	top := open[len(open)-1]
	if len(open) == 1 || top.what != what {
		name := r.get("name")
		if name == "" {
			name = "unknown"
		}
		f.plain(surveySheet, r.row, "type", "Unmatched 'end_%s'. No matching 'begin_%s' was found for the name '%s'.", what, what, clip(name))
		if len(open) == 1 {
			return open
		}
	}
	return open[:len(open)-1]
}

// container reads a row that begins a group or repeat.
func (f *form) container(r record, what string) *node {
	n := &node{rec: r, row: r.row, what: what, name: r.get("name"), label: r.words("label"), hint: r.words("hint"), relevant: r.get("relevant")}
	f.name(n, what)
	if what == "repeat" && len(n.label) == 0 && len(n.media()) == 0 {
		f.warn(r.row, "Repeat has no label: {'name': '%s', 'type': '%s'}", clip(n.name), r.get("type"))
	}
	return n
}

// name checks a node's own name; names beside it are checked later.
func (f *form) name(n *node, what string) {
	switch {
	case n.name == "":
		f.value(surveySheet, n.row, "name", n.name, "The %s has no name: write one.", what)
		if what == "question" {
			f.plain(surveySheet, n.row, "name", "Question or group with no name.")
		}
	case !elementName.MatchString(n.name):
		f.at(surveySheet, n.row, "name", "%s", nameRule)
	case n.name == "meta":
		f.value(surveySheet, n.row, "name", n.name, "The name 'meta' is reserved for form metadata.")
	}
}

// question reads any other row. nil: it cannot be read.
func (f *form) question(r record, cell string) *node {
	if cell == "" {
		f.plain(surveySheet, r.row, "type", "Question with no type: write one of %s.", strings.Join(typeNames(), ", "))
		return nil
	}
	kind, list, other, ok := parseKind(cell)
	if !ok {
		f.at(surveySheet, r.row, "type", "Unknown question type '%s'. Write one of %s.", clip(cell), strings.Join(typeNames(), ", "))
		return nil
	}
	n := &node{
		rec: r, row: r.row, what: "question", kind: kind, list: list, other: other, name: r.get("name"),
		label: r.words("label"), hint: r.words("hint"), guidance: r.words("guidance_hint"),
		calculation: r.get("calculation"), relevant: r.get("relevant"),
	}
	if kind == "audit" {
		if n.name != "" && n.name != "audit" {
			f.value(surveySheet, r.row, "name", n.name, "An audit row must be called 'audit', or have no name.")
		}
		n.name = "audit"
	}
	f.name(n, "question")
	n.params = f.params(n)
	f.check(n)
	n.saveTo = r.get("save_to")
	return n
}

// check reports what a question lacks.
func (f *form) check(n *node) {
	k := n.kindOf()
	switch {
	case n.kind == "calculate" && n.calculation == "" && n.triggers() == "" && !dynamic(n.rec.get("default"), n.kind):
		f.plain(surveySheet, n.row, "calculation", "Missing calculation: a calculate needs one; write it, or use the type hidden.")
	case k.control != "" && n.kind != "note" && n.calculation == "" && n.triggers() == "" && !n.hasWords(),
		n.kind == "note" && !n.hasWords():
		f.plain(surveySheet, n.row, "label", "The survey element named '%s' has no label or hint.", clip(n.name))
	case k.selects && n.list == "":
		f.plain(surveySheet, n.row, "type", "The type %s names no list: write %s and a list_name of the choices sheet.", n.kind, n.kind)
	case strings.Contains(n.list, "${") && !wholeRef.MatchString(n.list):
		f.plain(surveySheet, n.row, "type", "The list %s is not understood: write ${name} for the answers to a question of a repeat.", clip(n.list))
	case fromFile(n.kind) && !slices.Contains(fileTypes, extension(n.list)):
		f.plain(surveySheet, n.row, "type", "File name for '%s %s' should end with one of the supported file extensions: '.csv', '.geojson', '.xml'.", n.kind, clip(n.list))
	case n.other && n.rec.get("choice_filter") != "":
		f.plain(surveySheet, n.row, "choice_filter", "Choice filter not supported with or_other.")
	}
	switch n.kind {
	case "simserial", "subscriberid":
		f.warn(n.row, "%s is no longer supported on most devices. Only old versions of Collect on Android versions older than 11 still support it.", n.kind)
	}
}

// specifyOther adds the question that or_other asks for.
func (f *form) specifyOther(n, parent *node) {
	if !n.other || n.name == "" {
		return
	}
	label := wording{{"", "Specify other."}}
	parent.children = append(parent.children, &node{
		row: n.row, what: "question", kind: "text", name: n.name + "_other", label: label, parent: parent, generated: true,
		relevant: "selected(../" + n.name + ", 'other')",
	})
	f.others = append(f.others, n.list)
}

// count adds the calculation that a repeat's count needs, unless it names a question.
func (f *form) count(n, parent *node) {
	c := n.rec.get("repeat_count")
	if n.what != "repeat" || c == "" || wholeRef.MatchString(c) {
		return
	}
	g := &node{row: 0, what: "question", kind: "calculate", name: n.name + "_count", calculation: c, parent: parent, generated: true}
	parent.children = append(parent.children, g)
	f.counts[n] = g
}
