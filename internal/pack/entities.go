package pack

import (
	"regexp"
	"slices"
	"strings"

	"otor/internal/form"
	"otor/internal/merge"
)

// Entity is a type of long-lived thing that records are about.
type Entity struct {
	Type   string
	Label  form.Labels
	Fields []Property // by name
	// Groups are fields that are one fact together: they are written, and stand
	// in conflict, as a whole. By name.
	Groups map[string][]string
	// Lives says in which scopes an entity of the type is: templates such as
	// "gacha:{gacha}", with the values of its fields, or of the fields of what
	// they name: "gacha:{household.gacha}". None: it is the office's alone.
	Lives []string

	merged *merge.Type // see [Domain.Type]
}

// Field returns what is said of a field.
func (e *Entity) Field(name string) (Property, bool) {
	at, ok := slices.BinarySearchFunc(e.Fields, name, func(p Property, n string) int { return strings.Compare(p.Name, n) })
	if !ok {
		return Property{}, false
	}
	return e.Fields[at], true
}

// Property is a field of an entity.
type Property struct {
	Name string
	Type string // one of fieldTypes
	// Rule is how values that were written without knowing of each other become
	// one: latest, greatest, least, count, set or ask.
	Rule string
	// Ref is the type of the entity that the value names by its id. "" for none.
	Ref  string
	Unit string
	// Mask says how the value is shown to those who need not read it: "" in full,
	// all, last4 (its last four characters) or id (as resident numbers are masked).
	Mask string
}

// What entities.toml may say.
var (
	fieldTypes = []string{"text", "integer", "decimal", "boolean", "date", "datetime", "list"}
	masks      = []string{"all", "last4", "id"}
)

// anyEntity stands for an entity of whatever type.
const anyEntity = "any"

type entityTable struct {
	Label  map[string]string        `toml:"label"`
	Lives  []string                 `toml:"lives"`
	Groups map[string][]string      `toml:"groups"`
	Fields map[string]propertyTable `toml:"fields"`
}

type propertyTable struct {
	Type string `toml:"type"`
	Rule string `toml:"rule"`
	Ref  string `toml:"ref"`
	Unit string `toml:"unit"`
	Mask string `toml:"mask"`
}

// entities reads entities.toml: one table for each type.
func (l *loader) entities() {
	src := l.read(entitiesFile)
	if src == nil {
		return
	}
	var m map[string]entityTable
	if !l.toml(entitiesFile, src, &m) {
		return
	}
	l.types = make(map[string]bool, len(m))
	for typ := range m {
		l.types[typ] = true
	}
	lines := tomlLines(src)
	l.pack.entityLines = lines
	for _, typ := range sortedKeys(m) {
		l.entity(typ, m[typ], lines)
	}
	for i := range l.pack.Entities {
		l.lives(&l.pack.Entities[i], lines)
	}
}

func (l *loader) entity(typ string, t entityTable, lines map[string]int) {
	line := lines[typ]
	if !idPattern.MatchString(typ) || typ == anyEntity {
		l.fault(entitiesFile, line, "entity type %q: %s; %q is taken", clip(typ), idRule, anyEntity)
	}
	e := Entity{Type: typ, Label: l.label(entitiesFile, line, "entity type "+clip(typ), "types."+typ, t.Label), Groups: t.Groups, Lives: t.Lives}
	for _, name := range sortedKeys(t.Fields) {
		at := cmpLine(lines, typ+".fields."+name, line)
		p := t.Fields[name]
		if !idPattern.MatchString(name) {
			l.fault(entitiesFile, at, "field %q: %s", clip(name), idRule)
		}
		l.oneOf(at, name, "type", p.Type, fieldTypes)
		l.oneOf(at, name, "rule", p.Rule, merge.RuleNames())
		if p.Mask != "" {
			l.oneOf(at, name, "mask", p.Mask, masks)
		}
		l.fits(at, name, p)
		e.Fields = append(e.Fields, Property{Name: name, Type: p.Type, Rule: p.Rule, Ref: p.Ref, Unit: p.Unit, Mask: p.Mask})
	}
	l.groups(&e, lines)
	e.merged = l.mergeType(&e, line)
	l.pack.Entities = append(l.pack.Entities, e)
}

// mergeType makes the type that package merge goes by. What it refuses was
// reported before, but for names that only it knows to be wrong.
func (l *loader) mergeType(e *Entity, line int) *merge.Type {
	fields := make([]merge.Field, 0, len(e.Fields))
	for _, p := range e.Fields {
		rule, ok := merge.ParseRule(p.Rule)
		if !ok {
			return nil
		}
		f := merge.Field{Name: p.Name, Rule: rule}
		for g, members := range e.Groups {
			if slices.Contains(members, p.Name) {
				f.Group = g
			}
		}
		fields = append(fields, f)
	}
	before := len(l.faults)
	t, err := merge.NewType(e.Type, fields)
	if err != nil && before == len(l.faults) {
		l.fault(entitiesFile, line, "%v", err)
	}
	return t
}

func (l *loader) oneOf(line int, field, key, got string, allowed []string) {
	if !slices.Contains(allowed, got) {
		l.fault(entitiesFile, line, "field %s: %s %q: write one of %s", clip(field), key, clip(got), strings.Join(allowed, ", "))
	}
}

// fits reports what does not go together in one field.
func (l *loader) fits(line int, name string, p propertyTable) {
	number := p.Type == "integer" || p.Type == "decimal"
	switch {
	case p.Rule == "count" && !number:
		l.fault(entitiesFile, line, "field %s: rule count adds numbers up: write type integer or decimal", clip(name))
	case (p.Rule == "greatest" || p.Rule == "least") && (p.Type == "boolean" || p.Type == "list"):
		l.fault(entitiesFile, line, "field %s: rule %s needs values in an order: a %s has none", clip(name), p.Rule, p.Type)
	case p.Unit != "" && !number:
		l.fault(entitiesFile, line, "field %s: unit is for numbers: remove it", clip(name))
	}
	if p.Ref != "" {
		l.known(entitiesFile, line, p.Ref)
	}
}

// groups checks the fields that are one fact together.
func (l *loader) groups(e *Entity, lines map[string]int) {
	in := map[string]string{}
	for _, g := range sortedKeys(e.Groups) {
		line := cmpLine(lines, e.Type+".groups."+g, cmpLine(lines, e.Type+".groups", lines[e.Type]))
		if !idPattern.MatchString(g) {
			l.fault(entitiesFile, line, "group %q: %s", clip(g), idRule)
		}
		if _, taken := e.Field(g); taken {
			l.fault(entitiesFile, line, "group %s has the name of a field: choose another", g)
		}
		if len(e.Groups[g]) < 2 {
			l.fault(entitiesFile, line, "group %s needs two fields or more", clip(g))
		}
		rule := ""
		for _, name := range e.Groups[g] {
			f, ok := e.Field(name)
			switch {
			case !ok:
				l.fault(entitiesFile, line, "group %s: %s has no field %q: declare it under [%s.fields]", clip(g), e.Type, clip(name), e.Type)
				continue
			case in[name] != "":
				l.fault(entitiesFile, line, "field %s stands in the groups %s and %s: keep one", name, in[name], g)
			case rule != "" && f.Rule != rule:
				l.fault(entitiesFile, line, "group %s: its fields have the rules %s and %s: give all of them one", g, rule, f.Rule)
			case f.Rule == "count" || f.Rule == "set":
				l.fault(entitiesFile, line, "group %s: rule %s keeps every value, so %s cannot be part of a group", g, f.Rule, name)
			}
			rule, in[name] = f.Rule, g
		}
	}
}

var livesPattern = regexp.MustCompile(`\{([^{}]*)\}`)

// maxHops is how many entities a template of a scope may go through.
const maxHops = 4

// lives checks the templates of an entity type's scopes.
func (l *loader) lives(e *Entity, lines map[string]int) {
	line := cmpLine(lines, e.Type+".lives", lines[e.Type])
	for _, t := range e.Lives {
		kind, _, _ := strings.Cut(t, ":")
		if !slices.ContainsFunc(l.pack.Scopes, func(s Scope) bool { return s.ID == kind }) {
			l.fault(entitiesFile, line, "lives %q: %q is no kind of scope of %s", clip(t), clip(kind), manifestFile)
		}
		for _, m := range livesPattern.FindAllStringSubmatch(t, -1) {
			l.path(e, line, t, strings.Split(m[1], "."))
		}
	}
}

// path follows "household.gacha" from an entity type to a field.
func (l *loader) path(e *Entity, line int, template string, steps []string) {
	if len(steps) > maxHops {
		l.fault(entitiesFile, line, "lives %q goes through more than %d entities", clip(template), maxHops)
		return
	}
	at := *e
	for i, name := range steps {
		f, ok := at.Field(name)
		if !ok {
			l.fault(entitiesFile, line, "lives %q: %s has no field %q", clip(template), at.Type, clip(name))
			return
		}
		if i == len(steps)-1 {
			return
		}
		if f.Ref == "" {
			l.fault(entitiesFile, line, "lives %q: the field %s of %s names no entity: give it a ref", clip(template), name, at.Type)
			return
		}
		if at, ok = l.pack.Entity(f.Ref); !ok {
			return // reported where the ref stands
		}
	}
}

// cmpLine is the line of a key, or of what it stands in.
func cmpLine(lines map[string]int, key string, or int) int {
	if n := lines[key]; n > 0 {
		return n
	}
	return or
}

// tomlLines finds the lines of tables and keys by their full names. It reads
// only what stands at the start of lines, which is where people write keys.
func tomlLines(src []byte) map[string]int {
	out := map[string]int{}
	table, n := "", 0
	counts := map[string]int{}
	for line := range strings.Lines(string(src)) {
		n++
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "[["); ok {
			name, _, _ = strings.Cut(name, "]")
			table = indexed(name, counts[name])
			counts[name]++
			out[table] = n
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			table, _, _ = strings.Cut(name, "]")
			table = strings.TrimSpace(table)
			if out[table] == 0 {
				out[table] = n
			}
			if top, _, nested := strings.Cut(table, "."); nested && out[top] == 0 {
				out[top] = n
			}
			continue
		}
		key, _, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		key = strings.TrimSpace(key)
		if table != "" {
			key = table + "." + key
		}
		if out[key] == 0 {
			out[key] = n
		}
	}
	return out
}
