package pack

import (
	"regexp"
	"slices"
	"strings"

	"otor/internal/form"
	"otor/internal/merge"
	"otor/internal/rules"
)

// Domain is what packs say to those who merge: how entity types are merged and
// in which scopes they live. It is not changed once made.
type Domain struct {
	types   map[string]*merge.Type
	lives   map[string][]string
	names   map[string]map[string]string
	decides map[string][]string
	masks   map[string]string   // by type and field, joined by a dot
	kinds   map[string]string   // what is written into a field, as masks are
	units   map[string]string   // of written and derived fields, as masks are
	members map[string][]string // of groups, by type and group
	forms   Finder
	finds   map[string][]string
	rules   *rules.Set
	words   RuleWords
	rosters []Roster
	speech  *speech
}

// Finder finds forms; [*form.Registry] does.
type Finder interface {
	Form(id string, version uint32) (*form.Form, error)
}

var bracketed = regexp.MustCompile(`\{([^{}]*)\}`)

// Domain says what the pack means for merging.
func (p *Pack) Domain() *Domain { return p.domain }

// domainOf makes a pack's domain. forms may hold the forms of other versions as well.
func domainOf(p *Pack, forms Finder) *Domain {
	d := &Domain{
		types: make(map[string]*merge.Type), lives: make(map[string][]string), names: make(map[string]map[string]string),
		decides: make(map[string][]string), masks: make(map[string]string), forms: forms,
		kinds: make(map[string]string), units: make(map[string]string), members: make(map[string][]string),
		rules: p.Rules, words: p.RuleWords, rosters: p.Rosters, speech: p.speech, finds: make(map[string][]string),
	}
	for i := range p.Entities {
		e := &p.Entities[i]
		d.types[e.Type], d.lives[e.Type], d.names[e.Type] = e.merged, e.Lives, make(map[string]string)
		for g, members := range e.Groups {
			d.members[e.Type+"."+g] = members
		}
		for _, f := range e.Fields {
			d.kinds[e.Type+"."+f.Name], d.units[e.Type+"."+f.Name] = f.Type, f.Unit
			if f.Mask != "" {
				d.masks[e.Type+"."+f.Name] = f.Mask
			}
			if f.Mask != "" || p.names(e.Type, f.Name) {
				d.finds[e.Type] = append(d.finds[e.Type], f.Name)
			}
			if f.Ref != "" {
				d.names[e.Type][f.Name] = f.Ref
			}
		}
	}
	for _, f := range p.Derived {
		d.units[f.Entity+"."+f.Field] = f.Unit
	}
	if p.Pages != nil && p.Pages.Visited != nil && p.Pages.Visited.Balance != nil {
		d.units[p.Pages.Visited.Type+"."+p.Pages.Visited.Balance.Share] = UnitShare
	}
	for _, e := range p.Entities {
		for _, template := range e.Lives {
			for _, m := range bracketed.FindAllStringSubmatch(template, -1) {
				d.path(e.Type, strings.Split(m[1], "."))
			}
		}
	}
	return d
}

// path notes the fields of other entities that a template goes through.
func (d *Domain) path(typ string, steps []string) {
	for i, field := range steps {
		if i > 0 && !slices.Contains(d.decides[typ], field) {
			d.decides[typ] = append(d.decides[typ], field)
		}
		typ = d.names[typ][field]
	}
}

// Type gives the rules of an entity type; nil for one that the pack does not know.
func (d *Domain) Type(name string) *merge.Type { return d.types[name] }

// Lives are the templates of the scopes that entities of a type are in.
func (d *Domain) Lives(name string) []string { return d.lives[name] }

// Names gives the entity type that a field names by id, "" for none.
func (d *Domain) Names(typ, field string) string { return d.names[typ][field] }

// Mask says how a field is shown to those who need not read it, see [Property].
func (d *Domain) Mask(typ, field string) string { return d.masks[typ+"."+field] }

// UnitShare is the unit of a share of something: 0.12 is told as 12 %.
const UnitShare = "share"

// Unit is the unit of a number, written or derived; "" for none.
func (d *Domain) Unit(typ, field string) string { return d.units[typ+"."+field] }

// Kind is what is written into a field, see [Property.Type]; "" for an unknown one.
func (d *Domain) Kind(typ, field string) string { return d.kinds[typ+"."+field] }

// Members are the fields of a group; none of a field that stands by itself.
func (d *Domain) Members(typ, group string) []string { return d.members[typ+"."+group] }

// Finds lists the fields by which entities of a type are found: those that name them,
// and those that are masked.
func (d *Domain) Finds(typ string) []string { return d.finds[typ] }

// names reports whether a field names the entities of its type: pages.toml says so, or
// it is called a name or a title, in whatever language.
func (p *Pack) names(typ, field string) bool {
	called := []string{"name", "title"}
	if p.Pages != nil && p.Pages.Names[typ] != "" {
		called = append(called, p.Pages.Names[typ])
	}
	return slices.ContainsFunc(called, func(n string) bool { return field == n || strings.HasPrefix(field, n+"_") })
}

// Decides lists the fields of a type on which the scopes of other entities depend.
func (d *Domain) Decides(typ string) []string { return d.decides[typ] }

// Edits reports whether records of a form correct entities of a type that others
// correct as well.
func (d *Domain) Edits(id string, version uint32, typ string) bool {
	f, err := d.forms.Form(id, version)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.Saves, func(s form.Save) bool { return s.Type == typ && s.Edit })
}

// Rules are what is to be noticed about records, and what follows from values.
func (d *Domain) Rules() *rules.Set { return d.rules }

// RulesFor are the rules that look at records of a version of a form.
func (d *Domain) RulesFor(string, uint32) *rules.Set { return d.rules }

// RuleWords is what people are told when a rule noticed something.
func (d *Domain) RuleWords(rule, lang string) string { return d.words[rule].In(lang) }

// Rosters are the official lists that are compared with what is known.
func (d *Domain) Rosters() []Roster { return d.rosters }
