package rules

import (
	"slices"
	"time"
)

const day = 24 * time.Hour

// parseDay reads 2006-01-02, or the day of an RFC 3339 time.
func parseDay(s string) (time.Time, bool) {
	if len(s) > len(time.DateOnly) {
		s = s[:len(time.DateOnly)]
	}
	t, err := time.Parse(time.DateOnly, s)
	return t, err == nil
}

// addMonths is the same day of the month so many months on; the month's last day
// where it has no such day.
func addMonths(t time.Time, months int) time.Time {
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, months, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// lastCounted is the last of the days that count: the earliest does, and each
// one that comes at least window days after the last that did.
func lastCounted(days []string, window int) (string, bool) {
	var last time.Time
	for _, s := range slices.Sorted(slices.Values(days)) {
		t, ok := parseDay(s)
		if ok && (last.IsZero() || t.Sub(last) >= time.Duration(window)*day) {
			last = t
		}
	}
	if last.IsZero() {
		return "", false
	}
	return last.Format(time.DateOnly), true
}
