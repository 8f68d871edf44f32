package pack

import (
	"slices"
	"strings"
	"time"

	"otor/internal/form"
)

// Due says what of an entity has to be done by when.
type Due struct {
	ID    string
	Label form.Labels
	Type  string // of the entities
	Date  string // field, written or derived, with the day by which it has to be done
	// Bucket is a field that says how urgent it is, "" for none: then it is due from
	// its day on. Only those whose bucket is among Buckets are listed.
	Bucket  string
	Buckets []string
	Form    string // the work
	Visited string // path to the visited entity; "": it is one itself
}

// Done says how it shows that the work of a form was done already.
type Done struct {
	Form   string
	Type   string   // of the entities on which it shows
	By     string   // field that names what the form is about; "": the entity has its id
	Same   []string // fields that must be as the answers of the same names
	Days   string   // field with the days on which it was done; "": that there is such an entity is enough
	Window time.Duration
}

type dueTable struct {
	ID      string            `toml:"id"`
	Label   map[string]string `toml:"label"`
	Entity  string            `toml:"entity"`
	Date    string            `toml:"date"`
	Bucket  string            `toml:"bucket"`
	Buckets []string          `toml:"buckets"`
	Form    string            `toml:"form"`
	Visited string            `toml:"visited"`
}

type doneTable struct {
	Form   string   `toml:"form"`
	Entity string   `toml:"entity"`
	By     string   `toml:"by"`
	Same   []string `toml:"same"`
	Days   string   `toml:"days"`
	Window string   `toml:"window"`
}

// dues checks [[due]].
func (r *ruling) dues() {
	for i, t := range r.table.Due {
		line := r.lines[indexed("due", i)]
		r.id(line, t.ID, t.Label)
		r.form(line, t.ID, t.Form)
		if r.has(line, t.ID, t.Entity, t.Date) && t.Bucket != "" {
			r.has(line, t.ID, t.Entity, t.Bucket)
		}
		if (t.Bucket == "") != (len(t.Buckets) == 0) {
			r.fault(rulesFile, line, "rule %s: write bucket with a field and buckets with the values that are listed, or neither", clip(t.ID))
		}
		if t.Visited != "" {
			r.leads(line, t.ID, t.Entity, t.Visited)
		}
		r.pack.Dues = append(r.pack.Dues, Due{
			ID: t.ID, Label: t.Label, Type: t.Entity, Date: t.Date, Bucket: t.Bucket, Buckets: t.Buckets, Form: t.Form, Visited: t.Visited,
		})
	}
}

// dones checks [[done]].
func (r *ruling) dones() {
	for i, t := range r.table.Done {
		line := r.lines[indexed("done", i)]
		f := r.form(line, "done", t.Form)
		for _, name := range append(slices.DeleteFunc([]string{t.By, t.Days}, func(s string) bool { return s == "" }), t.Same...) {
			r.has(line, "done", t.Entity, name)
		}
		for _, name := range t.Same {
			if f != nil && !slices.ContainsFunc(f.Fields, func(x form.Field) bool { return x.Name == name }) {
				r.fault(rulesFile, line, "done: form %s has no question %q: correct the name", f.ID, clip(name))
			}
		}
		d := Done{Form: t.Form, Type: t.Entity, By: t.By, Same: t.Same, Days: t.Days}
		if (t.Days == "") != (t.Window == "") {
			r.fault(rulesFile, line, "done: write days with a field and window with a value, or neither")
		} else if t.Window != "" {
			d.Window = r.duration(cmpLine(r.lines, indexed("done", i)+".window", line), "done", t.Window)
		}
		r.pack.Dones = append(r.pack.Dones, d)
	}
}

// has reports a field that a type does not have, written or derived.
func (r *ruling) has(line int, rule, typ, field string) bool {
	e, ok := r.pack.Entity(typ)
	if !ok {
		r.fault(rulesFile, line, "rule %s: unknown entity type %q: declare it in entities.toml", clip(rule), clip(typ))
		return false
	}
	if !slices.Contains(r.fieldsOf(&e), field) {
		r.fault(rulesFile, line, "rule %s: %s has no field %q: correct the name", clip(rule), typ, clip(field))
	}
	return true
}

// leads checks a path of references.
func (r *ruling) leads(line int, rule, typ, path string) {
	for step := range strings.SplitSeq(path, ".") {
		e, _ := r.pack.Entity(typ)
		f, ok := e.Field(step)
		if !ok || f.Ref == "" {
			r.fault(rulesFile, line, "rule %s: the field %q of %s names no entity: correct the path %q", clip(rule), clip(step), typ, clip(path))
			return
		}
		typ = f.Ref
	}
}
