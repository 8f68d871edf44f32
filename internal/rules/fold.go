package rules

import (
	"cmp"
	"slices"
	"time"

	"otor/internal/dot"
)

// Seen is a record under a key, with what decides its place among the others.
type Seen struct {
	Dot dot.Dot
	// Time is when it happened by the hub's clock, Arrived its place in the order
	// of arrival, both compared only with others of their kind.
	Time    int64 // Unix milliseconds
	Arrived int64
}

// Fold says of which record each of the others under one key is a repetition.
// Records that count have no place in the answer.
//
// For [Duplicate] the order of what happened decides, so the answer is the same
// whatever arrived first: the earliest counts, and so does each that comes the
// window or more after the last that counted. For [Twin] the order of arrival
// decides, because what was received and moved stays moved: a record within the
// window of an earlier received one that counts is its twin.
func Fold(k KeyRule, all []Seen) map[dot.Dot]dot.Dot {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b Seen) int {
		if k.Kind == Twin {
			return cmp.Or(cmp.Compare(a.Arrived, b.Arrived), a.Dot.Compare(b.Dot))
		}
		return cmp.Or(cmp.Compare(a.Time, b.Time), a.Dot.Compare(b.Dot))
	})
	out := map[dot.Dot]dot.Dot{}
	var counting []Seen
	for _, s := range sorted {
		at := slices.IndexFunc(counting, func(c Seen) bool { return k.within(s, c) })
		if at >= 0 {
			if counting[at].Dot != s.Dot { // a row repeated within one record is no other record
				out[s.Dot] = counting[at].Dot
			}
			continue
		}
		counting = append(counting, s)
		if k.Kind == Duplicate {
			counting = counting[len(counting)-1:] // only the last that counted has a say
		}
	}
	return out
}

func (k KeyRule) within(a, b Seen) bool {
	if k.Window == 0 {
		return true
	}
	apart := time.Duration(a.Time-b.Time) * time.Millisecond
	if k.Kind == Twin {
		return apart.Abs() <= k.Window
	}
	return apart.Abs() < k.Window
}
