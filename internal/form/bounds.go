package form

import (
	"regexp"
	"strconv"
	"strings"
)

// What [Field.Within] reads of a constraint: comparisons of the answer with numbers, and
// one expression that its text must match, joined by "and".
var (
	boundPattern = regexp.MustCompile(`^\.\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)$`)
	matchPattern = regexp.MustCompile(`^regex\(\s*\.\s*,\s*'([^']*)'\s*\)$`)
)

// Within reports whether an answer keeps to the question's constraint, as far as that is
// read without the page: bounds of a number, and what a text must match. A condition that
// looks at anything else counts as kept.
func (f *Field) Within(v any) bool {
	for part := range strings.SplitSeq(f.Constraint, " and ") {
		part = strings.TrimSpace(part)
		if m := boundPattern.FindStringSubmatch(part); m != nil {
			x, isNumber := asNumber(v)
			bound, err := strconv.ParseFloat(m[2], 64)
			if isNumber && err == nil && !compares(x, m[1], bound) {
				return false
			}
		}
		if m := matchPattern.FindStringSubmatch(part); m != nil {
			text, isText := v.(string)
			re, err := regexp.Compile(m[1])
			if isText && err == nil && !re.MatchString(text) {
				return false
			}
		}
	}
	return true
}

func compares(x float64, by string, bound float64) bool {
	switch by {
	case ">=":
		return x >= bound
	case "<=":
		return x <= bound
	case ">":
		return x > bound
	}
	return x < bound
}
