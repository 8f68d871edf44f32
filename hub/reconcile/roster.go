package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"otor/internal/form"
)

// Field is a fact that an official list and the hub's persons have in common.
type Field string

// The fields that are compared. Place and others are shown and not compared.
const (
	FieldName  Field = "name"
	FieldID    Field = "resident_id"
	FieldBirth Field = "birth"
	FieldPhone Field = "phone"
	FieldPlace Field = "place"
)

// Fields lists those that a list may have a column for.
var Fields = []Field{FieldName, FieldID, FieldBirth, FieldPhone, FieldPlace}

// Listed is one row of an official list, cleaned.
type Listed struct {
	Row   int // as the office program counts it
	Name  string
	ID    string // 18 characters with a capital X, as far as it could be read
	Birth form.Date
	Phone string
	Place string
	// Problems are what is wrong with the row itself.
	Problems []Problem
}

// Problem is what is wrong with a cell. Its words never repeat a personal number.
type Problem struct {
	Column int    `json:"column"` // from 0; -1: the row as a whole
	Code   string `json:"code"`   // no_name, birth, number_lost, or that of [form.CheckResidentID]
	Value  string `json:"value,omitempty"`
	Words  string `json:"words"`
}

func (p Problem) String() string { return p.Words }

// Ruled is what an operator decided about a row: that it is a person, or whom it is not.
type Ruled struct {
	Same string
	Not  []string
}

// Known is a person whom the hub knows.
type Known struct {
	Ref   string // the entity's id
	Name  string
	ID    string
	Birth form.Date
	Phone string
	Place string
	// Seen are the checks of the person within the list's period, by time.
	Seen []Evidence
}

// Evidence is an entry that shows a person.
type Evidence struct {
	Dot  string
	At   int64 // corrected time, Unix milliseconds
	What string
	By   string
}

// Standing is what became of a row, or of a person.
type Standing string

// The standings. One row, one standing; the first that fits.
const (
	// Unreadable: the row has neither a name nor a number.
	Unreadable Standing = "unreadable"
	// Repeated: another row of the list is the same person.
	Repeated Standing = "repeated"
	// Missing: nobody whom the hub knows agrees in two fields.
	Missing Standing = "missing"
	// Unsure: several persons agree equally well, or one in a single field.
	Unsure Standing = "unsure"
	// Differs: one person agrees in two fields, and another field contradicts.
	Differs Standing = "differs"
	// Unseen: the person is known and was not checked within the period.
	Unseen Standing = "unseen"
	// Confirmed: the person is known and was checked within the period.
	Confirmed Standing = "confirmed"
	// NotListed: the hub knows the person, the list does not.
	NotListed Standing = "not_listed"
)

// Difference is a field in which a row and a person contradict each other.
type Difference struct {
	Field         Field
	Listed, Known string
}

// Match is a row with what the hub makes of it, or a person who is not listed.
type Match struct {
	Standing Standing
	Row      *Listed // nil: not listed
	Person   *Known  // nil: none, or several
	// Agree are the fields in which both agree; at least two for a match.
	Agree       []Field
	Differences []Difference
	// Candidates are the persons to choose from when it is unsure.
	Candidates []string
	// With is the earlier row that this one repeats.
	With int
}

// agreement compares a row with a person. A birth date that follows from a
// number that agrees is no second fact; neither is an empty field.
func agreement(l *Listed, k *Known) (agree []Field, differ []Difference) {
	compare := func(f Field, a, b string, same bool) {
		switch {
		case a == "" || b == "":
		case same:
			agree = append(agree, f)
		default:
			differ = append(differ, Difference{f, a, b})
		}
	}
	compare(FieldName, l.Name, k.Name, sameName(l.Name, k.Name))
	compare(FieldID, l.ID, k.ID, l.ID == k.ID)
	if len(agree) == 0 || agree[len(agree)-1] != FieldID {
		compare(FieldBirth, dateText(l.Birth), dateText(k.Birth), l.Birth == k.Birth)
	}
	compare(FieldPhone, l.Phone, k.Phone, l.Phone == k.Phone)
	return agree, differ
}

// sameName compares names without blanks and dots: 巴图·孟和 and 巴图 孟和 are one.
func sameName(a, b string) bool { return plainName(a) == plainName(b) }

func plainName(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ·•・.．‧-", r) {
			return -1
		}
		return r
	}, s))
}

func dateText(d form.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

// MatchRoster compares an official list with the persons whom the hub knows.
// Each row gets one match, in the order of the list; persons whom no row named
// follow, by Ref. No person is given to two rows, and none without two fields
// that agree, unless an operator said so: ruled, which may be nil, gives what was
// decided about a row by its place in rows. Pure: the same lists give the same
// answer, in whatever order the persons come.
func MatchRoster(rows []Listed, known []Known, ruled func(i int) Ruled) []Match {
	known = slices.Clone(known)
	slices.SortFunc(known, func(a, b Known) int { return cmp.Compare(a.Ref, b.Ref) })
	if ruled == nil {
		ruled = func(int) Ruled { return Ruled{} }
	}
	m := matcher{known: known, index: indexOf(known), taken: map[int]int{}, named: map[int]bool{}, first: map[string]int{}}
	out := make([]Match, len(rows))
	// The row that agrees best gets the person; among equals the earlier one.
	found := make([][]candidate, len(rows))
	order := make([]int, len(rows))
	for i := range rows {
		order[i], found[i] = i, m.candidates(&rows[i], ruled(i))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if len(found[a]) == 0 || len(found[b]) == 0 {
			return cmp.Compare(one(len(found[a]) == 0), one(len(found[b]) == 0))
		}
		return better(found[a][0], found[b][0])
	})
	for _, i := range order {
		out[i] = m.match(&rows[i], found[i])
	}
	for i := range known {
		if _, ok := m.taken[i]; !ok && !m.named[i] {
			out = append(out, Match{Standing: NotListed, Person: &known[i]})
		}
	}
	return out
}

// matcher holds the persons and who is taken already.
type matcher struct {
	known []Known
	index map[string][]int // a fact, to the persons that have it
	taken map[int]int      // a person, to the row
	named map[int]bool     // persons that an unsure row may mean
	first map[string]int   // a number, to the row that has it
}

func indexOf(known []Known) map[string][]int {
	index := map[string][]int{}
	for i := range known {
		for _, k := range keys(known[i].Name, known[i].ID, dateText(known[i].Birth), known[i].Phone) {
			index[k] = append(index[k], i)
		}
	}
	return index
}

// keys are the facts by which candidates are found.
func keys(name, id, birth, phone string) []string {
	var out []string
	if n := plainName(name); n != "" {
		out = append(out, "n"+n)
	}
	if id != "" {
		out = append(out, "i"+id)
	}
	if birth != "" {
		out = append(out, "b"+birth)
	}
	if phone != "" {
		out = append(out, "p"+phone)
	}
	return out
}

// candidate is a person and how well the row agrees with them.
type candidate struct {
	person int
	agree  []Field
	differ []Difference
	ruled  bool // an operator said that it is them
}

// better orders candidates: the one that was decided on, more agreeing fields, the
// number among them, fewer contradictions.
func better(a, b candidate) int {
	return cmp.Or(
		-cmp.Compare(one(a.ruled), one(b.ruled)),
		-cmp.Compare(len(a.agree), len(b.agree)),
		-cmp.Compare(one(slices.Contains(a.agree, FieldID)), one(slices.Contains(b.agree, FieldID))),
		cmp.Compare(len(a.differ), len(b.differ)),
	)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *matcher) match(l *Listed, best []candidate) Match {
	if l.Name == "" && l.ID == "" {
		return Match{Standing: Unreadable, Row: l}
	}
	if l.ID != "" { // the same number twice is one person, whatever the name says
		if row, ok := m.first[l.ID]; ok {
			return Match{Standing: Repeated, Row: l, With: row}
		}
		m.first[l.ID] = l.Row
	}
	if len(best) == 0 {
		return Match{Standing: Missing, Row: l}
	}
	top := best[0]
	tied := len(best) > 1 && better(best[0], best[1]) == 0
	switch {
	case top.ruled:
	case len(top.agree) < 2, tied:
		var refs []string
		for _, c := range best {
			if better(c, top) == 0 {
				refs = append(refs, m.known[c.person].Ref)
				m.named[c.person] = true
			}
		}
		return Match{Standing: Unsure, Row: l, Agree: top.agree, Differences: top.differ, Candidates: refs}
	}
	person := &m.known[top.person]
	out := Match{Row: l, Person: person, Agree: top.agree, Differences: top.differ}
	if row, ok := m.taken[top.person]; ok {
		out.Standing, out.With = Repeated, row
		return out
	}
	m.taken[top.person] = l.Row
	switch {
	case len(top.differ) > 0:
		out.Standing = Differs
	case len(person.Seen) > 0:
		out.Standing = Confirmed
	default:
		out.Standing = Unseen
	}
	return out
}

// candidates lists the persons who may be meant, best first: those who have the
// number, and those who agree in two other facts. A name alone, or a telephone that a
// whole family shares, is nobody.
func (m *matcher) candidates(l *Listed, r Ruled) []candidate {
	if r.Same != "" {
		if i, ok := slices.BinarySearchFunc(m.known, r.Same, func(k Known, ref string) int { return cmp.Compare(k.Ref, ref) }); ok {
			agree, differ := agreement(l, &m.known[i])
			return []candidate{{i, agree, differ, true}}
		}
	}
	// Whoever agrees in two facts is found by either: the one that most people share is
	// not gone through.
	lists := make([][]int, 0, 4)
	longest := -1
	for _, k := range keys(l.Name, l.ID, dateText(l.Birth), l.Phone) {
		lists = append(lists, m.index[k])
		if n := len(lists) - 1; k[0] != 'i' && (longest < 0 || len(lists[n]) > len(lists[longest])) {
			longest = n
		}
	}
	seen := map[int]bool{}
	var out []candidate
	for n, list := range lists {
		if n == longest {
			continue
		}
		for _, i := range list {
			if seen[i] || slices.Contains(r.Not, m.known[i].Ref) {
				continue
			}
			seen[i] = true
			if agree, differ := agreement(l, &m.known[i]); len(agree) > 1 || slices.Contains(agree, FieldID) {
				out = append(out, candidate{i, agree, differ, false})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Or(better(a, b), cmp.Compare(a.person, b.person)) })
	return out
}
