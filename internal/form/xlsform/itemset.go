package xlsform

import "strings"

// filter writes a question's choice_filter as a predicate.
func (f *form) filter(n *node) string {
	if c := n.rec.get("choice_filter"); c != "" {
		return "[" + f.expand(c, n, true) + "]"
	}
	return ""
}

// itemset writes where a question's choices come from.
func (f *form) itemset(n *node, list string) *element {
	var nodeset, value, label string
	switch {
	case strings.HasPrefix(list, "${"):
		nodeset, value, label = f.rowsOf(n, list)
	case fromFile(n.kind):
		nodeset, value, label = "instance('"+stem(list)+"')/root/item"+f.filter(n), "name", "label"
		if extension(list) == ".geojson" {
			value, label = "id", "title"
		}
		if v := n.params.get("value"); v != "" {
			value = v
		}
		if l := n.params.get("label"); l != "" {
			label = l
		}
	default:
		nodeset, value, label = "instance('"+list+"')/root/item"+f.filter(n), "name", "label"
		if l := f.lists[list]; l != nil && l.worded {
			label = "jr:itext(itextId)"
		}
	}
	if strings.EqualFold(n.params.get("randomize"), "true") {
		seed := ""
		if s := n.params.get("seed"); s != "" {
			seed = ", " + strings.TrimSpace(f.expand(s, n, false))
		}
		nodeset = "randomize(" + nodeset + seed + ")"
	}
	return el("itemset", "nodeset", nodeset).add(el("value", "ref", value), el("label", "ref", label))
}

// rowsOf makes choices of the answers to a question of a repeat.
func (f *form) rowsOf(n *node, list string) (nodeset, value, label string) {
	var target *node
	if m := anyRef.FindStringSubmatch(list); m != nil {
		target = f.ref(m[2])
	}
	if target == nil {
		return "", "", ""
	}
	rows := target
	if target.what != "repeat" {
		rows = target.repeatOf()
	}
	if n.inside(rows) && rows.parent != nil {
		ups, down := relative(rows, n)
		nodeset = strings.Repeat("../", ups) + down
	} else {
		nodeset = way(rows, n, false)
	}
	value = strings.TrimPrefix(target.path(), rows.path()+"/")
	filter := n.rec.get("choice_filter")
	switch {
	case filter == "" && target != rows:
		nodeset += "[./" + value + " != '']"
	case filter != "":
		nodeset += "[" + f.rowFilter(filter, n, rows) + "]"
	}
	return nodeset, value, value
}

// rowFilter expands a filter that runs over the rows of a repeat: questions
// of a row are seen from the row, all others from the question that asks.
func (f *form) rowFilter(filter string, n, rows *node) string {
	var out strings.Builder
	at := 0
	for _, m := range anyRef.FindAllStringSubmatchIndex(filter, -1) {
		out.WriteString(filter[at:m[0]])
		at = m[1]
		target := f.ref(filter[m[4]:m[5]])
		switch {
		case target == nil:
		case target.repeatOf() == rows && target != rows:
			out.WriteString(" ./" + strings.TrimPrefix(target.path(), rows.path()+"/") + " ")
		default:
			out.WriteString(" " + way(target, n, true) + " ")
		}
	}
	out.WriteString(filter[at:])
	return out.String()
}
