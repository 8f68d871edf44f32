package form

import (
	"cmp"
	"fmt"
	"time"
)

// Date is a calendar day. The zero value is no day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the day of t in t's zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// ParseDate reads a day of the calendar as 2006-01-02.
func ParseDate(s string) (Date, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return Date{}, false
	}
	y, ok1 := digits(s[:4])
	m, ok2 := digits(s[5:7])
	d, ok3 := digits(s[8:])
	day := Date{y, time.Month(m), d}
	return day, ok1 && ok2 && ok3 && day.real()
}

// String writes the day as 2006-01-02.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// IsZero reports whether d is no day.
func (d Date) IsZero() bool { return d == Date{} }

// Compare orders days.
func (d Date) Compare(o Date) int {
	return cmp.Or(cmp.Compare(d.Year, o.Year), cmp.Compare(d.Month, o.Month), cmp.Compare(d.Day, o.Day))
}

// real reports whether the calendar has the day.
func (d Date) real() bool {
	if d.Year < 1 || d.Month < 1 || d.Month > 12 || d.Day < 1 {
		return false
	}
	return d.Day <= daysIn(d.Year, d.Month)
}

func daysIn(year int, m time.Month) int {
	switch m {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// digits reads a short run of decimal digits.
func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, len(s) > 0
}

func isDate(s string) bool {
	_, ok := ParseDate(s)
	return ok
}

// isTime accepts 15:04:05 with an optional fraction and zone, as XForms write it.
func isTime(s string) bool {
	_, ok := clock(s)
	return ok
}

// isDateTime accepts RFC 3339: a day, T, a time of day with its zone.
func isDateTime(s string) bool {
	if len(s) < 11 || s[10] != 'T' || !isDate(s[:10]) {
		return false
	}
	zoned, ok := clock(s[11:])
	return ok && zoned
}

// clock reads a time of day; zoned tells whether a zone stands behind it.
// It does what time.Parse does, without allocating.
func clock(s string) (zoned, ok bool) {
	if len(s) < 8 || len(s) > 32 || s[2] != ':' || s[5] != ':' ||
		!below(s[:2], 24) || !below(s[3:5], 60) || !below(s[6:8], 60) {
		return false, false
	}
	s = s[8:]
	if s != "" && s[0] == '.' {
		n := 1
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == 1 {
			return false, false
		}
		s = s[n:]
	}
	switch {
	case s == "":
		return false, true
	case s == "Z":
		return true, true
	}
	return true, len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':' && below(s[1:3], 24) && below(s[4:], 60)
}

func below(s string, limit int) bool {
	n, ok := digits(s)
	return ok && n < limit
}
