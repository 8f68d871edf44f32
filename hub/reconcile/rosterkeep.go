package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"otor/hub/store"
	"otor/internal/form"
)

// RowKeys gives each row of a list the key by which it is the same row in the next
// list: its number; or, without one, name, birth and phone. A row that repeats an
// earlier one gets a key of its own. Keys tell nothing of the person.
func RowKeys(rows []Listed) []string {
	seen := make(map[string]int, len(rows))
	out := make([]string, len(rows))
	for i, l := range rows {
		what := "i" + l.ID
		if l.ID == "" {
			what = "n" + plainName(l.Name) + "\x00" + dateText(l.Birth) + "\x00" + l.Phone
		}
		if seen[what]++; seen[what] > 1 {
			what += "\x00" + strconv.Itoa(seen[what])
		}
		out[i] = "r" + short("otor/roster/row\x00"+what)
	}
	return out
}

// PersonKey is the key of what is kept of a person who is not on the list.
func PersonKey(ref string) string { return "p" + short("otor/roster/person\x00"+ref) }

// short is enough of a SHA-256 to tell 300,000 rows apart.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:10])
}

// Kept is a row as the hub keeps it.
func Kept(key string, l Listed) store.RosterRow {
	return store.RosterRow{Key: key, Line: l.Row, Name: l.Name, Number: l.ID, Birth: dateText(l.Birth), Phone: l.Phone, Place: l.Place, Problems: asJSON(l.Problems)}
}

func asJSON[T any](list []T) json.RawMessage {
	if len(list) == 0 {
		return json.RawMessage("[]")
	}
	b, _ := json.Marshal(list) // texts and numbers
	return b
}

// Read is a row that the hub kept, as it was read.
func Read(r store.RosterRow) (Listed, error) {
	l := Listed{Row: r.Line, Name: r.Name, ID: r.Number, Phone: r.Phone, Place: r.Place}
	if r.Birth != "" {
		l.Birth, _ = form.ParseDate(r.Birth)
	}
	err := json.Unmarshal(r.Problems, &l.Problems)
	if len(l.Problems) == 0 {
		l.Problems = nil
	}
	return l, err
}

// SameRow reports whether a row says the same in a newer list; where it stands there
// does not matter.
func SameRow(a, b store.RosterRow) bool {
	return a.Key == b.Key && a.Name == b.Name && a.Number == b.Number && a.Birth == b.Birth && a.Phone == b.Phone && a.Place == b.Place &&
		string(a.Problems) == string(b.Problems)
}

// RowHash stands for what a row says, so that it shows when that has changed since.
func RowHash(l *Listed) string {
	if l == nil {
		return ""
	}
	return short(strings.Join([]string{"row", l.Name, l.ID, dateText(l.Birth), l.Phone}, "\x00"))
}

// FactsHash stands for how a row and a person agree and differ.
func FactsHash(l *Listed, k *Known) string {
	if l == nil || k == nil {
		return ""
	}
	agree, differ := agreement(l, k)
	return factsHash(agree, differ)
}

// Facts is [FactsHash] of what was found.
func (m Match) Facts() string { return factsHash(m.Agree, m.Differences) }

func factsHash(agree []Field, differ []Difference) string {
	parts := []string{"facts"}
	for _, f := range agree {
		parts = append(parts, string(f))
	}
	for _, d := range differ {
		parts = append(parts, string(d.Field), d.Listed, d.Known)
	}
	return short(strings.Join(parts, "\x00"))
}

// Seen stands for all that is shown of a match, so that a decision can name what it
// was made on. That a person was checked once more changes nothing.
func (m Match) Seen() string {
	parts := []string{string(m.Standing), RowHash(m.Row), factsHash(m.Agree, m.Differences), strconv.Itoa(m.With)}
	if m.Person != nil {
		parts = append(parts, m.Person.Ref)
	}
	return short(strings.Join(append(parts, m.Candidates...), "\x00"))
}

// The choices about a row or a person.
const (
	RosterConfirm = "confirm" // the row is that person
	RosterTake    = "take"    // it is, and the hub takes the values in which they differ
	RosterRefuse  = "refuse"  // the row is none of those who were offered
	RosterNote    = "note"    // it is as it is, and nothing is to be done here
	RosterUndo    = "undo"    // the last decision is taken back
)

// Asks reports whether a standing waits for a person.
func (s Standing) Asks() bool {
	return slices.Contains([]Standing{Unreadable, Repeated, Missing, Unsure, Differs, NotListed}, s)
}

// Settled reports whether what was decided about a row still answers what is asked: a
// row or a person that changed since is asked about again.
func Settled(m Match, r store.RosterRuling) bool {
	switch r.Choice {
	case RosterConfirm, RosterTake:
		return m.Person != nil && m.Person.Ref == r.Same && RowHash(m.Row) == r.Row && factsHash(m.Agree, m.Differences) == r.Facts
	case RosterRefuse:
		return m.Standing == Missing && RowHash(m.Row) == r.Row
	case RosterNote:
		return m.Seen() == r.Seen
	}
	return false
}

// evidence is what is kept of a match beside its standing and person.
type evidence struct {
	Agree       []Field      `json:"agree,omitempty"`
	Differences []Difference `json:"differ,omitempty"`
	Candidates  []string     `json:"candidates,omitempty"`
	With        int          `json:"with,omitempty"`
	Checked     []Evidence   `json:"checked,omitempty"`
}

// KeptMatch is a match as the hub keeps it; ruling is what was decided about it, a
// zero one for nothing.
func KeptMatch(key string, m Match, ruling store.RosterRuling) store.RosterMatch {
	e := evidence{Agree: m.Agree, Differences: m.Differences, Candidates: m.Candidates, With: m.With}
	out := store.RosterMatch{Key: key, Standing: string(m.Standing), Seen: m.Seen(), Open: m.Standing.Asks() && !Settled(m, ruling)}
	if m.Row != nil {
		out.Line = m.Row.Row
	}
	if m.Person != nil {
		out.Person, e.Checked = m.Person.Ref, m.Person.Seen
	}
	out.Evidence, _ = json.Marshal(e) // texts and numbers
	return out
}

// ReadMatch is a match that the hub kept, without its row and with no more of its person
// than the name by which the hub knows them, and when they were checked.
func ReadMatch(k store.RosterMatch) (Match, error) {
	var e evidence
	m := Match{Standing: Standing(k.Standing)}
	if err := json.Unmarshal(k.Evidence, &e); err != nil {
		return m, err
	}
	m.Agree, m.Differences, m.Candidates, m.With = e.Agree, e.Differences, e.Candidates, e.With
	if k.Person != "" {
		m.Person = &Known{Ref: k.Person, Seen: e.Checked}
	}
	return m, nil
}
