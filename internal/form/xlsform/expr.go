package xlsform

import (
	"regexp"
	"slices"
	"strings"
)

var (
	functionCall = regexp.MustCompile(`(^|[^\w.\-/])[A-Za-z][\w\-]*(:[A-Za-z][\w\-]*)?\(`)
	exprToken    = regexp.MustCompile(`^(\d+(\.\d+)?|\.\.?(/[\w.\-]+)*|/[\w.\-]+(/[\w.\-]+)*|\*|\+|-|div|mod|'[^']*'|"[^"]*")$`)
	operators    = []string{"*", "+", "-", "div", "mod"}
	instant      = regexp.MustCompile(`^-?\d{4}-\d\d-\d\d(T|$)|^\d\d:\d\d`)
)

// dynamic reports whether a default is worked out when the form is opened: it
// refers to an answer, calls a function, or computes with numbers and paths.
// Words with a hyphen, dates, places and addresses are not computed.
func dynamic(value, kind string) bool {
	switch {
	case value == "", kind == "image" && !strings.Contains(value, "${"), instant.MatchString(value):
		return false
	case strings.Contains(value, "${"):
		return true
	case strings.Contains(value, "://") && !strings.Contains(value, "'"):
		return false
	case functionCall.MatchString(value):
		return true
	case strings.HasPrefix(kind, "geo"):
		return false
	}
	words := strings.Fields(value)
	computes := false
	for i, w := range words {
		if !exprToken.MatchString(w) {
			return false
		}
		computes = computes || i > 0 && slices.Contains(operators, w)
	}
	return computes
}

// span of a label: words, a reference, or a look-up in a list.
type piece struct {
	text string
	expr bool
}

// pieces splits a label at the ${names} and the instance('list')/... paths.
func pieces(label string) []piece {
	var out []piece
	text := func(s string) {
		if s != "" {
			out = append(out, piece{s, false})
		}
	}
	for label != "" {
		ref := anyRef.FindStringIndex(label)
		inst := strings.Index(label, "instance(")
		switch {
		case inst >= 0 && (ref == nil || inst < ref[0]):
			n := instanceLength(label[inst:])
			if n == 0 {
				text(label[:inst+len("instance(")])
				label = label[inst+len("instance("):]
				continue
			}
			text(label[:inst])
			out = append(out, piece{label[inst : inst+n], true})
			label = label[inst+n:]
		case ref != nil:
			text(label[:ref[0]])
			out = append(out, piece{label[ref[0]:ref[1]], true})
			label = label[ref[1]:]
		default:
			text(label)
			return out
		}
	}
	return out
}

var pathStep = regexp.MustCompile(`^/[\w.\-*]+`)

// instanceLength measures the path that s begins with: instance('list') and
// its steps with their predicates. 0: it is no such path.
func instanceLength(s string) int {
	m := regexp.MustCompile(`^instance\(\s*('[^']*'|"[^"]*")\s*\)`).FindString(s)
	n := len(m)
	steps := 0
	for n > 0 && n < len(s) {
		if step := pathStep.FindString(s[n:]); step != "" {
			n += len(step)
			steps++
			continue
		}
		if s[n] != '[' {
			break
		}
		end := closing(s[n:])
		if end == 0 {
			return 0
		}
		n += end
	}
	if steps == 0 {
		return 0
	}
	return n
}

// closing measures a [...] with what it holds. 0: it is never closed.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '\'', '"':
			end := strings.IndexByte(s[i+1:], s[i])
			if end < 0 {
				return 0
			}
			i += end + 1
		}
	}
	return 0
}

// inline turns a label into text and <output> elements.
func (f *form) inline(words string, from *node) []any {
	var out []any
	for _, p := range pieces(words) {
		if p.expr {
			out = append(out, el("output", "value", f.expand(p.text, from, false)))
			continue
		}
		out = append(out, p.text)
	}
	return out
}
