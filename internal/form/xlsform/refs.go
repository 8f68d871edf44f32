package xlsform

import (
	"regexp"
	"slices"
	"strings"
)

var (
	anyRef = regexp.MustCompile(`\$\{\s*(last-saved#)?([^{}$]*?)\s*\}`)
	// wholeRef is a cell that is nothing but one reference.
	wholeRef = regexp.MustCompile(`^\$\{\s*[^{}$]+\s*\}$`)
)

// refColumns are the survey's columns in which ${names} stand for answers.
var refColumns = []string{
	"label", "hint", "guidance_hint", "relevant", "constraint", "constraint_message", "required", "required_message",
	"calculation", "choice_filter", "default", "repeat_count", "trigger", "parameters", "readonly", "image", "audio", "video",
	"big-image", "body", "bind", "instance",
}

// references checks every ${name} of the survey, choices and settings.
func (f *form) references(choices *table) {
	f.root.walk(func(n *node) {
		for i, c := range n.rec.cols {
			if i < len(n.rec.cells) && slices.Contains(refColumns, c.base) {
				f.checkRefs(surveySheet, n.row, c.base, n.rec.cells[i])
			}
		}
		if strings.HasPrefix(n.list, "${") {
			f.checkRefs(surveySheet, n.row, "type", n.list)
		}
	})
	if choices != nil {
		for _, r := range choices.rows {
			for i, c := range choices.cols {
				if i < len(r.cells) && c.base != "" && c.base != "name" && c.base != "list_name" && slices.Contains(worded, c.base) {
					f.checkRefs(choicesSheet, r.row, c.base, r.cells[i])
				}
			}
		}
	}
}

// checkRefs reports the ${names} of a cell that no question, or more than one, has.
func (f *form) checkRefs(sheet string, row int, column, cell string) {
	if !strings.Contains(cell, "${") {
		return
	}
	for _, m := range anyRef.FindAllStringSubmatch(cell, -1) {
		f.checkRef(sheet, row, column, m[2], m[1] != "")
	}
}

func (f *form) checkRef(sheet string, row int, column, name string, saved bool) {
	switch found := f.byName[name]; {
	case len(found) == 0:
		f.at(sheet, row, column, "Reference variables must contain a name from the 'survey' sheet. Could not find the name '%s'.", clip(name))
	case len(found) > 1:
		f.at(sheet, row, column, "Reference variables names must be unique anywhere in the 'survey'. The name '%s' appears more than once.", clip(name))
	}
	f.lastSaved = f.lastSaved || saved
}

// ref finds the node of a checked reference. nil: it was reported already.
func (f *form) ref(name string) *node {
	if found := f.byName[name]; len(found) > 0 {
		return found[0]
	}
	return nil
}

// expand replaces the ${names} of an expression by paths, as they are seen
// from the node at which the expression stands; from nil: absolute ones.
// filter marks an expression that runs over the items of a list.
func (f *form) expand(expr string, from *node, filter bool) string {
	if !strings.Contains(expr, "${") {
		return expr
	}
	var out strings.Builder
	at := 0
	for _, m := range anyRef.FindAllStringSubmatchIndex(expr, -1) {
		out.WriteString(expr[at:m[0]])
		at = m[1]
		name := expr[m[4]:m[5]]
		target := f.ref(name)
		switch {
		case target == nil:
			out.WriteString(expr[m[0]:m[1]])
		case m[2] >= 0:
			out.WriteString(" instance('" + lastSavedID + "')" + target.path() + " ")
		case absoluteArg(expr[:m[0]]):
			out.WriteString(" " + target.path() + " ")
		default:
			out.WriteString(" " + way(target, from, filter || inPredicate(expr[:m[0]])) + " ")
		}
	}
	out.WriteString(expr[at:])
	return out.String()
}

// way is the path from one node to another: relative when both are in the
// same repeat, so that it stays in the row at hand.
func way(target, from *node, current bool) string {
	if from == nil {
		return target.path()
	}
	shared := sharedRepeat(target, from)
	if shared == nil {
		return target.path()
	}
	ups, down := relative(target, from)
	p := strings.Repeat("../", ups) + down
	if current {
		return "current()/" + p
	}
	return p
}

// sharedRepeat is the innermost repeat that both nodes are in. nil: none.
func sharedRepeat(target, from *node) *node {
	for r := target.parent; r != nil; r = r.parent {
		if r.what == "repeat" && from.inside(r) {
			return r
		}
	}
	return nil
}

// relative counts the steps up to the nodes' common container, and gives the
// way down from there.
func relative(target, from *node) (ups int, down string) {
	common := from.parent
	ups = 1
	for common != nil && !(target.inside(common) && target != common) {
		common = common.parent
		ups++
	}
	if common == nil {
		return 0, target.path()
	}
	return ups, strings.TrimPrefix(target.path(), common.path()+"/")
}

var instancePath = regexp.MustCompile(`instance\s*\(\s*('[^']*'|"[^"]*")\s*\)[^\s,()=<>+|\[\]]*$`)

// inPredicate reports whether what follows before stands in a predicate of a
// path that begins with instance(...), where "." is an item of that list.
func inPredicate(before string) bool {
	var open []int
	for i := 0; i < len(before); i++ {
		switch before[i] {
		case '\'', '"':
			end := strings.IndexByte(before[i+1:], before[i])
			if end < 0 {
				return false
			}
			i += end + 1
		case '[':
			open = append(open, i)
		case ']':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	for _, i := range open {
		if instancePath.MatchString(withoutPredicates(before[:i])) {
			return true
		}
	}
	return false
}

// withoutPredicates removes the closed [...] from an expression.
func withoutPredicates(s string) string {
	var out strings.Builder
	depth := 0
	for _, r := range s {
		switch {
		case r == '[':
			depth++
		case r == ']' && depth > 0:
			depth--
		case depth == 0:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// absoluteArg reports whether what follows before is an argument of
// indexed-repeat() that names a node as a whole: the first, second, fourth or
// sixth.
func absoluteArg(before string) bool {
	at := strings.LastIndex(before, "indexed-repeat")
	if at < 0 {
		return false
	}
	depth, arg := 0, 0
	for _, r := range before[at:] {
		switch r {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return false
			}
		case ',':
			if depth == 1 {
				arg++
			}
		}
	}
	return depth == 1 && (arg == 0 || arg == 1 || arg == 3 || arg == 5)
}
