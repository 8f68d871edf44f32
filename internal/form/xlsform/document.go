package xlsform

import (
	"slices"
	"strings"
)

// document writes the whole XForm.
func (f *form) document() *element {
	model := el("model", "odk:xforms-version", "1.0.0", "entities:entities-version", f.entitiesVersion())
	body := el("h:body", "class", f.set.style)
	f.choiceTexts()
	f.controls(body, f.root) // before the translations: labels and hints come first in them
	binds := el("binds")
	f.binds(binds)
	if len(f.set.submission) > 0 {
		model.add(&element{name: "submission", attrs: f.set.submission})
	}
	model.addElement(f.itext())
	model.add(el("instance").add(f.primary()))
	f.instances(model)
	model.kids = append(model.kids, binds.kids...)
	doc := el("h:html",
		"xmlns", "http://www.w3.org/2002/xforms", "xmlns:h", "http://www.w3.org/1999/xhtml",
		"xmlns:ev", "http://www.w3.org/2001/xml-events", "xmlns:xsd", "http://www.w3.org/2001/XMLSchema",
		"xmlns:jr", "http://openrosa.org/javarosa", "xmlns:orx", "http://openrosa.org/xforms", "xmlns:odk", "http://www.opendatakit.org/xforms")
	if len(f.entities) > 0 {
		doc.set("xmlns:entities", "http://www.opendatakit.org/xforms/entities")
	}
	for _, n := range f.set.namespaces {
		doc.set(n.name, n.value)
	}
	return doc.add(el("h:head").add(el("h:title").add(f.title()), model), body)
}

// primary writes the empty answers with the form's id.
func (f *form) primary() *element {
	e := f.instance(f.root, false).set("id", f.id())
	if f.set.version != "" {
		e.set("version", f.set.version)
	}
	if f.set.prefix != "" {
		e.set("odk:prefix", f.set.prefix)
	}
	if f.set.delimiter != "" {
		e.set("odk:delimiter", f.set.delimiter)
	}
	for _, a := range f.set.attributes {
		e.set(a.name, a.value)
	}
	return e
}

// similar names the sheets that were perhaps meant. "": none.
func similar(b *Workbook, want string) string {
	var near []string
	for _, s := range b.Sheets {
		if name := strings.ToLower(s.Name); !strings.HasPrefix(name, "_") && name != want && distance(name, want) <= 2 &&
			!slices.Contains([]string{surveySheet, choicesSheet, "settings", "external_choices"}, name) {
			near = append(near, s.Name)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "When looking for a sheet named '" + want + "', the following sheets with similar names were found: " + quoted(near) + "."
}

// distance is how many letters must be changed, added or removed to make one
// word of the other (Levenshtein), for words of sheet names; beyond 64 letters
// it is not counted.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		prev := row[0]
		row[0] = i + 1
		for j, s := range y {
			cost := prev
			if r != s {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(y)]
}
