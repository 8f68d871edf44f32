package sheet

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Clean makes a cell comparable: full-width letters and digits become ordinary
// ones, characters that nobody sees go, blanks of any kind become single
// spaces, and none are left at the ends.
func Clean(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range width.Narrow.String(s) {
		switch {
		case unicode.IsSpace(r):
			gap = b.Len() > 0
			continue
		case r == '\uFEFF', unicode.Is(unicode.Cf, r), unicode.IsControl(r):
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return norm.NFC.String(b.String()) // last: what nobody sees may stand between a letter and its accent
}

// Number makes a cell that holds a number of many digits, such as an identity
// number, comparable: as Clean does, without blanks and hyphens and the
// apostrophe by which people keep a program from taking it for a number, and
// with a capital X. lost says that the last digits may not be the original
// ones: a program took it for a number and kept fifteen of them. A number whose
// check digit fits was not lost.
func Number(s string) (number string, lost bool) {
	s = strings.ToUpper(strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\'', '’', '`':
			return -1
		}
		return r
	}, Clean(s)))
	if mantissa, _, ok := strings.Cut(s, "E+"); ok && strings.Trim(mantissa, "0123456789.") == "" {
		return s, true
	}
	s = strings.TrimSuffix(s, ".0")
	// Beyond 2^53 doubles are spaced by 2 and more; what comes back from one
	// ends in zeros that hardly any identity number has.
	if len(s) == 18 && strings.HasSuffix(s, "000") && strings.Trim(s, "0123456789") == "" {
		return s, true
	}
	return s, false
}

// Date reads a day as lists write it: 1950-3-7, 1950/03/07, 1950.3.7, 1950年3月7日,
// 19500307, and the day number of an Excel workbook, from 1900 on.
func Date(s string) (time.Time, bool) {
	s, _, _ = strings.Cut(Clean(s), " ")
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 1 && n < 100_000 {
		// Day 60 of that calendar is a 29 February 1900 that never was.
		return time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(n)), n >= 61
	}
	if len(s) == 8 && strings.Trim(s, "0123456789") == "" {
		d, err := time.Parse("20060102", s)
		return d, err == nil
	}
	s = strings.NewReplacer("年", "-", "月", "-", "日", "", "/", "-", ".", "-").Replace(s)
	d, err := time.Parse("2006-1-2", s)
	return d, err == nil
}
