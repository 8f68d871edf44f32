package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/webui"
)

// accounts shows statements to the console's pages.
type accounts struct{ o *Office }

// Made implements console.Statements: all to whoever sees all, to others their own.
func (a accounts) Made(ctx context.Context, before uint64, most int) (out []console.StatementRow, next uint64, err error) {
	lines, next, err := a.o.ownFacts(ctx, kindStatement, before, most)
	for _, f := range lines {
		var fact statementFact
		if err := json.Unmarshal(f.Body, &fact); err != nil {
			return nil, 0, fmt.Errorf("fact %d of a statement: %w", f.Number, err)
		}
		out = append(out, console.StatementRow{StatementTerms: a.shown(fact.Terms), Number: f.Number, At: f.At, By: f.By, Digest: fact.Digest})
	}
	return out, next, err
}

func (a accounts) shown(t reconcile.Terms) console.StatementTerms {
	return console.StatementTerms{Subject: string(t.Subject), Name: t.Name, From: t.From.In(a.o.zone), Until: t.Until.In(a.o.zone)}
}

// Make implements console.Statements.
func (a accounts) Make(ctx context.Context, t console.StatementTerms, format, lang string) ([]byte, error) {
	write, ok := statementWriters[format]
	if !ok {
		return nil, &webui.Refusal{Code: "bad_format", What: "a statement is not written in this way", Which: format, Do: "choose pdf, xlsx, csv or json"}
	}
	signed, err := a.o.Statement(ctx, reconcile.Terms{Subject: reconcile.Subject(t.Subject), Name: t.Name, From: t.From, Until: t.Until})
	if errors.Is(err, store.ErrNotFound) {
		return nil, &webui.Refusal{Code: "no_device", What: "the hub knows no device of this name", Which: t.Name, Do: "see the list of devices"}
	}
	if err != nil {
		return nil, asPageRefusal(err)
	}
	var st reconcile.Statement
	if err := json.Unmarshal(signed.Statement, &st); err != nil {
		return nil, fmt.Errorf("the statement just signed cannot be read: %w", err)
	}
	var out bytes.Buffer
	err = write(&out, st, signed, lang, a.title)
	return out.Bytes(), err
}

var statementWriters = map[string]func(w io.Writer, st reconcile.Statement, s reconcile.Signed, lang string, title func(lang, id string) string) error{
	"pdf":  reconcile.WritePDF,
	"xlsx": reconcile.WriteXLSX,
	"csv":  reconcile.WriteCSV,
	"json": func(w io.Writer, _ reconcile.Statement, s reconcile.Signed, _ string, _ func(lang, id string) string) error {
		return s.WriteJSON(w)
	},
}

// title is what a form is called; "" when no pack in force has it.
func (a accounts) title(lang, id string) string {
	if a.o.packs == nil {
		return ""
	}
	f, ok := a.o.packs.Latest(id)
	if !ok {
		return ""
	}
	return f.Title[lang]
}

// Verify implements console.Statements.
func (a accounts) Verify(_ context.Context, file []byte, lang string) (console.StatementCheck, error) {
	st, signed, err := reconcile.Verify(file, &a.o.hubKey)
	if err != nil {
		return console.StatementCheck{}, &webui.Refusal{Code: "bad_statement", What: err.Error(), Do: "ask for the file again, from whoever signed it"}
	}
	c := st.Counts
	return console.StatementCheck{
		StatementTerms: a.shown(st.Terms), At: st.MadeAt.In(a.o.zone), By: st.MadeBy, Digest: signed.Digest(),
		Received: c.Received, Applied: c.Applied, SetAside: c.SetAside, Held: c.Held, Wrong: st.Wrong(lang),
	}, nil
}
