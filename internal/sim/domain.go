package sim

import (
	"slices"

	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/merge"
)

// domain is the pack of the simulated world: households that live in scopes, and
// persons who live where their household does.
type domain struct{ types map[string]*merge.Type }

// The entities of a world.
const (
	households = 6
	persons    = 4
	madeUp     = "made" // a type of which feeds have rows that no merge made
)

func newDomain() (domain, error) {
	d := domain{make(map[string]*merge.Type)}
	for name, fields := range map[string][]merge.Field{
		"household": {
			{Name: "area", Rule: merge.Latest},
			{Name: "name", Rule: merge.Latest},
			{Name: "phone", Rule: merge.Ask},
			{Name: "last", Rule: merge.Greatest},
			{Name: "first", Rule: merge.Least},
			{Name: "stock", Rule: merge.Count},
			{Name: "tags", Rule: merge.Set},
			{Name: "head", Rule: merge.Ask, Group: "herd"},
			{Name: "method", Rule: merge.Ask, Group: "herd"},
		},
		"person": {{Name: "household", Rule: merge.Latest}, {Name: "name", Rule: merge.Ask}},
	} {
		t, err := merge.NewType(name, fields)
		if err != nil {
			return d, err
		}
		d.types[name] = t
	}
	return d, nil
}

// Type implements reconcile.Domain.
func (d domain) Type(name string) *merge.Type { return d.types[name] }

// Lives implements reconcile.Domain.
func (d domain) Lives(name string) []string {
	switch name {
	case "household":
		return []string{"{area}"}
	case "person":
		return []string{"{household.area}"}
	}
	return nil
}

// Names implements reconcile.Domain.
func (d domain) Names(typ, field string) string {
	if typ == "person" && field == "household" {
		return "household"
	}
	return ""
}

// Decides implements reconcile.Domain.
func (d domain) Decides(typ string) []string {
	if typ == "household" {
		return []string{"area"}
	}
	return nil
}

// Edits implements reconcile.Domain.
func (d domain) Edits(name string, _ uint32, _ string) bool { return name == "edit" }

// writing are the forms whose answers are written into entities.
func writing() (out []*form.Form, err error) {
	text := func(names ...string) (fs []form.Field) {
		for _, n := range names {
			fs = append(fs, form.Field{Name: n, Kind: form.Text, SaveTo: n})
		}
		return fs
	}
	number := func(names ...string) (fs []form.Field) {
		for _, n := range names {
			fs = append(fs, form.Field{Name: n, Kind: form.Integer, SaveTo: n})
		}
		return fs
	}
	for _, f := range []form.Form{
		{
			ID: "edit", Version: 1, Lane: dot.Record, Entity: "household", Saves: []form.Save{{Type: "household", Edit: true}},
			Fields: slices.Concat(text("area", "name", "phone", "last", "first", "tags", "method"), number("stock", "head")),
		},
		{
			ID: "urge", Version: 1, Lane: dot.Alert, Entity: "household", Saves: []form.Save{{Type: "household"}},
			Fields: slices.Concat(text("phone", "last", "name"), number("stock")),
		},
		{
			ID: "person", Version: 1, Lane: dot.Record, Entity: "person", Saves: []form.Save{{Type: "person"}},
			Fields: text("household", "name"),
		},
		{
			ID: "remove", Version: 1, Lane: dot.Record, Entity: "household", Saves: []form.Save{{Type: "household"}},
			Fields: []form.Field{{Name: "gone", Kind: form.Hidden, SaveTo: merge.Deleted}},
		},
	} {
		n, err := form.New(f)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}
