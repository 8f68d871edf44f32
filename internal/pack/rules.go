package pack

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"otor/internal/form"
	"otor/internal/rules"
)

const rulesFile = "rules.toml"

// Value is a local policy number or word, with where it comes from.
type Value struct {
	Name   string
	Number float64
	Text   string // when it is a word
	Unit   string
	// Source says where the value comes from; "assumed" when nobody said it.
	Source string
}

// RuleWords are what people are told when a rule noticed something.
type RuleWords map[string]form.Labels // by rule id

// Escalation says who must know of an incident, and how soon.
type Escalation struct {
	ID    string
	Label form.Labels
	Forms []string
	// Steps are the levels in order, each within so long of the one before.
	Steps []EscalationStep
}

// EscalationStep is one level of an escalation.
type EscalationStep struct {
	Level  string
	Within time.Duration
}

// rulesTable is rules.toml as it is written.
type rulesTable struct {
	Values map[string]struct {
		Value  any    `toml:"value"`
		Unit   string `toml:"unit"`
		Source string `toml:"source"`
	} `toml:"values"`
	Derive []struct {
		Entity string `toml:"entity"`
		Field  string `toml:"field"`
		Unit   string `toml:"unit"`
		Value  string `toml:"value"`
	} `toml:"derive"`
	Key []struct {
		ID       string            `toml:"id"`
		Kind     string            `toml:"kind"`
		Window   string            `toml:"window"`
		Suspends string            `toml:"suspends"`
		Words    map[string]string `toml:"words"`
		Of       []struct {
			Form   string `toml:"form"`
			Each   string `toml:"each"`
			When   string `toml:"when"`
			Key    string `toml:"key"`
			Entity string `toml:"entity"`
		} `toml:"of"`
	} `toml:"key"`
	Flag       []remarkTable `toml:"flag"`
	Review     []remarkTable `toml:"review"`
	Due        []dueTable    `toml:"due"`
	Done       []doneTable   `toml:"done"`
	Roster     []rosterTable `toml:"roster"`
	Escalation []struct {
		ID    string            `toml:"id"`
		Label map[string]string `toml:"label"`
		Forms []string          `toml:"forms"`
		Steps []struct {
			Level  string `toml:"level"`
			Within string `toml:"within"`
		} `toml:"steps"`
	} `toml:"escalation"`
}

type remarkTable struct {
	ID    string            `toml:"id"`
	Forms []string          `toml:"forms"`
	When  string            `toml:"when"`
	Words map[string]string `toml:"words"`
}

// ruling is the reading of rules.toml.
type ruling struct {
	*loader
	lines map[string]int
	table rulesTable
	forms map[string]*form.Form
	seen  map[string]bool // rule ids
	src   rules.Source
	ofs   []int // for each key rule, how many [[key.of]] stand before its own
}

// rules reads rules.toml, if there is one.
func (l *loader) rules(forms []*form.Form) {
	src, err := readBounded(l.dir, rulesFile)
	if errors.Is(err, fs.ErrNotExist) {
		l.pack.Rules, _ = rules.Compile(rules.Source{Fields: l.fieldNames()})
		return
	}
	if err != nil {
		l.fault(rulesFile, 0, "%v", err)
		return
	}
	r := &ruling{loader: l, lines: tomlLines(src), forms: map[string]*form.Form{}, seen: map[string]bool{}}
	if !l.toml(rulesFile, src, &r.table) {
		return
	}
	for _, f := range forms {
		r.forms[f.ID] = f
	}
	l.pack.RuleWords = RuleWords{}
	r.src.Fields = l.fieldNames()
	r.values()
	r.derives()
	r.keys()
	r.remarks("flag", r.table.Flag, false)
	r.remarks("review", r.table.Review, true)
	r.escalations()
	r.dues()
	r.dones()
	r.rosters()
	if l.types == nil {
		return // every expression would be reported for it
	}
	set, faults := rules.Compile(r.src)
	for _, f := range faults {
		r.fault(rulesFile, r.lineOf(f), "%s", r.wordsOf(f))
	}
	l.pack.Rules = set
}

func (l *loader) fieldNames() map[string][]string {
	out := map[string][]string{}
	for i := range l.pack.Entities {
		e := &l.pack.Entities[i]
		names := make([]string, len(e.Fields))
		for j, f := range e.Fields {
			names[j] = f.Name
		}
		out[e.Type] = names
	}
	return out
}

// lineOf finds where a rule that was not compiled stands.
func (r *ruling) lineOf(f rules.Fault) int {
	table := indexed(f.Kind, f.Index)
	switch f.Kind {
	case "key":
		if f.Field == "when" || f.Field == "key" || f.Field == "entity" {
			of := indexed("key.of", r.ofs[f.Index]+f.Of)
			return cmpLine(r.lines, of+"."+f.Field, r.lines[of])
		}
	case "remark":
		table = indexed("flag", f.Index)
		if n := len(r.table.Flag); f.Index >= n {
			table = indexed("review", f.Index-n)
		}
	}
	return cmpLine(r.lines, table+"."+f.Field, r.lines[table])
}

// wordsOf says which rule a fault is about.
func (r *ruling) wordsOf(f rules.Fault) string {
	which := ""
	switch f.Kind {
	case "derive":
		which = r.src.Derives[f.Index].Entity + "." + r.src.Derives[f.Index].Field
	case "key":
		which = "rule " + r.src.Keys[f.Index].ID
	case "remark":
		which = "rule " + r.src.Remarks[f.Index].ID
	}
	return which + ", " + f.Field + ": " + f.Words
}

func (r *ruling) values() {
	r.src.Values, r.src.Texts = map[string]float64{}, map[string]string{}
	for _, name := range sortedKeys(r.table.Values) {
		t := r.table.Values[name]
		line := r.lines["values."+name]
		v := Value{Name: name, Unit: t.Unit, Source: t.Source}
		switch x := t.Value.(type) {
		case int64:
			v.Number = float64(x)
			r.src.Values[name] = v.Number
		case float64:
			v.Number = x
			r.src.Values[name] = v.Number
		case string:
			v.Text = x
			r.src.Texts[name] = x
		default:
			r.fault(rulesFile, cmpLine(r.lines, "values."+name+".value", line), "value %s: write a number or a text under value", clip(name))
		}
		if !idPattern.MatchString(name) {
			r.fault(rulesFile, line, "value %q: %s", clip(name), idRule)
		}
		if strings.TrimSpace(t.Source) == "" {
			r.fault(rulesFile, line, `value %s has no source: write where it comes from, or source = "assumed"`, clip(name))
		}
		r.pack.Values = append(r.pack.Values, v)
	}
}

func (r *ruling) derives() {
	for i, d := range r.table.Derive {
		line := r.lines[indexed("derive", i)]
		if !idPattern.MatchString(d.Field) {
			r.fault(rulesFile, cmpLine(r.lines, indexed("derive", i)+".field", line), "derived field %q: %s", clip(d.Field), idRule)
		}
		r.src.Derives = append(r.src.Derives, rules.Derive{Entity: d.Entity, Field: d.Field, Value: d.Value})
		r.pack.Derived = append(r.pack.Derived, Derived{Entity: d.Entity, Field: d.Field, Unit: d.Unit})
	}
}

func (r *ruling) keys() {
	before := 0
	for i, k := range r.table.Key {
		table := indexed("key", i)
		line := r.lines[table]
		r.id(line, k.ID, k.Words)
		out := rules.KeyRule{ID: k.ID, Kind: rules.KeyKind(k.Kind), Suspends: k.Suspends}
		if k.Window != "" {
			out.Window = r.duration(cmpLine(r.lines, table+".window", line), k.ID, k.Window)
		}
		if len(k.Of) == 0 {
			r.fault(rulesFile, line, "rule %s looks at no record: write [[key.of]] with form and key", clip(k.ID))
		}
		r.ofs = append(r.ofs, before)
		for j, of := range k.Of {
			at := r.lines[indexed("key.of", before+j)]
			f := r.form(at, k.ID, of.Form)
			if f != nil && of.Each != "" {
				if x, ok := f.Field(of.Each); !ok || x.Kind != form.Repeat {
					r.fault(rulesFile, at, "rule %s: form %s has no repeat %q", k.ID, f.ID, clip(of.Each))
				}
			}
			out.Of = append(out.Of, rules.KeyOf{Form: of.Form, Each: of.Each, When: of.When, Key: of.Key, Entity: of.Entity})
		}
		before += len(k.Of)
		r.src.Keys = append(r.src.Keys, out)
	}
}

func (r *ruling) remarks(kind string, tables []remarkTable, review bool) {
	for i, t := range tables {
		line := r.lines[indexed(kind, i)]
		r.id(line, t.ID, t.Words)
		if len(t.Forms) == 0 {
			r.fault(rulesFile, line, "rule %s looks at no record: write forms", clip(t.ID))
		}
		if slices.Equal(t.Forms, []string{"*"}) { // every form
			t.Forms = sortedKeys(r.forms)
		}
		for _, f := range t.Forms {
			r.form(cmpLine(r.lines, indexed(kind, i)+".forms", line), t.ID, f)
		}
		r.src.Remarks = append(r.src.Remarks, rules.RemarkRule{ID: t.ID, Review: review, Forms: t.Forms, When: t.When})
	}
}

func (r *ruling) escalations() {
	for i, e := range r.table.Escalation {
		table := indexed("escalation", i)
		line := r.lines[table]
		r.id(line, e.ID, e.Label)
		out := Escalation{ID: e.ID, Label: e.Label, Forms: e.Forms}
		for _, f := range e.Forms {
			r.form(line, e.ID, f)
		}
		for _, s := range e.Steps {
			out.Steps = append(out.Steps, EscalationStep{Level: s.Level, Within: r.duration(cmpLine(r.lines, table+".steps", line), e.ID, s.Within)})
		}
		if len(out.Steps) == 0 {
			r.fault(rulesFile, line, "escalation %s has no steps: write steps with level and within", clip(e.ID))
		}
		r.pack.Escalations = append(r.pack.Escalations, out)
	}
}

// id checks a rule's id and words, and keeps the words.
func (r *ruling) id(line int, id string, words map[string]string) {
	switch {
	case !idPattern.MatchString(id):
		r.fault(rulesFile, line, "rule id %q: %s", clip(id), idRule)
	case r.seen[id]:
		r.fault(rulesFile, line, "rule %s stands twice: keep one", id)
	}
	r.seen[id] = true
	r.pack.RuleWords[id] = r.label(rulesFile, line, "rule "+clip(id), "rules."+id, words)
}

func (r *ruling) form(line int, rule, id string) *form.Form {
	f := r.forms[id]
	if f == nil && len(r.forms) > 0 {
		r.fault(rulesFile, line, "rule %s: there is no form %q: write one of %s", clip(rule), clip(id), strings.Join(sortedKeys(r.forms), ", "))
	}
	return f
}

var units = map[string]time.Duration{"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// duration is the time that a value stands for.
func (r *ruling) duration(line int, rule, name string) time.Duration {
	i := slices.IndexFunc(r.pack.Values, func(v Value) bool { return v.Name == name })
	if i < 0 {
		r.fault(rulesFile, line, "rule %s: there is no value %q: declare it under [values], with its source", clip(rule), clip(name))
		return 0
	}
	v := r.pack.Values[i]
	unit, ok := units[v.Unit]
	const most = 100 * 366 * 24 // hours
	span := v.Number * unit.Hours()
	if !ok || span <= 0 || span > most {
		r.fault(rulesFile, line, "rule %s: value %s is no time: write a number above 0 and unit = \"d\", \"h\" or \"min\"", clip(rule), name)
		return 0
	}
	return time.Duration(v.Number * float64(unit))
}

// Derived is a field that is worked out of others, see package rules.
type Derived struct{ Entity, Field, Unit string }
