package xlsform

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

const lastSavedID = "__last-saved"

// secondary is a list that the form looks things up in: an attached file.
type secondary struct {
	id, src string
	what    string // how it came to be, for messages
}

var (
	pulldata  = regexp.MustCompile(`pulldata\s*\(\s*['"]([^'"]+)['"]`)
	fileTypes = []string{".csv", ".geojson", ".xml"}
)

func extension(file string) string { return strings.ToLower(path.Ext(file)) }

func stem(file string) string { return strings.TrimSuffix(file, path.Ext(file)) }

// fileURI is the address of an attached file as XForms have it.
func fileURI(file string) string {
	if extension(file) == ".csv" {
		return "jr://file-csv/" + file
	}
	return "jr://file/" + file
}

// attachments finds the files that the form needs.
func (f *form) attachments() {
	f.root.walk(func(n *node) {
		switch {
		case n.kind == "csv-external":
			f.attach(n, n.name, fileURI(n.name+".csv"), "external")
		case n.kind == "xml-external":
			f.attach(n, n.name, fileURI(n.name+".xml"), "external")
		case fromFile(n.kind) && extension(n.list) != "":
			f.attach(n, stem(n.list), fileURI(n.list), "file")
		}
		for _, col := range []string{"calculation", "constraint", "readonly", "required", "relevant", "default"} {
			expr := n.rec.get(col)
			if n.generated && col == "calculation" {
				expr = n.calculation
			}
			for _, m := range pulldata.FindAllStringSubmatch(expr, -1) {
				f.attach(n, m[1], fileURI(m[1]+".csv"), "pulldata")
			}
		}
	})
	if f.lastSaved {
		f.attach(nil, lastSavedID, "jr://instance/last-saved", "instance")
	}
}

// attach adds a file once, and reports two that would go by one id.
func (f *form) attach(n *node, id, src, what string) {
	for _, s := range f.files {
		if s.id != id {
			continue
		}
		if s.src == src {
			// Two rows that declare the same thing are one too many.
			if what == "external" && s.what == "external" && n.row > 0 {
				f.sameID(n, s, src, what)
			}
			return
		}
		f.sameID(n, s, src, what)
		return
	}
	if !f.lists.has(id) || what == "external" || what == "file" {
		f.files = append(f.files, secondary{id, src, what})
	}
}

func (f *form) sameID(n *node, s secondary, src, what string) {
	row, context := 0, "None"
	if n != nil {
		row = n.row
		context = fmt.Sprintf("[type: %s, name: %s]", n.parent.what, n.parent.name)
	}
	f.plain(surveySheet, row, "name", "The same instance id will be generated for different external instance source URIs. Please check the form. Instance name: '%s', Existing type: '%s', Existing URI: '%s', Duplicate type: '%s', Duplicate URI: '%s', Duplicate context: '%s'.",
		clip(s.id), s.what, clip(s.src), what, clip(src), context)
}

// instances writes the attached files and the choice lists.
func (f *form) instances(model *element) {
	for _, s := range f.files {
		model.add(el("instance", "id", s.id, "src", s.src))
	}
	for _, l := range f.listOrder {
		root := el("root")
		for i, c := range l.choices {
			item := el("item")
			if l.worded {
				item.add(el("itextId").add(choiceID(l, i)))
			}
			item.add(el("name").add(c.name))
			if !l.worded && len(c.label) > 0 {
				item.add(el("label").add(c.label[0].words))
			}
			for _, a := range c.extra {
				item.add(el(a.name).add(a.value))
			}
			root.add(item)
		}
		model.add(el("instance", "id", l.name).add(root))
	}
}

func choiceID(l *choiceList, i int) string { return fmt.Sprintf("%s-%d", l.name, i) }
