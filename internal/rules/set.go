package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
)

// Source is what a [Set] is compiled from.
type Source struct {
	Values  map[string]float64  // local policy numbers by name
	Texts   map[string]string   // local policy words by name
	Fields  map[string][]string // the fields of entity types
	Derives []Derive
	Keys    []KeyRule
	Remarks []RemarkRule
}

// Derive is one derived field: a value that is worked out of others whenever it
// is wanted, and never written.
type Derive struct {
	Entity, Field string // entity type and the field's name
	Value         string // expression over entity, values, book, today
}

// KeyRule says which records are about the same business: those with the same
// key within a window of each other.
type KeyRule struct {
	ID   string
	Kind KeyKind
	// Window is how far apart they may be; 0: any time.
	Window time.Duration
	// Suspends is, for [Twin], the type of the entities whose movements are
	// suspended; KeyOf.Entity says which entity. Empty: none are.
	Suspends string
	Of       []KeyOf
}

// KeyKind says what becomes of records with the same key.
type KeyKind string

// The kinds.
const (
	// Duplicate: the earliest counts, the later ones are linked to it.
	Duplicate KeyKind = "duplicate"
	// Twin: two records may have moved one thing; what the one that was received
	// later moved is suspended until a person decides.
	Twin KeyKind = "twin"
)

// KeyOf is one kind of record that a key rule looks at.
type KeyOf struct {
	Form string
	Each string // a repeat: once for each of its rows, which row then is. "" for once
	When string // expression; "" always
	Key  string // expression; no text or an empty one: the record is not looked at
	// Entity is an expression: the id of the entity whose movement a twin suspends.
	Entity string
}

// RemarkRule is a flag or a review: an expression that is true of a record which
// a person must look at.
type RemarkRule struct {
	ID     string
	Review bool // a review, else a flag
	Forms  []string
	When   string
}

// Fault is what is wrong with one rule.
type Fault struct {
	Kind  string // derive, key or remark
	Index int    // in its list of the Source
	Of    int    // within KeyRule.Of
	Field string // the key of the expression: value, when, key, entity
	Words string
}

// Set is a pack's rules, compiled. It is not changed, and safe for concurrent use.
type Set struct {
	values  map[string]any
	fields  map[string][]string
	derived map[string][]derived // by type, each after what it needs
	keys    map[string][]keyOf   // by form
	rules   map[string]KeyRule   // by id
	remarks map[string][]remark  // by form
	wanted  map[string]bool      // types whose derived values keys and remarks look at
	watched map[string][]string  // by type: the written fields that remarks look at
}

type derived struct {
	Derive
	program *program
}

type keyOf struct {
	rule              *KeyRule
	of                KeyOf
	when, key, entity *program
}

type remark struct {
	rule *RemarkRule
	when *program
}

// program is one compiled expression.
type program struct {
	run1   cel.Program
	needs  [][2]string // derived fields, as type and field
	reads  [][2]string // written fields, as type and field
	static string      // what it is, for errors
}

// Bounds of an expression.
const (
	maxText = 4 << 10
	// maxCost is the most steps that one working out may take; the estimate of a
	// rule that is loaded must stay below it, and the count when one with a loop runs.
	maxCost = 100_000
)

// Compile reads rules. It reports everything that is wrong; with faults the set
// is nil.
func Compile(src Source) (*Set, []Fault) {
	c := &compiler{src: src}
	var err error
	if c.env, err = environment(); err != nil {
		return nil, []Fault{{Words: err.Error()}}
	}
	s := &Set{
		values: map[string]any{}, fields: src.Fields, derived: map[string][]derived{}, keys: map[string][]keyOf{},
		rules: map[string]KeyRule{}, remarks: map[string][]remark{},
	}
	for k, v := range src.Values {
		s.values[k] = v
	}
	for k, v := range src.Texts {
		s.values[k] = v
	}
	c.derives(s)
	c.keys(s)
	c.remarks(s)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	s.want()
	return s, nil
}

// want finds the types whose derived values keys and remarks ask for, directly
// or by way of other derived values.
func (s *Set) want() {
	s.wanted = map[string]bool{}
	var add func(p *program)
	add = func(p *program) {
		if p == nil {
			return
		}
		for _, need := range p.needs {
			if !s.wanted[need[0]] {
				s.wanted[need[0]] = true
				for _, d := range s.derived[need[0]] {
					add(d.program)
				}
			}
		}
	}
	for _, ks := range s.keys {
		for _, k := range ks {
			add(k.when)
			add(k.key)
			add(k.entity)
		}
	}
	for _, rs := range s.remarks {
		for _, r := range rs {
			add(r.when)
		}
	}
	s.watch()
}

// watch finds the written fields that remarks look at, directly or by way of derived values.
func (s *Set) watch() {
	s.watched = map[string][]string{}
	done := map[*program]bool{}
	var add func(p *program)
	add = func(p *program) {
		if p == nil || done[p] {
			return
		}
		done[p] = true
		for _, r := range p.reads {
			if !slices.Contains(s.watched[r[0]], r[1]) {
				s.watched[r[0]] = append(s.watched[r[0]], r[1])
			}
		}
		for _, need := range p.needs {
			for _, d := range s.derived[need[0]] {
				add(d.program)
			}
		}
	}
	for _, rs := range s.remarks {
		for _, r := range rs {
			add(r.when)
		}
	}
	for _, fields := range s.watched {
		slices.Sort(fields)
	}
}

func environment() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.Variable("entity", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("answers", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("row", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("entry", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("values", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("today", cel.StringType),
		cel.Variable("book", bookType),
		cel.CrossTypeNumericComparisons(true),
	}
	return cel.NewEnv(append(opts, functions()...)...)
}

type compiler struct {
	env    *cel.Env
	src    Source
	faults []Fault
	at     Fault
}

func (c *compiler) fault(field, format string, args ...any) {
	f := c.at
	f.Field, f.Words = field, fmt.Sprintf(format, args...)
	c.faults = append(c.faults, f)
}

// program compiles an expression with the variables that it may use. nil: faults say why.
func (c *compiler) program(field, source string, vars ...string) *program {
	if len(source) > maxText {
		c.fault(field, "the expression has %d bytes, the limit is %d", len(source), maxText)
		return nil
	}
	a, issues := c.env.Compile(source)
	if issues.Err() != nil {
		c.fault(field, "not a CEL expression that can be used here: %s", oneLine(issues.Err().Error()))
		return nil
	}
	p := &program{static: source}
	if !c.sound(field, a, p, vars) {
		return nil
	}
	cost, err := c.env.EstimateCost(a, sizes{})
	if err != nil || cost.Max > maxCost {
		c.fault(field, "it can take more than %d steps: it runs away; go through fewer lists within lists", maxCost)
		return nil
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if loops(a) { // counting steps takes as long as the steps; without a loop they are as many as the text has
		opts = append(opts, cel.CostLimit(maxCost))
	}
	p.run1, err = c.env.Program(a, opts...)
	if err != nil {
		c.fault(field, "not a CEL expression that can be used here: %s", oneLine(err.Error()))
		return nil
	}
	return p
}

// loops reports whether an expression goes through a list.
func loops(a *cel.Ast) (found bool) {
	ast.PreOrderVisit(a.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) { found = found || e.Kind() == ast.ComprehensionKind }))
	return found
}

// sound checks names: variables, values, types and fields.
func (c *compiler) sound(field string, a *cel.Ast, p *program, vars []string) bool {
	good := true
	bad := func(format string, args ...any) {
		good = false
		c.fault(field, format, args...)
	}
	known := func(typ, name string) {
		fields, ok := c.src.Fields[typ]
		switch {
		case !ok:
			bad("unknown entity type %q: write one of %s", typ, strings.Join(slices.Sorted(maps.Keys(c.src.Fields)), ", "))
		case name != "" && name != "id" && !slices.Contains(fields, name) && !c.derives0(typ, name):
			bad("%s has no field %q: write one of %s", typ, name, strings.Join(c.all(typ), ", "))
		case name != "" && c.derives0(typ, name):
			p.needs = append(p.needs, [2]string{typ, name})
		case name != "" && name != "id":
			p.reads = append(p.reads, [2]string{typ, name})
		}
	}
	ast.PreOrderVisit(a.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			switch v := e.AsIdent(); v {
			case "entity", "answers", "row", "entry", "today":
				if !slices.Contains(vars, v) {
					bad("%s is not there in this rule: use %s", v, strings.Join(append(vars, "values", "book"), ", "))
				}
			}
		case ast.SelectKind:
			c.selects(e.AsSelect(), known, bad)
		case ast.CallKind:
			c.calls(e.AsCall(), known, bad)
		default: // literals and lists name nothing
		}
	}))
	return good
}

// selects checks values.name, entity.name, and fields of an entity of the book.
func (c *compiler) selects(s ast.SelectExpr, known func(typ, name string), bad func(string, ...any)) {
	on := s.Operand()
	switch {
	case on.Kind() == ast.IdentKind && on.AsIdent() == "values":
		_, isNumber := c.src.Values[s.FieldName()]
		if _, isText := c.src.Texts[s.FieldName()]; !isNumber && !isText {
			bad("there is no value %q: declare it under [values], with its source", s.FieldName())
		}
	case on.Kind() == ast.IdentKind && on.AsIdent() == "entity" && c.at.Kind == "derive":
		known(c.src.Derives[c.at.Index].Entity, s.FieldName())
	case on.Kind() == ast.CallKind && on.AsCall().IsMemberFunction() && len(on.AsCall().Args()) > 0:
		if typ, ok := word(on.AsCall().Args()[0]); ok {
			known(typ, s.FieldName())
		}
	}
}

// calls checks the types and fields that methods of the book are given.
func (c *compiler) calls(call ast.CallExpr, known func(typ, name string), bad func(string, ...any)) {
	if !call.IsMemberFunction() {
		return
	}
	var fields []int // which arguments are fields
	switch call.FunctionName() {
	case "entity", "nearest", "gcj":
	case "one":
		fields = []int{1}
	case "sum":
		fields = []int{1, 3}
	default:
		return
	}
	args := call.Args()
	typ, ok := word(args[0])
	if !ok {
		bad("book.%s(...): write the entity type as a quoted word", call.FunctionName())
		return
	}
	known(typ, "")
	for _, i := range fields {
		if i >= len(args) {
			continue
		}
		name, ok := word(args[i])
		if !ok {
			bad("book.%s(...): write the field as a quoted word", call.FunctionName())
			continue
		}
		known(typ, name)
	}
}

func word(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

func (c *compiler) derives0(typ, field string) bool {
	return slices.ContainsFunc(c.src.Derives, func(d Derive) bool { return d.Entity == typ && d.Field == field })
}

// all lists the fields of a type, derived ones among them.
func (c *compiler) all(typ string) []string {
	out := slices.Clone(c.src.Fields[typ])
	for _, d := range c.src.Derives {
		if d.Entity == typ {
			out = append(out, d.Field)
		}
	}
	slices.Sort(out)
	return out
}

// sizes bounds what CEL cannot know: the lists and texts of a record.
type sizes struct{}

func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: 200} // form.MaxRows
}

func (sizes) EstimateCallCost(function, _ string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	switch function {
	case "entity", "one", "sum", "nearest", "gcj":
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: 50}}
	}
	return nil
}

func oneLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return strings.TrimPrefix(first, "ERROR: ")
}

// run works the expression out.
func (p *program) run(b *book, vars map[string]any) (any, error) {
	vars["book"], vars["values"] = b, b.set.values
	v, _, err := p.run1.Eval(vars)
	if err == nil {
		var out any
		if out, err = native(v); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", p.static, err)
}
