package rules

import (
	"errors"
	"fmt"
	"time"
)

// Record is one record as rules see it.
type Record struct {
	Form         string
	Type, Entity string // what it is about
	Device       string
	Actor        string
	Time         time.Time // when it happened by the hub's clock, in the office's zone
	Place        *Place    // where; nil: not known
	Answers      map[string]any
	// Asked are the names of the form's questions: those without an answer are null.
	Asked []string
	// AskedOf are the names of the questions of its repeats, by repeat.
	AskedOf map[string][]string
}

// Place is a position in degrees, WGS84.
type Place struct{ Lon, Lat float64 }

// Mark says that a record counts for a key rule under a key.
type Mark struct {
	Rule string
	Key  string
	// Entity is the id of the entity whose movement is suspended if the record is a twin.
	Entity string
}

// Remark is a flag or a review that a rule makes about a record.
type Remark struct {
	Rule   string
	Review bool
}

// Looks reports whether any rule looks at records of a form.
func (s *Set) Looks(form string) bool {
	return s != nil && (len(s.keys[form]) > 0 || len(s.remarks[form]) > 0)
}

// Watched lists the written fields of a type of which remarks about records hang: when
// one of them changes, records about which the entity was asked are to be looked at again.
func (s *Set) Watched(typ string) []string {
	if s == nil {
		return nil
	}
	return s.watched[typ]
}

// RemarksOf lists what may be remarkable about records of a form.
func (s *Set) RemarksOf(form string) (out []Remark) {
	if s == nil {
		return nil
	}
	for _, m := range s.remarks[form] {
		out = append(out, Remark{m.rule.ID, m.rule.Review})
	}
	return out
}

// Rule gives a key rule.
func (s *Set) Rule(id string) (KeyRule, bool) {
	if s == nil {
		return KeyRule{}, false
	}
	r, ok := s.rules[id]
	return r, ok
}

// Notice says what a record counts for and what is remarkable about it, in the
// order of the rules. An expression that fails is left out and joined into the
// error; the rest is told all the same.
func (s *Set) Notice(read Reader, r Record) (marks []Mark, remarks []Remark, err error) {
	if !s.Looks(r.Form) {
		return nil, nil, nil
	}
	b := s.book(read, r.Time.Format(time.DateOnly))
	b.only = s.wanted
	vars := r.vars()
	var errs []error
	for _, k := range s.keys[r.Form] {
		for _, row := range r.rows(k.of.Each) {
			vars["row"] = row
			m, err := k.mark(b, vars)
			if err != nil {
				errs = append(errs, fmt.Errorf("rule %s: %w", k.rule.ID, err))
			} else if m.Key != "" {
				marks = append(marks, m)
			}
		}
	}
	for _, m := range s.remarks[r.Form] {
		v, err := m.when.run(b, vars)
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", m.rule.ID, err))
		} else if v == true {
			remarks = append(remarks, Remark{m.rule.ID, m.rule.Review})
		}
	}
	return marks, remarks, errors.Join(errs...)
}

// mark says what a record, or a row of it, counts for; without a key for nothing.
func (k *keyOf) mark(b *book, vars map[string]any) (Mark, error) {
	m := Mark{Rule: k.rule.ID}
	if k.when != nil {
		if v, err := k.when.run(b, vars); err != nil || v != true {
			return m, err
		}
	}
	v, err := k.key.run(b, vars)
	if err != nil {
		return m, err
	}
	m.Key, _ = v.(string)
	if k.entity != nil {
		if v, err = k.entity.run(b, vars); err != nil {
			return Mark{}, err
		}
		m.Entity, _ = v.(string)
	}
	return m, nil
}

// vars are the variables of the record's expressions.
func (r *Record) vars() map[string]any {
	entry := map[string]any{
		"form": r.Form, "type": r.Type, "entity": r.Entity, "device": r.Device, "actor": r.Actor, "time": r.Time,
		"lon": nil, "lat": nil,
	}
	if r.Place != nil {
		entry["lon"], entry["lat"] = r.Place.Lon, r.Place.Lat
	}
	return map[string]any{"entry": entry, "answers": filled(r.Answers, r.Asked)}
}

// filled gives null to the questions without an answer.
func filled(answers map[string]any, asked []string) map[string]any {
	out := make(map[string]any, len(asked))
	for _, name := range asked {
		out[name] = nil
	}
	for k, v := range answers {
		out[k] = plain(v)
	}
	return out
}

// rows are the rows of a repeat, or one empty row.
func (r *Record) rows(repeat string) []map[string]any {
	if repeat == "" {
		return []map[string]any{{}}
	}
	list, _ := r.Answers[repeat].([]any)
	var out []map[string]any
	for _, x := range list {
		if m, ok := x.(map[string]any); ok {
			out = append(out, filled(m, r.AskedOf[repeat]))
		}
	}
	return out
}

// keys compiles the key rules.
func (c *compiler) keys(s *Set) {
	for i := range c.src.Keys {
		k := &c.src.Keys[i]
		c.at = Fault{Kind: "key", Index: i}
		if _, twice := s.rules[k.ID]; twice {
			c.fault("id", "rule %s stands twice: keep one", k.ID)
		}
		s.rules[k.ID] = *k
		if k.Kind != Duplicate && k.Kind != Twin {
			c.fault("kind", "unknown kind %q: write duplicate or twin", k.Kind)
		}
		if _, known := c.src.Fields[k.Suspends]; k.Suspends != "" && !known {
			c.fault("suspends", "unknown entity type %q: declare it in entities.toml", k.Suspends)
		}
		for j, of := range k.Of {
			c.at.Of = j
			out := keyOf{rule: k, of: of}
			if of.When != "" {
				out.when = c.program("when", of.When, "answers", "entry", "row")
			}
			out.key = c.program("key", of.Key, "answers", "entry", "row")
			if (of.Entity == "") != (k.Suspends == "") || k.Suspends != "" && k.Kind != Twin {
				c.fault("entity", "what is suspended needs kind = \"twin\", suspends with a type, and entity with an id: write all or none")
			}
			if of.Entity != "" {
				out.entity = c.program("entity", of.Entity, "answers", "entry", "row")
			}
			s.keys[of.Form] = append(s.keys[of.Form], out)
		}
	}
}

// remarks compiles flags and reviews.
func (c *compiler) remarks(s *Set) {
	for i := range c.src.Remarks {
		r := &c.src.Remarks[i]
		c.at = Fault{Kind: "remark", Index: i}
		p := c.program("when", r.When, "answers", "entry")
		for _, f := range r.Forms {
			s.remarks[f] = append(s.remarks[f], remark{r, p})
		}
	}
}
