package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
)

// books shows the ledger to the console's pages.
type books struct{ o *Office }

// Facts implements console.Ledger.
func (b books) Facts(ctx context.Context, in console.LedgerQuery) (out console.FactPage, err error) {
	lines, next, err := b.o.factPage(ctx, store.FactQuery{Kind: in.Kind, Subject: in.Subject, By: in.By, Before: in.Before}, in.Most)
	if err != nil {
		return out, err
	}
	out.Next = next
	t := factTeller{o: b.o, sight: b.o.sight(ctx)}
	t.say = t.sight.naming(in.Lang)
	if err := t.ahead(ctx, lines); err != nil {
		return out, err
	}
	for i := range lines {
		row, err := t.row(ctx, &lines[i])
		if err != nil {
			return out, err
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// factPage lists the newest facts, at most so many; next is what the page behind them is
// before, 0 at the end.
func (o *Office) factPage(ctx context.Context, q store.FactQuery, most int) (lines []FactLine, next uint64, err error) {
	q.Newest, q.Limit = true, most+1
	for f, err := range o.Facts(ctx, q, false) {
		if err != nil {
			return nil, 0, err
		}
		if len(lines) == most {
			return lines, lines[most-1].Number, nil
		}
		lines = append(lines, f)
	}
	return lines, 0, nil
}

// ownFacts is a page of the facts of a kind: all to whoever sees all, to others their own.
func (o *Office) ownFacts(ctx context.Context, kind string, before uint64, most int) ([]FactLine, uint64, error) {
	q := store.FactQuery{Kind: kind, Before: before}
	if !o.sight(ctx).all {
		q.By = actor(ctx)
	}
	return o.factPage(ctx, q, most)
}

// Doers implements console.Ledger: operators, where whoever looks may know them, and
// the hub.
func (b books) Doers(ctx context.Context) ([]string, error) {
	out := []string{byHub}
	if asker(ctx).Role.May(access.Operators) {
		people, err := b.o.Operators(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			out = append(out, p.Name)
		}
	}
	devices, err := b.o.devicesSeen(ctx)
	for _, d := range devices {
		out = append(out, string(d.ID))
	}
	return out, err
}

// factTeller tells what facts say, out of their bodies as whoever asks sees them: what
// is left out there is not told. It is used by one goroutine, for one page.
type factTeller struct {
	o     *Office
	sight *sight
	say   *naming
}

// factOn is what tells which record or entity a fact is about.
type factOn struct {
	Dot    dot.Dot `json:"dot"`
	Type   string  `json:"type"`
	Entity string  `json:"entity"`
}

// on says which record or entity a fact is about; neither for others.
func (t *factTeller) on(f *FactLine) (d dot.Dot, ref entry.Ref) {
	var on factOn
	switch f.Kind {
	case kindDecision:
		if json.Unmarshal(f.Body, &on) == nil {
			ref = entry.Ref{Type: on.Type, ID: on.Entity}
		}
	case kindAside:
		if json.Unmarshal(f.Body, &on) == nil {
			d = on.Dot
		}
	case kindAuthored, kindRevealed:
		var err error
		if d, err = dot.Parse(f.Subject); err != nil {
			typ, id, _ := strings.Cut(f.Subject, "/")
			d, ref = dot.Dot{}, entry.Ref{Type: typ, ID: id}
		}
	}
	return d, ref
}

// ahead reads at once what naming the things of a page takes.
func (t *factTeller) ahead(ctx context.Context, lines []FactLine) error {
	var dots []dot.Dot
	var refs []entry.Ref
	for i := range lines {
		d, ref := t.on(&lines[i])
		if !d.IsZero() {
			dots = append(dots, d)
		}
		if ref.ID != "" {
			refs = append(refs, ref)
		}
	}
	if err := t.sight.read.entriesAhead(ctx, dots); err != nil {
		return err
	}
	return t.sight.ahead(ctx, t.say, append(refs, t.sight.read.about(dots)...))
}

// row is a fact as the page shows it.
func (t *factTeller) row(ctx context.Context, f *FactLine) (console.FactRow, error) {
	row := console.FactRow{Number: f.Number, At: f.At, By: f.By, Kind: f.Kind, Subject: f.Subject, Body: string(f.Body)}
	d, ref := t.on(f)
	var asked *form.Form // of the record
	var err error
	switch {
	case !d.IsZero():
		asked, err = t.record(ctx, d, &row)
	case ref.ID != "":
		err = t.thing(ctx, ref, &row)
	}
	if err != nil {
		return row, err
	}
	err = t.parts(ctx, f, &row, asked)
	var wrong *json.SyntaxError
	var other *json.UnmarshalTypeError
	if errors.As(err, &wrong) || errors.As(err, &other) { // written by another program: its JSON stands there
		row.Parts, err = nil, nil
	}
	row.Parts = slices.DeleteFunc(row.Parts, func(p console.FactPart) bool { return p.Value == "" })
	return row, err
}

// record names a record that a fact is about, if it is seen, and gives its form.
func (t *factTeller) record(ctx context.Context, d dot.Dot, row *console.FactRow) (*form.Form, error) {
	e, err := t.sight.read.entry(ctx, d)
	if err != nil || e == nil {
		return nil, err
	}
	ref := entry.Ref{Type: e.EntityType, ID: e.Entity}
	if seen, err := t.sight.entry(ctx, d.Device, ref); err != nil || !seen {
		return nil, err
	}
	row.Form, row.Link = t.say.form(e.Form), "/records/"+d.String()
	if ref.ID != "" {
		row.About = t.say.about(ctx, ref)
	}
	f, err := t.o.forms.Form(e.Form, e.FormVersion)
	if err != nil {
		return nil, nil //nolint:nilerr // the form is not here, and its questions go by their names
	}
	return f, nil
}

// thing names an entity that a fact is about, if it is seen.
func (t *factTeller) thing(ctx context.Context, ref entry.Ref, row *console.FactRow) error {
	seen, _, err := t.sight.entity(ctx, ref)
	if err == nil && seen {
		row.About, row.Link = t.say.about(ctx, ref), "/entities/"+url.PathEscape(ref.Type)+"/"+url.PathEscape(ref.ID)
	}
	return err
}
