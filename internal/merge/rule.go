package merge

import (
	"fmt"
	"strings"
)

// Rule says how the surviving values of a register become what is shown.
type Rule uint8

// The rules.
const (
	// Latest shows the value with the highest logical time, then dot. For
	// descriptive text only: the others are not shown.
	Latest Rule = iota + 1
	// Greatest and Least show the greatest and the least value. Dates, mostly:
	// dates as text order like dates.
	Greatest
	Least
	// Count shows the sum of movements: stock. Levels are never written.
	Count
	// Set shows the elements that somebody put in and nobody who had seen that
	// took out again.
	Set
	// Ask shows a value only when the survivors agree. Otherwise it is a conflict:
	// what its sides replaced stays provisionally, until a person decides. For
	// money, numbers of persons, herd counts, telephones.
	Ask
)

var ruleNames = [...]string{Latest: "latest", Greatest: "greatest", Least: "least", Count: "count", Set: "set", Ask: "ask"}

func (r Rule) String() string {
	if r.Valid() {
		return ruleNames[r]
	}
	return fmt.Sprintf("rule%d", r)
}

// Valid reports whether r is one of the rules.
func (r Rule) Valid() bool { return r >= Latest && r <= Ask }

// ParseRule reads a rule's name.
func ParseRule(s string) (Rule, bool) {
	for r, name := range ruleNames {
		if name == s && s != "" {
			return Rule(r), true
		}
	}
	return 0, false
}

// RuleNames lists the rules' names.
func RuleNames() []string { return ruleNames[Latest:] }

// Field is one field of an entity type.
type Field struct {
	Name string
	Rule Rule
	// Group makes the field a member of an atomic group: all members are written,
	// replaced and shown together. They have the same rule.
	Group string
}

// Deleted is the register that says whether an entity was deleted: true or
// false. It is no field of a type; its rule is [Ask], and a value true that
// another write is concurrent with is a conflict as well.
const Deleted = "/deleted"

// MaxElement is the most bytes that an element of a set may have.
const MaxElement = 128

// register is a field or an atomic group.
type register struct {
	name    string
	rule    Rule
	members []string // of a group
}

// Type says by which rules an entity of a type is shown.
type Type struct {
	Name      string
	registers []register
	home      map[string]int // field or group name to register
}

// NewType makes a type of its fields. It refuses names that could be mistaken
// for others, and groups whose members differ in rule.
func NewType(name string, fields []Field) (*Type, error) {
	t := &Type{Name: name, home: make(map[string]int, len(fields))}
	for _, f := range fields {
		switch {
		case f.Name == "" || strings.Contains(f.Name, "/") || strings.Contains(f.Group, "/"):
			return nil, fmt.Errorf("type %s: field %q: a name must be there and has no slash", name, f.Name)
		case !f.Rule.Valid():
			return nil, fmt.Errorf("type %s: field %s: unknown rule; write one of %s", name, f.Name, strings.Join(RuleNames(), ", "))
		case f.Group != "" && (f.Rule == Count || f.Rule == Set):
			return nil, fmt.Errorf("type %s: field %s: rule %s cannot be in a group", name, f.Name, f.Rule)
		}
		if _, taken := t.home[f.Name]; taken {
			return nil, fmt.Errorf("type %s: the name %s stands twice", name, f.Name)
		}
		if f.Group == "" {
			t.home[f.Name] = len(t.registers)
			t.registers = append(t.registers, register{name: f.Name, rule: f.Rule})
			continue
		}
		i, ok := t.home[f.Group]
		if !ok {
			i = len(t.registers)
			t.home[f.Group] = i
			t.registers = append(t.registers, register{name: f.Group, rule: f.Rule, members: []string{}})
		}
		r := &t.registers[i]
		switch {
		case r.members == nil || r.name == f.Name:
			return nil, fmt.Errorf("type %s: the name %s is a field's and a group's", name, f.Group)
		case r.rule != f.Rule:
			return nil, fmt.Errorf("type %s: group %s: its members have the rules %s and %s; they must have one", name, f.Group, r.rule, f.Rule)
		}
		r.members = append(r.members, f.Name)
		t.home[f.Name] = i
	}
	return t, nil
}

// Register names the register that a field is kept in, and its rule. ok is
// false for a field that the type does not have; it is kept under its own name,
// and people are asked.
func (t *Type) Register(field string) (name string, rule Rule, ok bool) {
	if t != nil {
		if i, found := t.home[field]; found {
			return t.registers[i].name, t.registers[i].rule, true
		}
	}
	return field, Ask, false
}
