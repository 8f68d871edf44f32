package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/lane"
)

// Subject is what a statement is about.
type Subject string

// The subjects.
const (
	OfDevice Subject = "device" // one device
	OfTeam   Subject = "team"   // the devices of a team
	OfForm   Subject = "form"   // one service item: the entries of a form
	OfAll    Subject = "all"    // the whole hub
)

// Terms say what a statement is to account for.
type Terms struct {
	Subject Subject `json:"subject"`
	// Name is the device, the team or the form; empty for all.
	Name string `json:"name,omitempty"`
	// Devices are those of the subject; empty: every device. For a team its devices.
	Devices []dot.Device `json:"devices,omitempty"`
	// From and Until bound the corrected time of what is counted: From is in,
	// Until is not.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Statement is an account of a subject over a period. captured = received +
// waiting, and received = applied + set aside + held, for each chain and in sum;
// it is true when the hub has nothing else, and [Statement.Complete] when
// nothing is missing.
type Statement struct {
	Version int    `json:"version"` // 1
	Hub     string `json:"hub"`     // the hub's public key
	Epoch   string `json:"epoch"`
	Terms   Terms  `json:"terms"`
	// MadeAt and MadeBy say when and by whom.
	MadeAt time.Time `json:"made_at"`
	MadeBy string    `json:"made_by"`

	Chains    []ChainAccount    `json:"chains"`
	Counts    Counts            `json:"counts"` // of the period
	ByForm    map[string]Counts `json:"by_form"`
	SetAside  []Aside           `json:"set_aside"` // of the period, at most MaxListed
	Decisions []Decision        `json:"decisions"` // of the period, about what the statement is about, at most MaxListed
	Findings  []string          `json:"findings"`  // open ones of the devices, in words
	// CutOff says that a list was longer than MaxListed; the counts are whole.
	CutOff bool `json:"cut_off,omitempty"`
}

// MaxListed bounds the lists of a statement.
const MaxListed = 2000

// ChainAccount accounts for one chain over its whole life: a period has no head.
type ChainAccount struct {
	Chain    string       `json:"chain"`
	Declared dot.Seq      `json:"captured"` // as the device declared it
	Received uint64       `json:"received"`
	Waiting  uint64       `json:"waiting"`
	Missing  []lane.Range `json:"missing"` // below what was received
	Held     int64        `json:"held"`
	Archived dot.Seq      `json:"archived"`
	Head     entry.Hash   `json:"head"`
	// Heads says whether the device's head and the hub's are the same: equal,
	// different, or open while the hub has not received as far as declared.
	Heads string `json:"heads"`
}

// Counts counts entries.
type Counts struct {
	Received int64                   `json:"received"`
	Applied  int64                   `json:"applied"` // whatever has an effect
	SetAside int64                   `json:"set_aside"`
	Held     int64                   `json:"held"`
	Verdicts map[store.Verdict]int64 `json:"verdicts"`
}

func (c *Counts) add(v store.Verdict) {
	if c.Verdicts == nil {
		c.Verdicts = map[store.Verdict]int64{}
	}
	c.Verdicts[v]++
	c.Received++
	switch v {
	case store.Held:
		c.Held++
	case store.Quarantined, store.Refused:
		c.SetAside++
	default:
		c.Applied++
	}
}

// Aside is an entry that was set aside, and why. A statement is passed on, so what
// people wrote stands in it without numbers of persons.
type Aside struct {
	Dot   string `json:"dot"`
	Form  string `json:"form"`
	Code  string `json:"code"`
	Words string `json:"words"`
}

// Decision is what an operator decided.
type Decision struct {
	Number  uint64    `json:"number"` // in the ledger
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
}

// Books are what a statement is drawn from.
type Books struct {
	Lanes     []store.Lane
	Held      map[dot.Chain]int64
	Entries   iter.Seq2[store.ListedEntry, error]
	Decisions iter.Seq2[Decision, error] // may be nil
	Findings  []store.Finding
}

// ErrTerms marks terms that no statement can be drawn for.
var ErrTerms = errors.New("no statement can be drawn")

func (t Terms) check() error {
	switch {
	case !slices.Contains([]Subject{OfDevice, OfTeam, OfForm, OfAll}, t.Subject):
		return fmt.Errorf("%w: there is no subject %q; choose device, team, form or all", ErrTerms, t.Subject)
	case t.Name == "" && t.Subject != OfAll:
		return fmt.Errorf("%w: say which %s", ErrTerms, t.Subject)
	case !t.From.Before(t.Until):
		return fmt.Errorf("%w: the period ends before it begins", ErrTerms)
	case t.Subject == OfTeam && len(t.Devices) == 0:
		return fmt.Errorf("%w: team %s has no devices", ErrTerms, t.Name)
	}
	return nil
}

// Of reports whether the statement is about a device; one on a form or on all is about each.
func (t Terms) Of(d dot.Device) bool {
	switch t.Subject {
	case OfDevice:
		return d == dot.Device(t.Name)
	case OfTeam:
		return slices.Contains(t.Devices, d)
	default:
		return true
	}
}

// Within reports whether a moment lies in the period, Unix milliseconds.
func (t Terms) Within(ms int64) bool { return ms >= t.From.UnixMilli() && ms < t.Until.UnixMilli() }

// Draw draws a statement from the books. Errors: [ErrTerms], or those of the books.
func Draw(t Terms, b Books) (Statement, error) {
	if err := t.check(); err != nil {
		return Statement{}, err
	}
	s := Statement{
		Version: 1, Terms: t, Chains: []ChainAccount{}, ByForm: map[string]Counts{}, SetAside: []Aside{},
		Decisions: []Decision{}, Findings: []string{},
	}
	s.Counts.Verdicts = map[store.Verdict]int64{}
	for _, l := range b.Lanes {
		if t.Of(l.Chain.Device) {
			s.Chains = append(s.Chains, account(l, b.Held[l.Chain]))
		}
	}
	slices.SortFunc(s.Chains, func(a, b ChainAccount) int { return cmp.Compare(a.Chain, b.Chain) })
	for e, err := range b.Entries {
		if err != nil {
			return Statement{}, err
		}
		s.count(e)
	}
	if b.Decisions != nil {
		for d, err := range b.Decisions {
			if err != nil {
				return Statement{}, err
			}
			if t.Within(d.At.UnixMilli()) {
				s.Decisions = cut(s.Decisions, d, &s.CutOff)
			}
		}
	}
	for _, f := range b.Findings {
		if t.Of(f.Device) && f.ClosedAt == 0 {
			s.Findings = append(s.Findings, string(f.Device)+": "+find.Hide(f.Words))
		}
	}
	return s, nil
}

func (s *Statement) count(e store.ListedEntry) {
	t := s.Terms
	if !t.Of(e.Dot.Device) || t.Subject == OfForm && e.Form != t.Name || !t.Within(e.CorrectedTime) {
		return
	}
	v := e.Judgement.Verdict
	s.Counts.add(v)
	form := s.ByForm[e.Form]
	form.add(v)
	s.ByForm[e.Form] = form
	if v == store.Quarantined || v == store.Refused {
		s.SetAside = cut(s.SetAside, Aside{Dot: e.Dot.String(), Form: e.Form, Code: e.Judgement.Code, Words: find.Hide(e.Judgement.Words)}, &s.CutOff)
	}
}

func cut[T any](list []T, one T, off *bool) []T {
	if len(list) >= MaxListed {
		*off = true
		return list
	}
	return append(list, one)
}

func account(l store.Lane, held int64) ChainAccount {
	a := ChainAccount{
		Chain: l.Chain.String(), Declared: l.Declared, Held: held, Archived: l.Archived, Head: l.Head,
		Missing: l.Received.Gaps(), Heads: "open",
	}
	if a.Missing == nil {
		a.Missing = []lane.Range{}
	}
	for _, r := range l.Received {
		a.Received += r.Len()
	}
	a.Waiting = uint64(l.Declared) - min(uint64(l.Declared), a.Received)
	switch {
	case l.Received.Through() != l.Declared || l.DeclaredHead == (entry.Hash{}):
	case l.DeclaredHead == l.Head:
		a.Heads = "equal"
	default:
		a.Heads = "different"
	}
	return a
}

// Adds reports whether the counts add up; they do, or the hub has a defect.
func (s Statement) Adds() bool {
	var sum Counts
	for _, c := range s.ByForm {
		sum.Received, sum.Applied, sum.SetAside, sum.Held = sum.Received+c.Received, sum.Applied+c.Applied, sum.SetAside+c.SetAside, sum.Held+c.Held
	}
	c := s.Counts
	var verdicts int64
	for v := range maps.Values(c.Verdicts) {
		verdicts += v
	}
	return c.Received == c.Applied+c.SetAside+c.Held && verdicts == c.Received &&
		sum.Received == c.Received && sum.Applied == c.Applied && sum.SetAside == c.SetAside && sum.Held == c.Held
}
