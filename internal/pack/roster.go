package pack

import (
	"slices"
	"strings"

	"otor/internal/form"
)

// Roster is a kind of official list that an office compares with what is known.
type Roster struct {
	ID    string
	Label form.Labels
	Type  string // of the entities that a row is about: persons
	// Of is an entity type of which each entity names one of those persons, in the
	// field By: they alone are expected on the list. Empty: all of them are.
	Of, By string
	// Checks is a field of Of (of Type when that is empty) with the days on which the
	// person was seen; empty: none is kept. Months is how long a day counts.
	Checks string
	Months int
	// Fields are the paths from Type to what can be compared, by the names that
	// package reconcile has for them: name, resident_id, birth, phone, place.
	Fields map[string]string
}

// RosterFields are the names of what a list and persons can have in common.
var RosterFields = []string{"name", "resident_id", "birth", "phone", "place"}

type rosterTable struct {
	ID     string            `toml:"id"`
	Label  map[string]string `toml:"label"`
	Entity string            `toml:"entity"`
	Of     string            `toml:"of"`
	By     string            `toml:"by"`
	Checks string            `toml:"checks"`
	Within string            `toml:"within"`
	Fields map[string]string `toml:"fields"`
}

// rosters checks [[roster]].
func (r *ruling) rosters() {
	for i, t := range r.table.Roster {
		line := r.lines[indexed("roster", i)]
		r.id(line, t.ID, t.Label)
		out := Roster{ID: t.ID, Label: r.pack.RuleWords[t.ID], Type: t.Entity, Of: t.Of, By: t.By, Checks: t.Checks, Fields: t.Fields}
		if len(t.Fields) < 2 || t.Fields["name"] == "" && t.Fields["resident_id"] == "" {
			r.fault(rulesFile, line, "roster %s: a list is compared by two fields or more, name or resident_id among them: write [roster.fields]", clip(t.ID))
		}
		for _, name := range sortedKeys(t.Fields) {
			if !slices.Contains(RosterFields, name) {
				r.fault(rulesFile, line, "roster %s: nothing is compared by %q: write one of %s", clip(t.ID), clip(name), strings.Join(RosterFields, ", "))
				continue
			}
			r.reaches(line, t.ID, t.Entity, t.Fields[name])
		}
		if (t.Of == "") != (t.By == "") {
			r.fault(rulesFile, line, "roster %s: write of with an entity type and by with its field that names the person, or neither", clip(t.ID))
		} else if t.Of != "" && r.has(line, t.ID, t.Of, t.By) {
			if e, _ := r.pack.Entity(t.Of); !slices.ContainsFunc(e.Fields, func(p Property) bool { return p.Name == t.By && p.Ref == t.Entity }) {
				r.fault(rulesFile, line, "roster %s: the field %s of %s names no %s: give it ref = %q", clip(t.ID), clip(t.By), t.Of, clip(t.Entity), t.Entity)
			}
		}
		out.Months = r.checked(line, t)
		r.pack.Rosters = append(r.pack.Rosters, out)
	}
}

// checked reads how long a check counts.
func (r *ruling) checked(line int, t rosterTable) int {
	if (t.Checks == "") != (t.Within == "") {
		r.fault(rulesFile, line, "roster %s: write checks with a field of days and within with a value in months, or neither", clip(t.ID))
		return 0
	}
	if t.Checks == "" {
		return 0
	}
	typ := t.Of
	if typ == "" {
		typ = t.Entity
	}
	r.has(line, t.ID, typ, t.Checks)
	i := slices.IndexFunc(r.pack.Values, func(v Value) bool { return v.Name == t.Within })
	const most = 1200
	if i < 0 || r.pack.Values[i].Unit != "months" || r.pack.Values[i].Number < 1 || r.pack.Values[i].Number > most {
		r.fault(rulesFile, line, "roster %s: %q is no value in months: declare it under [values] with unit = \"months\" and a number from 1 on", clip(t.ID), clip(t.Within))
		return 0
	}
	return int(r.pack.Values[i].Number)
}

// reaches checks a path to a field: over fields that name entities.
func (r *ruling) reaches(line int, rule, typ, path string) {
	steps := strings.Split(path, ".")
	for i, step := range steps {
		e, known := r.pack.Entity(typ)
		if i == len(steps)-1 {
			r.has(line, rule, typ, step)
			return
		}
		f, ok := e.Field(step)
		if !known || !ok || f.Ref == "" {
			r.fault(rulesFile, line, "roster %s: the field %q of %s names no entity: correct the path %q", clip(rule), clip(step), clip(typ), clip(path))
			return
		}
		typ = f.Ref
	}
}
