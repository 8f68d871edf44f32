package xlsform

import "strings"

// names checks the names of the tree: unique beside one another, repeats
// unique everywhere; and indexes them for references.
func (f *form) names() {
	f.byName = map[string][]*node{}
	repeats := map[string]bool{}
	f.siblings(f.root)
	f.root.walk(func(n *node) {
		f.byName[n.name] = append(f.byName[n.name], n)
		if n.what == "repeat" {
			if repeats[n.name] {
				f.value(surveySheet, n.row, "name", n.name, "Repeat names must unique anywhere in the survey, at all levels of group or repeat nesting.")
			}
			repeats[n.name] = true
		}
		if n.what != "question" {
			f.siblings(n)
		}
	})
}

// siblings checks the names of one level. Rows that only declare a file have
// no place in the answers.
func (f *form) siblings(parent *node) {
	seen, folded := map[string]bool{}, map[string]bool{}
	for _, n := range parent.children {
		if n.external() || n.name == "" {
			continue
		}
		lower := strings.ToLower(n.name)
		switch {
		case seen[n.name]:
			f.duplicate(parent, n)
		case folded[lower]:
			f.warnings = append(f.warnings, &Fault{
				Sheet: surveySheet, Row: n.row, Column: "name", Value: n.name,
				Words: "is problematic. The name is a case-insensitive match to another name. Questions, groups, and repeats should be unique within the nearest parent group or repeat, or the survey if not inside a group or repeat. Some data processing tools are not case-sensitive, so the current names may make analysis difficult.",
			})
		}
		seen[n.name], folded[lower] = true, true
	}
}

// duplicate reports the row that repeats a name; of a generated node and a
// row, the generated one.
func (f *form) duplicate(parent, n *node) {
	row := n.row
	for _, o := range parent.children {
		if o.name == n.name && o.generated {
			row = o.row
		}
	}
	f.value(surveySheet, row, "name", n.name, "Questions, groups, and repeats must be unique within their nearest parent group or repeat, or the survey if not inside a group or repeat.")
}
