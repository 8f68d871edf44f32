package find

import (
	"slices"
	"strings"
)

// MostTyped bounds what is searched for, in bytes.
const MostTyped = 200

// Query is what somebody typed, taken apart.
type Query struct {
	// Terms are parts that a text must have, all of them, as texts are compared.
	Terms []string
	// Numbers are whole numbers that it must have.
	Numbers []string
	// Short are parts of one letter, which nothing is found by.
	Short []string
}

// Read takes apart what was typed: parts with blanks between them.
func Read(typed string) Query {
	typed = typed[:min(len(typed), MostTyped)]
	var q Query
	q.Numbers = Numbers(typed)
	for term := range strings.FieldsSeq(normal(typed)) {
		if len([]rune(term)) < 2 {
			q.Short = append(q.Short, term)
			continue
		}
		if !slices.Contains(q.Terms, term) {
			q.Terms = append(q.Terms, term)
		}
	}
	return q
}

// IsZero reports whether there is nothing to search for.
func (q Query) IsZero() bool { return len(q.Terms) == 0 && len(q.Numbers) == 0 }

// Pairs are the words by which candidates are looked for.
func (q Query) Pairs() (out []string) {
	for _, t := range q.Terms {
		for _, p := range pairs(t) {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Matches reports whether texts and numbers have all that was typed.
func (q Query) Matches(texts, numbers []string) bool {
	plain := make([]string, len(texts))
	for i, t := range texts {
		plain[i] = normal(t)
	}
	for _, term := range q.Terms {
		if !slices.ContainsFunc(plain, func(t string) bool { return strings.Contains(t, term) }) {
			return false
		}
	}
	for _, n := range q.Numbers {
		if !slices.Contains(numbers, n) {
			return false
		}
	}
	return true
}
