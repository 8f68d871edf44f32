package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/lane"
	"otor/internal/webui"
)

// Aside implements console.Holes.
func (t table) Aside(ctx context.Context, most int, lang string) (_ []console.AsideRow, all uint64, err error) {
	var found []EntryLine
	for e, err := range t.o.Entries(ctx, store.EntryQuery{Verdict: store.Quarantined}) {
		if err != nil {
			return nil, 0, err
		}
		all++
		if found = append(found, e); len(found) > most {
			found = found[1:] // the newest are shown
		}
	}
	slices.Reverse(found)
	out := make([]console.AsideRow, 0, len(found))
	say := t.namer(ctx, lang)
	for _, e := range found {
		row := console.AsideRow{
			Dot: e.Dot.String(), Form: say.form(e.Form), Actor: say.user(e.User), Code: e.Code, Words: e.Words, ReceivedAt: e.ReceivedAt, Ruled: e.Code == ingest.CodeReturned,
		}
		if e.Entity != "" {
			row.Entity = say.about(e.EntityType + "/" + e.Entity)
		}
		f, fields, err := t.recordOf(ctx, e.Dot)
		if err != nil {
			return nil, 0, err
		}
		if f != nil {
			row.Answers = t.answersOf(f, fields, lang)
			row.Form = f.Title.In(lang)
		}
		out = append(out, row)
	}
	return out, all, nil
}

// recordOf reads what an entry of the ledger answers; nil where its form is not here, or it
// cannot be read.
func (t table) recordOf(ctx context.Context, d dot.Dot) (*form.Form, map[string]any, error) {
	es, err := t.o.store.EntriesOf(ctx, d.Chain, lane.Run(d.Seq, d.Seq), 1)
	if err != nil || len(es) == 0 || es[0].Raw.Erased() {
		return nil, nil, err
	}
	f, err := t.o.forms.Form(es[0].Form, es[0].FormVersion)
	if err != nil {
		return nil, nil, nil //nolint:nilerr // it waits for its form
	}
	priv, err := entry.DecodePrivate(es[0].Raw.Private)
	if err != nil {
		return nil, nil, nil //nolint:nilerr // it is set aside for that
	}
	return f, priv.Fields, nil
}

// answersOf are a record's answers in words, in the order of its form; those of a group
// are named "group.question". What the pack masks where it is saved is masked here.
func (t table) answersOf(f *form.Form, fields map[string]any, lang string) []console.Answer {
	mask := t.o.maskOf(f)
	return answersIn(f.Fields, "", fields, lang, mask)
}

// maskOf says how the answers to a form's questions are shown: personal numbers by
// enough to know them by, others as the pack masks where they are saved.
func (o *Office) maskOf(f *form.Form) func(*form.Field) string {
	w, _ := o.domain.(worded)
	return func(x *form.Field) string {
		if x.Rule != form.NoRule {
			return "last4"
		}
		for _, s := range f.Saves {
			if w != nil && w.Mask(s.Type, x.SaveTo) != "" {
				return w.Mask(s.Type, x.SaveTo)
			}
		}
		return ""
	}
}

func answersIn(asked []form.Field, prefix string, fields map[string]any, lang string, mask func(*form.Field) string) (out []console.Answer) {
	for i := range asked {
		x := &asked[i]
		v, answered := fields[x.Name]
		a := console.Answer{Name: prefix + x.Name, Label: x.Label.In(lang)}
		if a.Label == "" {
			a.Label = x.Name
		}
		switch x.Kind {
		case form.Group:
			if inner, ok := v.(map[string]any); ok {
				out = append(out, answersIn(x.Fields, a.Name+".", inner, lang, mask)...)
			}
			continue
		case form.Text, form.Integer, form.Decimal, form.Range, form.SelectOne, form.DateOnly, form.Time, form.DateTime, form.Barcode, form.Acknowledge:
			a.Open = true
		case form.Hidden, form.Calculate, form.Note:
			continue
		default: // lists, places and files are corrected by their author
		}
		if !answered {
			continue
		}
		switch v := v.(type) {
		case nil:
		case string:
			a.Value = masked(v, mask(x))
		case map[string]any, []any:
			if b, err := json.Marshal(v); err == nil {
				a.Value = masked(string(b), mask(x))
			}
		default:
			a.Value = masked(fmt.Sprint(v), mask(x))
		}
		out = append(out, a)
	}
	return out
}

// RuleAside implements console.Holes.
func (t table) RuleAside(ctx context.Context, c console.AsideChoice) error {
	d, err := dot.Parse(c.Dot)
	if err != nil {
		return &webui.Refusal{Code: "not_found", What: "there is no such entry", Which: c.Dot}
	}
	in := AsideRuling{Dot: d, Choice: c.Choice, Seen: c.Seen, Reason: c.Reason}
	if c.Choice == ingest.AsideAccept && len(c.Answers) > 0 {
		f, _, err := t.recordOf(ctx, d)
		if err != nil {
			return err
		}
		if f != nil {
			in.Fields = typed(f.Fields, c.Answers)
		}
	}
	_, err = t.o.RuleAside(ctx, in)
	return asPageRefusal(err)
}

// typed gives answers as they were typed the types of their questions.
func typed(asked []form.Field, answers map[string]string) map[string]any {
	out := make(map[string]any, len(answers))
	groups := make(map[string]map[string]string)
	for name, v := range answers {
		v = strings.TrimSpace(v)
		group, inner, nested := strings.Cut(name, ".")
		i := slices.IndexFunc(asked, func(x form.Field) bool { return x.Name == group })
		switch {
		case i < 0:
			out[name] = v // refused with its name
		case nested:
			if groups[group] == nil {
				groups[group] = make(map[string]string)
			}
			groups[group][inner] = v
		default:
			out[name] = typedAs(&asked[i], v)
		}
	}
	for group, some := range groups {
		i := slices.IndexFunc(asked, func(x form.Field) bool { return x.Name == group })
		out[group] = typed(asked[i].Fields, some)
	}
	return out
}

func typedAs(x *form.Field, v string) any {
	switch {
	case x.Kind == form.Integer || x.Kind == form.Decimal || x.Kind == form.Range || x.Kind == form.SelectOne && x.Stored == form.AsInteger:
		if json.Valid([]byte(v)) {
			return json.Number(v)
		}
		return v
	case x.Kind == form.Acknowledge || x.Kind == form.SelectOne && x.Stored == form.AsBoolean:
		return v == "true"
	}
	return v
}
