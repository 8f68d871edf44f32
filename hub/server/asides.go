package server

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/form"
	"otor/internal/lane"
	"otor/internal/webui"
)

// Aside implements console.Holes.
func (t table) Aside(ctx context.Context, q console.AsideQuery) (out console.AsidePage, err error) {
	found, out, err := t.asides(ctx, q)
	if err != nil || len(found) == 0 {
		return out, err
	}
	out.Rows, err = t.asideRows(ctx, found, q.Lang)
	return out, err
}

// asides are the entries of a page, with all that were set aside counted.
func (t table) asides(ctx context.Context, in console.AsideQuery) (found []EntryLine, out console.AsidePage, err error) {
	sight := t.o.sight(ctx)
	if sight.all { // counted already
		counts, err := t.o.store.VerdictCounts(ctx)
		if err != nil {
			return nil, out, err
		}
		for _, n := range counts {
			out.All.N += uint64(n[store.Quarantined]) //nolint:gosec // a count
		}
		for e, err := range t.o.store.Entries(ctx, store.EntryQuery{Verdict: store.Quarantined, Limit: 1}) {
			if err != nil {
				return nil, out, err
			}
			out.All.Oldest = t.o.at(e.ReceivedAt) // they are listed as they arrived
		}
		if in.Most == 0 {
			return nil, out, nil
		}
	}
	q := store.EntryQuery{Verdict: store.Quarantined, Newest: true}
	if sight.all {
		q.Limit, q.Before = in.Most+1, in.Before
	}
	for e, err := range t.o.Entries(ctx, q) {
		if err != nil {
			return nil, out, err
		}
		if !sight.all { // those that are seen are counted here
			out.All = out.All.With(1, e.ReceivedAt)
		}
		switch {
		case in.Most == 0 || in.Before > 0 && e.Number >= in.Before:
		case len(found) < in.Most:
			found = append(found, e)
		default:
			out.Next = found[in.Most-1].Number
		}
	}
	return found, out, nil
}

// asideRows puts entries that were set aside into words.
func (t table) asideRows(ctx context.Context, found []EntryLine, lang string) ([]console.AsideRow, error) {
	sight := t.o.sight(ctx)
	say := sight.naming(lang)
	var dots []dot.Dot
	var refs []entry.Ref
	for _, e := range found {
		dots, refs = append(dots, e.Dot), append(append(refs, say.users(e.User)...), entry.Ref{Type: e.EntityType, ID: e.Entity})
	}
	if err := errors.Join(sight.read.entriesAhead(ctx, dots), say.ahead(ctx, refs)); err != nil {
		return nil, err
	}
	out := make([]console.AsideRow, 0, len(found))
	for _, e := range found {
		row := console.AsideRow{
			Dot: e.Dot.String(), Form: say.form(e.Form), Actor: say.user(ctx, e.User), Code: e.Code, Words: e.Words, ReceivedAt: e.ReceivedAt, Ruled: e.Code == ingest.CodeReturned,
		}
		if asker(ctx).Role.May(access.Decide) {
			row.May = asideOffers(store.Judgement{Verdict: e.Verdict, Code: e.Code})
		}
		if e.Entity != "" {
			row.Entity = say.about(ctx, entry.Ref{Type: e.EntityType, ID: e.Entity})
		}
		whole, err := sight.read.entry(ctx, e.Dot)
		if err != nil {
			return nil, err
		}
		var f *form.Form
		var fields map[string]any
		if whole != nil {
			f, fields = t.o.answered(*whole)
		}
		if f != nil {
			row.Answers = say.answers(f, fields)
			row.Form = f.Title.In(lang)
		}
		out = append(out, row)
	}
	return out, nil
}

// recordOf reads what an entry of the ledger answers; nil where its form is not here, or it
// cannot be read.
func (t table) recordOf(ctx context.Context, d dot.Dot) (*form.Form, map[string]any, error) {
	es, err := t.o.store.EntriesOf(ctx, d.Chain, lane.Run(d.Seq, d.Seq), 1)
	if err != nil || len(es) == 0 {
		return nil, nil, err
	}
	f, fields := t.o.answered(es[0])
	return f, fields, nil
}

// maskOf says how the answers to a form's questions are shown.
func (o *Office) maskOf(f *form.Form) func(*form.Field) string {
	n := o.naming("")
	return func(x *form.Field) string { return find.MaskOf(f, x, n.mask) }
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
	case yesOrNo(x):
		if yes, known := saidYes(x, v); known {
			return yes
		}
	}
	return v // what the question does not take is refused by its name
}

func yesOrNo(x *form.Field) bool {
	return x.Kind == form.Acknowledge || x.Kind == form.SelectOne && x.Stored == form.AsBoolean
}

// saidYes reads yes or no by the choice's name, or by its label in any language. Whatever
// else somebody typed is neither.
func saidYes(x *form.Field, v string) (yes, known bool) {
	for _, c := range x.Choices {
		if slices.ContainsFunc(slices.Collect(maps.Values(c.Label)), func(label string) bool { return strings.EqualFold(label, v) }) {
			v = c.Name
			break
		}
	}
	switch v {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}
