package server

import (
	"context"

	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/form"
	"otor/internal/sheet"
)

// rosterTable shows official lists to the console's pages.
type rosterTable struct{ o *Office }

// Lists implements console.Rosters.
func (t rosterTable) Lists(ctx context.Context, lang string) ([]console.RosterList, error) {
	all, err := t.o.Rosters(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]console.RosterList, 0, len(all))
	for _, s := range all {
		l := console.RosterList{
			Kind: s.Kind, Title: form.Labels(s.Title).In(lang), Import: s.Import, By: s.By, File: s.File, Rows: s.Rows, Stale: s.Stale,
			Lines: map[string]int{}, Open: map[string]int{},
		}
		if s.At != nil {
			l.At = *s.At
		}
		if s.MatchedAt != nil {
			l.MatchedAt = *s.MatchedAt
		}
		for st, n := range s.Lines {
			l.Lines[string(st)] = int(n)
		}
		for st, n := range s.Open {
			l.Open[string(st)] = int(n)
		}
		out = append(out, l)
	}
	return out, nil
}

// Lines implements console.Rosters.
func (t rosterTable) Lines(ctx context.Context, q console.RosterQuery, most int, _ string) (out []console.RosterLine, more bool, err error) {
	for l, err := range t.o.RosterLines(ctx, store.RosterQuery{Kind: q.Kind, Standing: q.Standing, Open: q.Open, AfterLine: q.AfterLine, AfterKey: q.AfterKey, Limit: most + 1}) {
		if err != nil {
			return nil, false, asPageRefusal(err)
		}
		if len(out) == most {
			return out, true, nil
		}
		line := lineOnPage(l)
		if k, err := t.o.rosterKind(q.Kind); err == nil {
			line.PersonType = k.Type
		}
		out = append(out, line)
	}
	return out, false, nil
}

func lineOnPage(l RosterLine) console.RosterLine {
	person := func(p *RosterPerson) *console.RosterPerson {
		if p == nil {
			return nil
		}
		return &console.RosterPerson{Ref: p.Ref, Name: p.Name, Number: p.Number, Birth: p.Birth, Phone: p.Phone, Place: p.Place}
	}
	out := console.RosterLine{
		Key: l.Key, Row: l.Row, Listed: person(l.Listed), Person: person(l.Person), Standing: string(l.Standing), With: l.With, Open: l.Open, Seen: l.Seen, Offers: l.Offers,
		Problems: problemsOnPage(l.Problems, l.Row),
	}
	for i := range l.Candidates {
		out.Candidates = append(out.Candidates, *person(&l.Candidates[i]))
	}
	for _, f := range l.Agree {
		out.Agree = append(out.Agree, string(f))
	}
	for _, d := range l.Differ {
		out.Differ = append(out.Differ, console.RosterDifference{Field: string(d.Field), Listed: d.Listed, Known: d.Known})
	}
	for _, c := range l.Checked {
		out.Checked = append(out.Checked, console.RosterCheck{Day: c.What, Dot: c.Dot})
	}
	if d := l.Decided; d != nil {
		out.Choice, out.By, out.Reason, out.At, out.Undo = d.Choice, d.By, d.Reason, d.At, d.Undo
	}
	return out
}

func problemsOnPage(list []reconcile.Problem, row int) (out []console.RosterProblem) {
	for _, p := range list {
		x := console.RosterProblem{Row: row, Code: p.Code, Value: p.Value, Words: p.Words}
		if p.Column >= 0 {
			x.Column = sheet.ColumnName(p.Column)
		}
		out = append(out, x)
	}
	return out
}

// Rule implements console.Rosters.
func (t rosterTable) Rule(ctx context.Context, kind string, c console.RosterChoice) error {
	_, err := t.o.RuleRoster(ctx, kind, RosterChoice{Key: c.Key, Choice: c.Choice, Person: c.Person, Seen: c.Seen, Reason: c.Reason})
	return asPageRefusal(err)
}

func columnsOf(c console.RosterColumns) *RosterColumns {
	out := &RosterColumns{HeaderRow: c.HeaderRow, Fields: reconcile.Mapping{}}
	for f, i := range c.Fields {
		out.Fields[reconcile.Field(f)] = i
	}
	return out
}

// Draft implements console.RosterDrafts.
func (d *drafts) Draft(_ context.Context, id, lang string) (console.RosterDraft, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, ok := d.all[id]
	if !ok {
		return console.RosterDraft{}, draftOver(id)
	}
	p := x.preview
	out := console.RosterDraft{
		Kind: x.kind, File: x.file, Stage: x.stage, Count: x.count, Imported: x.imported, Trouble: x.trouble, Sheets: p.Sheets, Encoding: p.Encoding,
		Columns: console.RosterColumns{Sheet: p.Sheet, HeaderRow: p.HeaderRow, Fields: map[string]int{}}, Sample: p.Sample,
		Rows: p.Rows, Added: p.Added, Changed: p.Changed, Gone: p.Gone, Same: p.Same, ProblemCount: p.ProblemCount, Standings: map[string]int{},
	}
	if k, err := d.o.rosterKind(x.kind); err == nil {
		out.Title = k.Label.In(lang)
	}
	if out.Trouble == nil {
		out.Trouble = p.Trouble
	}
	widest := len(p.Header)
	for _, row := range p.Sample {
		widest = max(widest, len(row))
	}
	for i := range widest {
		c := console.RosterColumn{Index: i, Name: sheet.ColumnName(i)}
		if i < len(p.Header) {
			c.Title = clipText(sheet.Clean(p.Header[i]), 40)
		}
		out.Header = append(out.Header, c)
	}
	for f, i := range p.Fields {
		out.Columns.Fields[string(f)] = i
	}
	for _, pr := range p.Problems {
		out.Problems = append(out.Problems, console.RosterProblem{Row: pr.Row, Column: pr.Column, Code: pr.Code, Value: pr.Value, Words: pr.Words})
	}
	for st, n := range p.Standings {
		out.Standings[string(st)] = n
	}
	return out, nil
}
