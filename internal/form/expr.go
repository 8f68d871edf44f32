package form

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Moment is a point in time with its zone, as far as a sheet needs it.
type Moment struct{ t time.Time }

// MomentOf takes the moment of t in t's zone.
func MomentOf(t time.Time) Moment { return Moment{t} }

// Expr is an expression of a form's author that both programs work out by
// themselves, since it decides what is written into which entity. It is a small
// part of XPath as XLSForm has it: ${question}, numbers, 'text', concat(...),
// today(), now(), true(), false(), not(...), if(condition, then, else), = != and
// or, + - *, and parentheses. ${entity} is the entity that the record is about.
//
// Everything else of XLSForm's expressions is worked out by the page that asks
// the questions, and kept as text here.
type Expr struct {
	text string
	root node
}

func (e *Expr) String() string {
	if e == nil {
		return "the entity that the record is about"
	}
	return e.text
}

// Names lists the questions that the expression refers to, in its order.
func (e *Expr) Names() []string {
	var out []string
	e.root.walk(func(n *node) {
		if n.op == opRef && n.text != entityName {
			out = append(out, n.text)
		}
	})
	return out
}

// entityName is what an expression calls the entity that the record is about.
const entityName = "entity"

type op uint8

const (
	opLiteral op = iota + 1
	opRef
	opConcat
	opToday
	opNow
	opNot
	opIf
	opEqual
	opUnequal
	opAnd
	opOr
	opAdd
	opSubtract
	opMultiply
	opNegate
)

// node is a part of an expression.
type node struct {
	op   op
	text string // of opRef
	lit  any    // of opLiteral
	args []node
}

func (n *node) walk(visit func(*node)) {
	visit(n)
	for i := range n.args {
		n.args[i].walk(visit)
	}
}

// value works the expression out: nil, bool, int64, float64 or string.
func (e *Expr) value(in scope) (any, error) {
	v, err := e.root.value(in)
	if err != nil {
		return nil, Problem{Field: "", Code: BadType, Grave: true, Words: fmt.Sprintf("%s cannot be worked out: %v", e.text, err)}
	}
	return v, nil
}

func (n *node) value(in scope) (any, error) {
	switch n.op {
	case opLiteral:
		return n.lit, nil
	case opRef:
		return in.find(n.text)
	case opToday:
		return in.now.t.Format(time.DateOnly), nil
	case opNow:
		return in.now.t.Format(time.RFC3339), nil
	default: // the others work on values
	}
	args := make([]any, len(n.args))
	for i := range n.args {
		v, err := n.args[i].value(in)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	switch n.op {
	case opConcat:
		var b strings.Builder
		for _, a := range args {
			b.WriteString(asText(a))
		}
		return b.String(), nil
	case opNot:
		return !truth(args[0]), nil
	case opIf:
		if truth(args[0]) {
			return args[1], nil
		}
		return args[2], nil
	case opAnd:
		return truth(args[0]) && truth(args[1]), nil
	case opOr:
		return truth(args[0]) || truth(args[1]), nil
	case opEqual:
		return n.equal(args[0], args[1]), nil
	case opUnequal:
		return !n.equal(args[0], args[1]), nil
	default:
		return n.reckon(args)
	}
}

// reckon works out + - * and the sign. Without an operand there is no answer.
func (n *node) reckon(args []any) (any, error) {
	for _, a := range args {
		if a == nil || a == "" {
			return nil, nil
		}
	}
	if n.op == opNegate {
		args = []any{int64(0), args[0]}
	}
	if a, ok := args[0].(int64); ok {
		if b, ok := args[1].(int64); ok {
			if v, ok := reckonWhole(n.op, a, b); ok {
				return v, nil
			}
		}
	}
	a, okA := asNumber(args[0])
	b, okB := asNumber(args[1])
	if !okA || !okB {
		return nil, fmt.Errorf("%v and %v are not both numbers", args[0], args[1])
	}
	switch n.op {
	case opAdd:
		return a + b, nil
	case opMultiply:
		return a * b, nil
	default:
		return a - b, nil
	}
}

// reckonWhole stays within int64; ok is false when the result does not.
func reckonWhole(o op, a, b int64) (v int64, ok bool) {
	const safe = 1 << 31 // products of less than this fit
	if max(a, -a, b, -b) >= safe || a < -safe || b < -safe {
		return 0, false
	}
	switch o {
	case opAdd:
		return a + b, true
	case opMultiply:
		return a * b, true
	default:
		return a - b, true
	}
}

// truth is XPath's boolean(), for the values that answers have.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case int64:
		return v != 0
	case float64:
		return v != 0 && v == v
	}
	return v != nil
}

// equal compares as XPath 1.0 does (section 3.4), and so as the page that asks the
// questions: an answer is text, whatever kind its question is of; numbers are compared
// where one side is a number that is written or reckoned, and texts as they are, so
// that the last digit of a long one counts.
func (n *node) equal(a, b any) bool {
	if n.args[0].op == opRef {
		a = asText(a)
	}
	if n.args[1].op == opRef {
		b = asText(b)
	}
	x, isX := a.(string)
	y, isY := b.(string)
	if isX && isY {
		return x == y
	}
	if x, ok := asNumber(a); ok {
		if y, ok := asNumber(b); ok {
			return x == y
		}
	}
	return asText(a) == asText(b)
}

func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		x, err := strconv.ParseFloat(v, 64)
		return x, err == nil
	}
	return 0, false
}

func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any: // a select_multiple, as XForms write it
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = asText(x)
		}
		return strings.Join(words, " ")
	}
	return ""
}

// scope is where an expression is worked out: the levels of answers from the
// outermost to the innermost.
type scope struct {
	main    string
	form    []Field // of the outermost level, in the sheet's order
	now     Moment
	answers []map[string]any
	fields  []map[string]*Field
	depth   int // of calculations that ask for one another
}

func (s scope) inside(x *Field, answers map[string]any) scope {
	in := s
	in.answers = append(append([]map[string]any(nil), s.answers...), answers)
	in.fields = append(append([]map[string]*Field(nil), s.fields...), x.byName)
	return in
}

// find gives the answer called name, of the innermost level that asks for it.
func (s scope) find(name string) (any, error) {
	if name == entityName {
		return s.main, nil
	}
	for i, level := range slices.Backward(s.fields) {
		x := level[name]
		if x == nil {
			continue
		}
		at := s
		at.answers, at.fields = s.answers[:i+1], s.fields[:i+1]
		return at.answer(x)
	}
	if len(s.answers) > 0 {
		return deep(s.form, s.answers[0], name), nil
	}
	return nil, nil
}

// deep looks for an answer inside the groups of a level. Where several groups have a
// question of that name, which a sheet must not refer to, it is the first one's.
func deep(fields []Field, answers map[string]any, name string) any {
	for i := range fields {
		g := &fields[i]
		if g.Kind != Group {
			continue
		}
		inner, _ := answers[g.Name].(map[string]any)
		if g.byName[name] != nil {
			return inner[name]
		}
		if v := deep(g.Fields, inner, name); v != nil {
			return v
		}
	}
	return nil
}

// answer is the answer to x at the innermost level, worked out when x is a
// calculation that the sheet does not have.
func (s scope) answer(x *Field) (any, error) {
	v := s.answers[len(s.answers)-1][x.Name]
	if v != nil || x.Worked == nil {
		return v, nil
	}
	if s.depth++; s.depth > MaxDepth {
		return nil, fmt.Errorf("%s is worked out of itself", x.Name)
	}
	return x.Worked.root.value(s)
}
