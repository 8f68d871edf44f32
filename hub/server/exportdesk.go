package server

import (
	"context"
	"encoding/json"
	"fmt"

	"otor/hub/console"
	"otor/hub/export"
)

// takings lets the console's pages take records away.
type takings struct{ o *Office }

// Taken implements console.Exports: all to whoever sees all, to others their own.
func (t takings) Taken(ctx context.Context, before uint64, most int) (out []console.ExportRow, next uint64, err error) {
	lines, next, err := t.o.ownFacts(ctx, kindExport, before, most)
	for _, f := range lines {
		var b exportFact
		if err := json.Unmarshal(f.Body, &b); err != nil {
			return nil, 0, fmt.Errorf("fact %d of an export: %w", f.Number, err)
		}
		out = append(out, console.ExportRow{
			ExportOrder: console.ExportOrder{
				StatementTerms: console.StatementTerms{Subject: b.Filter.Subject, Name: b.Filter.Name, From: b.Filter.From.In(t.o.zone), Until: b.Filter.Until.In(t.o.zone)},
				Format:         b.Format, Whole: b.Filter.Whole, Reason: b.Filter.Reason,
			},
			Number: f.Number, At: f.At, By: f.By, Rows: b.Rows,
		})
	}
	return out, next, err
}

// Take implements console.Exports.
func (t takings) Take(ctx context.Context, c console.ExportOrder) (console.ExportFile, error) {
	in := ExportOrder{
		Filter: export.Filter{Subject: c.Subject, Name: c.Name, From: c.From, Until: c.Until, Whole: c.Whole, Reason: c.Reason}, Format: c.Format, Lang: c.Lang,
	}
	out, file, err := t.o.Export(ctx, in)
	if err != nil {
		return console.ExportFile{}, asPageRefusal(err)
	}
	return console.ExportFile{ReadCloser: file, Name: ExportName(in), Type: export.Formats[out.Format], Size: out.Size}, nil
}
