package form

import (
	"fmt"
	"strconv"
	"strings"
)

// maxExpr bounds an expression's text in bytes, maxNesting how deep it nests.
const (
	maxExpr    = 1024
	maxNesting = 16
)

// ParseExpr reads an expression. Its error says what is not understood.
func ParseExpr(text string) (*Expr, error) {
	if len(text) > maxExpr {
		return nil, fmt.Errorf("the expression has %d bytes, the limit is %d", len(text), maxExpr)
	}
	p := exprParser{rest: text}
	n, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.skip(); p.rest != "" {
		return nil, fmt.Errorf("%q is not understood here", clip(p.rest))
	}
	return &Expr{text: strings.TrimSpace(text), root: n}, nil
}

type exprParser struct{ rest string }

func (p *exprParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take takes a sign, or a word that no letter follows.
func (p *exprParser) take(s string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.rest, s)
	if !ok || isWord(s[0]) && rest != "" && isWord(rest[0]) {
		return false
	}
	p.rest = rest
	return true
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// chain reads operands of one rank that stand between operators.
func (p *exprParser) chain(depth int, ops []string, kinds []op, below func(int) (node, error)) (node, error) {
	n, err := below(depth)
	for err == nil {
		at := -1
		for i, o := range ops {
			if p.take(o) {
				at = i
				break
			}
		}
		if at < 0 {
			return n, nil
		}
		var right node
		right, err = below(depth)
		n = node{op: kinds[at], args: []node{n, right}}
	}
	return node{}, err
}

func (p *exprParser) or(depth int) (node, error) {
	return p.chain(depth, []string{"or"}, []op{opOr}, p.and)
}

func (p *exprParser) and(depth int) (node, error) {
	return p.chain(depth, []string{"and"}, []op{opAnd}, p.compare)
}

func (p *exprParser) compare(depth int) (node, error) {
	return p.chain(depth, []string{"!=", "="}, []op{opUnequal, opEqual}, p.sum)
}

func (p *exprParser) sum(depth int) (node, error) {
	return p.chain(depth, []string{"+", "-"}, []op{opAdd, opSubtract}, p.product)
}

func (p *exprParser) product(depth int) (node, error) {
	return p.chain(depth, []string{"*"}, []op{opMultiply}, p.operand)
}

func (p *exprParser) operand(depth int) (node, error) {
	if depth > maxNesting {
		return node{}, fmt.Errorf("it nests more than %d deep", maxNesting)
	}
	p.skip()
	switch {
	case p.rest == "":
		return node{}, fmt.Errorf("it ends where a value belongs")
	case p.take("-"):
		n, err := p.operand(depth + 1)
		return node{op: opNegate, args: []node{n}}, err
	case p.take("("):
		n, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a ) is missing")
		}
		return n, err
	case p.take("${"):
		name, rest, ok := strings.Cut(p.rest, "}")
		if !ok || strings.TrimSpace(name) == "" {
			return node{}, fmt.Errorf("a ${ is not ended by a name and }")
		}
		p.rest = rest
		return node{op: opRef, text: strings.TrimSpace(name)}, nil
	case p.rest[0] == '\'' || p.rest[0] == '"':
		text, rest, ok := strings.Cut(p.rest[1:], p.rest[:1])
		if !ok {
			return node{}, fmt.Errorf("a quote is not ended")
		}
		p.rest = rest
		return node{op: opLiteral, lit: text}, nil
	case p.rest[0] >= '0' && p.rest[0] <= '9':
		return p.literalNumber()
	default:
		return p.call(depth)
	}
}

func (p *exprParser) literalNumber() (node, error) {
	n := strings.IndexFunc(p.rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if n < 0 {
		n = len(p.rest)
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	if i, err := strconv.ParseInt(word, 10, 64); err == nil {
		return node{op: opLiteral, lit: i}, nil
	}
	x, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return node{}, fmt.Errorf("%s is not a number", clip(word))
	}
	return node{op: opLiteral, lit: x}, nil
}

// call reads a function and what it is given.
func (p *exprParser) call(depth int) (node, error) {
	open := strings.IndexByte(p.rest, '(')
	if open <= 0 {
		return node{}, fmt.Errorf("%q is not understood here: write ${name}, a number, 'text' or a function", clip(p.rest))
	}
	name := strings.TrimSpace(p.rest[:open])
	p.rest = p.rest[open+1:]
	var args []node
	for !p.take(")") {
		if len(args) > 0 && !p.take(",") {
			return node{}, fmt.Errorf("%s(...) is not ended by )", clip(name))
		}
		a, err := p.or(depth + 1)
		if err != nil {
			return node{}, err
		}
		args = append(args, a)
	}
	want := 0
	var n node
	switch name {
	case "concat":
		n, want = node{op: opConcat}, len(args)
	case "today":
		n = node{op: opToday}
	case "now":
		n = node{op: opNow}
	case "true":
		n = node{op: opLiteral, lit: true}
	case "false":
		n = node{op: opLiteral, lit: false}
	case "not":
		n, want = node{op: opNot}, 1
	case "if":
		n, want = node{op: opIf}, 3
	default:
		return node{}, fmt.Errorf("the function %s is not worked out here: write one of concat, today, now, true, false, not, if", clip(name))
	}
	if len(args) != want {
		return node{}, fmt.Errorf("%s takes %d values, not %d", name, want, len(args))
	}
	n.args = args
	return n, nil
}
