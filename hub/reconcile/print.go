package reconcile

import (
	"embed"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"otor/internal/paper"
	"otor/internal/sheet"
	"otor/internal/webui"
)

//go:embed text
var textFiles embed.FS

var catalogues = sync.OnceValue(func() *webui.Catalogues { return webui.MustLoadCatalogues(textFiles) })

// paperTime writes a moment on a paper, in the zone of the statement's period.
func paperTime(t time.Time) string { return t.Format("2006-01-02 15:04 -07:00") }

// printed is a statement in a language, as title, facts and tables.
type printed struct {
	title  string
	facts  []paper.Fact
	tables []sheet.Table
	foot   string
	left   string
}

// lay lays a statement out. formTitle gives a form's name in the language; it may be nil.
func lay(st Statement, s Signed, lang string, formTitle func(lang, id string) string) printed {
	w := catalogues().Words(lang)
	t := w.T
	name := st.Terms.Name
	title := func(id string) string {
		if formTitle != nil {
			if s := formTitle(lang, id); s != "" {
				return s
			}
		}
		return id
	}
	if st.Terms.Subject == OfForm {
		name = title(name)
	}
	p := printed{
		title: t("statement.title", "subject", t("statement.of."+string(st.Terms.Subject), "name", name)),
		foot:  t("statement.foot", "digest", s.Digest()), left: t("statement.left_out"),
	}
	result := t("statement.complete")
	if ok, lacks := st.Complete(); !ok {
		wrong := make([]string, 0, len(lacks))
		for _, l := range lacks {
			wrong = append(wrong, l.In(lang))
		}
		result = t("statement.incomplete", "what", strings.Join(wrong, t("statement.between")))
	}
	c := st.Counts
	adds := t("statement.adds", "received", c.Received, "applied", c.Applied, "aside", c.SetAside, "held", c.Held)
	if !st.Adds() {
		adds = t("statement.not_adds")
	}
	p.facts = []paper.Fact{
		{Name: t("statement.period"), Text: t("statement.period_text", "from", paperTime(st.Terms.From), "until", paperTime(st.Terms.Until))},
		{Name: t("statement.made"), Text: t("statement.made_text", "at", paperTime(st.MadeAt.In(st.Terms.From.Location())), "by", st.MadeBy)},
		{Name: t("statement.hub"), Text: st.Hub},
		{Name: t("statement.epoch"), Text: st.Epoch},
		{Name: t("statement.result"), Text: result + "\n" + adds},
	}
	if len(st.Findings) > 0 {
		p.facts = append(p.facts, paper.Fact{Name: t("statement.findings"), Text: strings.Join(st.Findings, "\n")})
	}
	p.tables = []sheet.Table{chainTable(st, t), formTable(st, t, title)}
	if len(st.SetAside) > 0 {
		p.tables = append(p.tables, asideTable(st, t, title))
	}
	if len(st.Decisions) > 0 {
		p.tables = append(p.tables, decisionTable(st, w))
	}
	return p
}

type wording func(key string, args ...any) string

func chainTable(st Statement, t wording) sheet.Table {
	return sheet.Table{
		Name: t("statement.chains"),
		Columns: []sheet.Column{
			{Title: t("statement.chain"), Width: 22},
			{Title: t("statement.captured"), Number: true},
			{Title: t("statement.received"), Number: true},
			{Title: t("statement.waiting"), Number: true},
			{Title: t("statement.held"), Number: true},
			{Title: t("statement.heads"), Width: 16},
		},
		Rows: func(yield func([]any) bool) {
			for _, c := range st.Chains {
				if !yield([]any{c.Chain, uint64(c.Declared), c.Received, c.Waiting, c.Held, t("statement.heads." + c.Heads)}) {
					return
				}
			}
		},
	}
}

func formTable(st Statement, t wording, title func(string) string) sheet.Table {
	return sheet.Table{
		Name: t("statement.forms"),
		Columns: []sheet.Column{
			{Title: t("statement.form"), Width: 30},
			{Title: t("statement.received"), Number: true},
			{Title: t("statement.applied"), Number: true},
			{Title: t("statement.set_aside"), Number: true},
			{Title: t("statement.held"), Number: true},
		},
		Rows: func(yield func([]any) bool) {
			row := func(name string, c Counts) bool { return yield([]any{name, c.Received, c.Applied, c.SetAside, c.Held}) }
			for _, f := range slices.Sorted(maps.Keys(st.ByForm)) {
				if !row(title(f), st.ByForm[f]) {
					return
				}
			}
			row(t("statement.sum"), st.Counts)
		},
	}
}

// notes says that a list is cut.
func notes(st Statement, n int, t wording) []string {
	if st.CutOff && n >= MaxListed {
		return []string{t("statement.cut_off", "n", MaxListed)}
	}
	return nil
}

func asideTable(st Statement, t wording, title func(string) string) sheet.Table {
	return sheet.Table{
		Name: t("statement.asides"), Notes: notes(st, len(st.SetAside), t),
		Columns: []sheet.Column{
			{Title: t("statement.dot"), Width: 22}, {Title: t("statement.form"), Width: 18}, {Title: t("statement.code")}, {Title: t("statement.words"), Width: 50},
		},
		Rows: func(yield func([]any) bool) {
			for _, a := range st.SetAside {
				if !yield([]any{a.Dot, title(a.Form), a.Code, a.Words}) {
					return
				}
			}
		},
	}
}

func decisionTable(st Statement, w *webui.Words) sheet.Table {
	t := w.T
	kind := func(k string) string {
		if key := "statement.kind." + k; w.Has(key) {
			return t(key)
		}
		return k // of a later program
	}
	return sheet.Table{
		Name: t("statement.decisions"), Notes: notes(st, len(st.Decisions), t),
		Columns: []sheet.Column{
			{Title: t("statement.number"), Number: true, Width: 8},
			{Title: t("statement.at"), Width: 22},
			{Title: t("statement.by")},
			{Title: t("statement.kind"), Width: 18},
			{Title: t("statement.subject"), Width: 30},
		},
		Rows: func(yield func([]any) bool) {
			for _, d := range st.Decisions {
				if !yield([]any{d.Number, paperTime(d.At.In(st.Terms.From.Location())), d.By, kind(d.Kind), d.Subject}) {
					return
				}
			}
		},
	}
}

// WritePDF writes a signed statement as a paper, in a language: zh, mn or en.
// The paper names the digest of what was signed; the JSON is what verifies.
func WritePDF(w io.Writer, st Statement, s Signed, lang string, formTitle func(lang, id string) string) error {
	p := lay(st, s, lang, formTitle)
	return paper.Write(w, paper.Document{
		Title: p.title, Author: st.MadeBy, At: st.MadeAt, Facts: p.facts, Tables: p.tables, Foot: p.foot, LeftOut: p.left,
	})
}

// WriteXLSX writes a signed statement as a workbook; its last sheet holds what
// was signed, so [Verify] takes the workbook as well.
func WriteXLSX(w io.Writer, st Statement, s Signed, lang string, formTitle func(lang, id string) string) error {
	p := lay(st, s, lang, formTitle)
	facts := sheet.Table{
		Name: p.title, Columns: []sheet.Column{{Title: p.title, Width: 24}, {Width: 90}},
		Rows: func(yield func([]any) bool) {
			for _, f := range append(p.facts, paper.Fact{Name: "SHA-256", Text: s.Digest()}) {
				if !yield([]any{f.Name, f.Text}) {
					return
				}
			}
		},
	}
	signed, err := signedTable(s)
	if err != nil {
		return err
	}
	return sheet.WriteXLSX(w, append(append([]sheet.Table{facts}, p.tables...), signed)...)
}

// WriteCSV writes a statement's service items as CSV, the facts above them.
func WriteCSV(w io.Writer, st Statement, s Signed, lang string, formTitle func(lang, id string) string) error {
	p := lay(st, s, lang, formTitle)
	t := p.tables[1]
	t.Notes = append([]string{p.title}, t.Notes...)
	for _, f := range p.facts {
		t.Notes = append(t.Notes, f.Name+" "+f.Text)
	}
	t.Notes = append(t.Notes, p.foot)
	return sheet.WriteCSV(w, t)
}
