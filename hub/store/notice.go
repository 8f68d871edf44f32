package store

import (
	"cmp"
	"slices"

	"otor/internal/dot"
)

// Mark says that an entry counts for a rule of the pack under a key: a check of
// that person, an application for that year.
type Mark struct {
	Rule, Key string
	Dot       dot.Dot
	Time      int64 // when it happened by the hub's clock
	// Arrived is its place in the order of arrival among the marks of the hub; given by PutMark.
	Arrived int64
	// Of is the entry that it repeats, by the rule; zero when it counts itself.
	Of dot.Dot
}

// NoticeTx is the part of a transaction that keeps what was noticed.
type NoticeTx interface {
	// PutMark adds a mark, or changes Of of one that is there by (Rule, Key, Dot).
	PutMark(m Mark) error
	// Marks lists the marks under a key, by Time and Dot.
	Marks(rule, key string) ([]Mark, error)
	// Reasons lists all judgements that speak of an entry beside Applied, by
	// verdict and code. An entry without any has none.
	Reasons(d dot.Dot) ([]Judgement, error)
	// SetReasons replaces them; there is one for each verdict and code.
	SetReasons(d dot.Dot, reasons []Judgement) error
	// OfType lists the entities of a type by id, without Parents: types of which
	// there are few, such as the waypoints that a place is compared with.
	OfType(kind string) ([]Entity, error)
}

// Compare orders marks by when things happened, then by dot.
func (m Mark) Compare(o Mark) int { return cmp.Or(cmp.Compare(m.Time, o.Time), m.Dot.Compare(o.Dot)) }

// precedence orders verdicts: an entry has the first that applies.
var precedence = []Verdict{Quarantined, Refused, Conflict, Duplicate, Review, Flagged, Merged, Applied}

// Before reports whether v goes before o: an entry of which both are true has v.
func (v Verdict) Before(o Verdict) bool {
	return slices.Index(precedence, v) < slices.Index(precedence, o)
}

// Outcome is the judgement of an entry of which all reasons are true: the first
// by precedence, then by code. Without any it is applied.
func Outcome(reasons []Judgement) Judgement {
	out := Judgement{Verdict: Applied}
	for _, r := range reasons {
		if r.Verdict.Before(out.Verdict) || r.Verdict == out.Verdict && r.Code < out.Code {
			out = r
		}
	}
	return out
}
