package pack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"otor/internal/form"
)

// Case is an example that a pack carries: what is known, what is then recorded, and what
// must come of it. fixtures/<name>.toml has them; who checks a pack runs them.
type Case struct {
	File     string
	Line     int
	ID       string
	Today    time.Time // noon of the day on which states are looked at
	Entities []Fixture
	Records  []CaseRecord
	States   []CaseState
}

// CaseRecord is one record of a case, and what becomes of it in the end.
type CaseRecord struct {
	Line         int
	Form         *form.Form
	Entity       string // the id of what it is about
	Actor        string
	Device       string
	At, Arrives  time.Time // when it was made, and when the hub heard of it
	Place        *[2]float64
	Unaware      bool // its author had seen nothing of the case's other records
	Answers      map[string]any
	Verdict, Why string
}

// CaseState is what an entity must show once all records are in.
type CaseState struct {
	Line     int
	Type, ID string
	Fields   map[string]any
}

// caseTable is fixtures/<name>.toml.
type caseTable struct {
	Known []knownTable `toml:"known"` // before each case of the file
	Case  []struct {
		ID     string        `toml:"id"`
		Today  string        `toml:"today"`
		Entity []knownTable  `toml:"entity"` // before this case
		Record []recordTable `toml:"record"`
		State  []knownTable  `toml:"state"`
	} `toml:"case"`
}

type knownTable struct {
	Type   string         `toml:"type"`
	ID     string         `toml:"id"`
	Fields map[string]any `toml:"fields"`
}

type recordTable struct {
	Form    string         `toml:"form"`
	Entity  string         `toml:"entity"`
	Actor   string         `toml:"actor"`
	Device  string         `toml:"device"`
	At      time.Time      `toml:"at"`
	Arrives time.Time      `toml:"arrives"`
	Place   []float64      `toml:"place"`
	Unaware bool           `toml:"unaware"`
	Answers map[string]any `toml:"answers"`
	Verdict string         `toml:"verdict"`
	Why     string         `toml:"why"`
}

// maxCases bounds the examples of one pack.
const maxCases = 1000

// verdicts that a case may expect.
var verdicts = []string{"applied", "merged", "conflict", "duplicate", "review", "flagged", "quarantined"}

// cases reads the examples of one file.
func (l *loader) cases(file string, src []byte, forms map[string]*form.Form) {
	var t caseTable
	if !l.toml(file, src, &t) {
		return
	}
	r := &caseReader{loader: l, file: file, lines: tomlLines(src), forms: forms}
	var known []Fixture
	for i, e := range t.Known {
		known = append(known, r.entity(r.lines[indexed("known", i)], e))
	}
	seen := map[string]bool{}
	for i, x := range t.Case {
		line := r.lines[indexed("case", i)]
		c := Case{File: file, Line: line, ID: x.ID}
		if x.ID == "" || seen[x.ID] {
			l.fault(file, line, "case id %q: give each case of the file one of its own", clip(x.ID))
		}
		seen[x.ID] = true
		day, err := time.Parse(time.DateOnly, x.Today)
		if err != nil {
			l.fault(file, line, "case %s: today %q: write the day on which the states are looked at, as 2025-09-18", clip(x.ID), clip(x.Today))
		}
		c.Today = day.Add(12 * time.Hour)
		c.Entities = slices.Clone(known)
		for _, e := range x.Entity {
			c.Entities = append(c.Entities, r.entity(r.next("entity"), e))
		}
		for _, e := range x.Record {
			c.Records = append(c.Records, r.record(x.ID, e))
		}
		for _, e := range x.State {
			line := r.next("state")
			r.state(line, e.Type, e.Fields)
			c.States = append(c.States, CaseState{Line: line, Type: e.Type, ID: e.ID, Fields: plainFields(e.Fields)})
		}
		if len(c.Records)+len(c.States) == 0 {
			l.fault(file, line, "case %s has neither records nor states: write [[case.record]] or [[case.state]]", clip(x.ID))
		}
		if len(l.pack.Cases) == maxCases {
			l.fault(file, line, "more than %d cases: keep those that tell something", maxCases)
			return
		}
		l.pack.Cases = append(l.pack.Cases, c)
	}
}

// caseReader goes through a file's tables in the order in which they stand.
type caseReader struct {
	*loader
	file   string
	lines  map[string]int
	counts map[string]int
	forms  map[string]*form.Form
}

// next is the line of the next table of a kind.
func (r *caseReader) next(kind string) int {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	line := r.lines[indexed("case."+kind, r.counts[kind])]
	r.counts[kind]++
	return line
}

// entity checks what is known of an entity before a case.
func (r *caseReader) entity(line int, e knownTable) Fixture {
	f := Fixture{Type: e.Type, ID: e.ID, Fields: plainFields(e.Fields)}
	if words := r.pack.checkFixture(&f); words != "" {
		r.fault(r.file, line, "%s", words)
	}
	return f
}

func (r *caseReader) record(id string, t recordTable) CaseRecord {
	line := r.next("record")
	out := CaseRecord{
		Line: line, Form: r.forms[t.Form], Entity: t.Entity, Actor: t.Actor, Device: t.Device, At: t.At, Arrives: t.Arrives,
		Unaware: t.Unaware, Verdict: t.Verdict, Why: t.Why,
	}
	if out.Form == nil {
		r.fault(r.file, line, "case %s: there is no form %q: correct the name", clip(id), clip(t.Form))
		return out
	}
	if t.At.IsZero() {
		r.fault(r.file, line, "case %s: a record has no at: write when it was made, as 2025-09-18T09:00:00+08:00", clip(id))
	}
	if t.Arrives.IsZero() {
		out.Arrives = t.At
	}
	if out.Device == "" {
		out.Device = "D-1"
	}
	if out.Verdict == "" {
		out.Verdict = "applied"
	}
	if !slices.Contains(verdicts, out.Verdict) {
		r.fault(r.file, line, "case %s: verdict %q: write one of %s", clip(id), clip(t.Verdict), strings.Join(verdicts, ", "))
	}
	switch len(t.Place) {
	case 0:
	case 2:
		out.Place = &[2]float64{t.Place[0], t.Place[1]}
	default:
		r.fault(r.file, line, "case %s: place: write [longitude, latitude]", clip(id))
	}
	answers, problems := form.FromJSON(out.Form, plainFields(t.Answers))
	for _, p := range problems {
		r.fault(r.file, line, "case %s: %s", clip(id), p.Words)
	}
	out.Answers = answers
	return out
}

// state checks the names of what an entity must show.
func (r *caseReader) state(line int, typ string, fields map[string]any) {
	e, ok := r.pack.Entity(typ)
	if !ok {
		r.known(r.file, line, typ)
		return
	}
	for _, name := range sortedKeys(fields) {
		if !slices.Contains(r.fieldsOf(&e), name) {
			r.fault(r.file, line, "%s has no field %q: correct the name", typ, clip(name))
		}
	}
}

// plainFields brings a table of a case into the form in which answers come in: as JSON has them.
func plainFields(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = plainValue(v)
	}
	return out
}

func plainValue(v any) any {
	switch v := v.(type) {
	case int64:
		return json.Number(fmt.Sprint(v))
	case float64:
		b, err := json.Marshal(v)
		if err != nil { // not a number that there is in JSON
			return v
		}
		return json.Number(b)
	case map[string]any:
		return plainFields(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plainValue(v[i])
		}
		return out
	case fmt.Stringer: // dates and times that stand without quotes
		return v.String()
	default:
		return v
	}
}
