package find

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// MostPairs bounds the words of one thing: a text that has more is found by its beginning.
const MostPairs = 600

// leastDigits is from how many digits on a number in a text may be a person's:
// telephones have 7 and more, accounts and resident numbers more than that.
const leastDigits = 7

var (
	// number is a run of digits, with at most one mark between two of them.
	number = regexp.MustCompile(`[0-9](?:[ .\-/_·]?[0-9]){6,}(?:[ ]?[xX]\b)?`)
	// day is a date, perhaps with an hour: no number of a person.
	day = regexp.MustCompile(`^(?:18|19|20|21)[0-9]{2}([-/.])(?:0?[1-9]|1[0-2])([-/.])(?:0?[1-9]|[12][0-9]|3[01])(?: [0-2]?[0-9])?$`)
)

// numberAt lists where numbers of persons may be in a text, in NFKC: start and end.
func numbersAt(s string) [][]int {
	at := number.FindAllStringIndex(s, -1)
	kept := at[:0]
	for _, x := range at {
		if m := day.FindStringSubmatch(s[x[0]:x[1]]); m == nil || m[1] != m[2] {
			kept = append(kept, x)
		}
	}
	return kept
}

// wide makes full-width and other compatible forms of signs the plain ones.
func wide(s string) string { return norm.NFKC.String(s) }

// plainNumber keeps the digits of a number, and a last X.
func plainNumber(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r == 'x' || r == 'X':
			return 'X'
		}
		return -1
	}, wide(s))
}

// Numbers are what in a text may be numbers of persons, by their digits alone.
func Numbers(text string) (out []string) {
	text = wide(text)
	for _, at := range numbersAt(text) {
		out = append(out, plainNumber(text[at[0]:at[1]]))
	}
	return out
}

// Hide shows of each number of a text its last four signs. A text without any stays
// as it is.
func Hide(text string) string {
	plain := wide(text)
	at := numbersAt(plain)
	if len(at) == 0 {
		return text
	}
	var b strings.Builder
	from := 0
	for _, x := range at {
		n := plainNumber(plain[x[0]:x[1]])
		b.WriteString(plain[from:x[0]])
		b.WriteString(strings.Repeat("•", len(n)-4) + n[len(n)-4:])
		from = x[1]
	}
	b.WriteString(plain[from:])
	return b.String()
}

// normal is a text as it is compared: without its numbers of persons, in small
// letters, with one blank for all that is neither letter nor digit.
func normal(text string) string {
	text = wide(text)
	for at := numbersAt(text); len(at) > 0; at = at[:len(at)-1] {
		last := at[len(at)-1]
		text = text[:last[0]] + " " + text[last[1]:]
	}
	var b strings.Builder
	blank := false
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			blank = b.Len() > 0
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Pairs are the pairs of neighbouring letters of a text, each once, in their order.
func Pairs(text string) []string { return pairs(normal(text)) }

func pairs(normal string) (out []string) {
	seen := make(map[[2]rune]bool)
	var before rune
	for _, r := range normal {
		pair := [2]rune{before, r}
		if before != 0 && before != ' ' && r != ' ' && !seen[pair] && len(out) < MostPairs {
			seen[pair] = true
			out = append(out, string(pair[:]))
		}
		before = r
	}
	return out
}
