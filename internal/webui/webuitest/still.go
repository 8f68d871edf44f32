package webuitest

import (
	"regexp"
	"strings"
)

var (
	field  = regexp.MustCompile(`<(?:textarea|select|input)\b[^>]*`)
	hidden = regexp.MustCompile(`type="?(?:hidden|submit)`)
)

// Types reports whether a page has a field that somebody types or picks in.
func Types(page string) bool {
	for _, f := range field.FindAllString(page, -1) {
		if !hidden.MatchString(f) {
			return true
		}
	}
	return false
}

// Reloads reports whether a page loads itself anew where its script does not run.
func Reloads(page string) bool { return strings.Contains(page, `http-equiv="refresh"`) }
