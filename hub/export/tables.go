package export

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"otor/internal/entry"
	"otor/internal/paper"
	"otor/internal/sheet"
	"otor/internal/webui"
)

//go:embed text
var textFiles embed.FS

var catalogues = sync.OnceValue(func() *webui.Catalogues { return webui.MustLoadCatalogues(textFiles) })

// timeForm writes moments so that they sort, with their zone.
const timeForm = "2006-01-02 15:04:05 -07:00"

// facts say what was asked for.
func facts(h Head, w *webui.Words) []paper.Fact {
	name := w.T("export.of."+h.Filter.Subject, "name", h.Filter.Name)
	numbers := w.T("export.masked")
	if h.Filter.Whole {
		numbers = w.T("export.whole", "reason", h.Filter.Reason)
	}
	return []paper.Fact{
		{Name: w.T("export.about"), Text: name},
		{Name: w.T("export.period"), Text: w.T("export.period_text", "from", h.Filter.From.Format(timeForm), "until", h.Filter.Until.Format(timeForm))},
		{Name: w.T("export.numbers"), Text: numbers},
		{Name: w.T("export.made"), Text: w.T("export.made_text", "at", h.At.Format(timeForm), "by", h.By)},
		{Name: w.T("export.hub"), Text: h.Hub},
		{Name: w.T("export.rows"), Text: fmt.Sprint(h.Rows)},
	}
}

// column is a column that all entries have.
type column struct {
	key    string
	width  float64
	number bool
	of     func(Row, *webui.Words) any
}

var common = []column{
	{"entry", 22, false, func(r Row, _ *webui.Words) any { return r.Entry }},
	{"entity", 22, false, func(r Row, _ *webui.Words) any { return r.Entity }},
	{"user", 12, false, func(r Row, _ *webui.Words) any { return r.Actor }},
	{"time", 26, false, func(r Row, _ *webui.Words) any { return r.At.Format(timeForm) }},
	{"device_time", 26, false, func(r Row, _ *webui.Words) any { return r.DeviceAt.Format(timeForm) }},
	{"received", 26, false, func(r Row, _ *webui.Words) any { return r.ReceivedAt.Format(timeForm) }},
	{"via", 10, false, func(r Row, _ *webui.Words) any { return r.Via }},
	{"verdict", 12, false, func(r Row, w *webui.Words) any { return verdictWords(r, w) }},
	{"verdict_code", 12, false, func(r Row, _ *webui.Words) any { return r.Verdict }},
	{"code", 16, false, func(r Row, _ *webui.Words) any { return r.Code }},
	{"lon", 12, true, func(r Row, _ *webui.Words) any {
		return coordinate(r.Position, func(p *entry.Position) int32 { return p.Lon })
	}},
	{"lat", 12, true, func(r Row, _ *webui.Words) any {
		return coordinate(r.Position, func(p *entry.Position) int32 { return p.Lat })
	}},
}

// verdictWords are what a row's verdict is called; one of a later program goes by its code.
func verdictWords(r Row, w *webui.Words) string {
	if key := "export.verdict." + r.Verdict; w.Has(key) {
		return w.T(key)
	}
	return r.Verdict
}

// coordinate is in degrees of WGS84; nil where no place is known.
func coordinate(p *entry.Position, of func(*entry.Position) int32) any {
	if p == nil {
		return nil
	}
	return degrees(of(p))
}

func degrees(millionths int32) float64 { return float64(millionths) / 1e6 }

// table is a form's entries with its questions as columns.
func table(f Form, w *webui.Words, src Source, failed *error) sheet.Table {
	t := sheet.Table{Name: f.Title}
	for _, c := range common {
		t.Columns = append(t.Columns, sheet.Column{Title: w.T("export.column." + c.key), Width: c.width, Number: c.number})
	}
	for _, q := range f.Questions {
		t.Columns = append(t.Columns, sheet.Column{Title: titleOf(f, q), Width: 16, Number: q.Number})
	}
	t.Rows = func(yield func([]any) bool) {
		for r, err := range src.Rows(f.ID) {
			if err != nil {
				*failed = err
				return
			}
			cells := make([]any, 0, len(t.Columns))
			for _, c := range common {
				cells = append(cells, c.of(r, w))
			}
			for _, q := range f.Questions {
				cells = append(cells, answerCell(r, q))
			}
			if !yield(cells) {
				return
			}
		}
	}
	return t
}

// titleOf is a question's label, with its name where others have the same.
func titleOf(f Form, q Question) string {
	for _, other := range f.Questions {
		if other.Label == q.Label && other.Name != q.Name {
			return q.Label + " (" + q.Name + ")"
		}
	}
	return q.Label
}

func answerCell(r Row, q Question) any {
	for _, a := range r.Answers {
		if a.Name != q.Name {
			continue
		}
		switch v := a.Value.(type) {
		case int64, float64:
			if q.Number {
				return v
			}
		}
		return a.Text
	}
	return nil
}

// mixed is a table of entries of several forms: their answers stand in one column.
func mixed(forms []Form, w *webui.Words, src Source, columns []column, failed *error) sheet.Table {
	titles := make(map[string]Form, len(forms))
	for _, f := range forms {
		titles[f.ID] = f
	}
	t := sheet.Table{Columns: []sheet.Column{{Title: w.T("export.column.form"), Width: 16}}}
	for _, c := range columns {
		t.Columns = append(t.Columns, sheet.Column{Title: w.T("export.column." + c.key), Width: c.width, Number: c.number})
	}
	t.Columns = append(t.Columns, sheet.Column{Title: w.T("export.column.answers"), Width: 60})
	t.Rows = func(yield func([]any) bool) {
		for r, err := range src.Rows("") {
			if err != nil {
				*failed = err
				return
			}
			f := titles[r.Form]
			cells := []any{f.Title}
			for _, c := range columns {
				cells = append(cells, c.of(r, w))
			}
			if !yield(append(cells, answersText(f, r))) {
				return
			}
		}
	}
	return t
}

func answersText(f Form, r Row) string {
	var parts []string
	for _, a := range r.Answers {
		label := a.Name
		for _, q := range f.Questions {
			if q.Name == a.Name {
				label = titleOf(f, q)
			}
		}
		parts = append(parts, label+": "+a.Text)
	}
	return strings.Join(parts, "; ")
}

// writeXLSX writes a sheet of what was asked for, and one for each form.
func writeXLSX(w io.Writer, lang string, h Head, src Source) (err error) {
	words := catalogues().Words(lang)
	var failed error
	about := sheet.Table{
		Name: words.T("export.title"), Columns: []sheet.Column{{Title: words.T("export.title"), Width: 24}, {Width: 90}},
		Rows: func(yield func([]any) bool) {
			for _, f := range facts(h, words) {
				if !yield([]any{f.Name, f.Text}) {
					return
				}
			}
		},
	}
	tables := []sheet.Table{about}
	used := map[string]bool{sheetKey(about.Name): true}
	for _, f := range src.Forms() {
		t := table(f, words, src, &failed)
		if used[sheetKey(t.Name)] { // a workbook tells sheets apart by the beginning of their names
			t.Name = f.ID
		}
		used[sheetKey(t.Name)] = true
		tables = append(tables, t)
	}
	err = sheet.WriteXLSX(w, tables...)
	if failed != nil {
		return failed
	}
	return err
}

// sheetKey is what a workbook tells sheets apart by.
func sheetKey(name string) string {
	r := []rune(strings.ToLower(name))
	const most = 31
	return string(r[:min(len(r), most)])
}

// writeCSV writes one table: of one form with its questions as columns, of several with
// the answers in one. What was asked for stands in the ledger, so that the first line
// names the columns.
func writeCSV(w io.Writer, lang string, _ Head, src Source) error {
	words := catalogues().Words(lang)
	var failed error
	forms := src.Forms()
	t := mixed(forms, words, src, common, &failed)
	if len(forms) == 1 {
		t = table(forms[0], words, src, &failed)
	}
	err := sheet.WriteCSV(w, t)
	if failed != nil {
		return failed
	}
	return err
}

// writePDF writes a paper of what people read.
func writePDF(w io.Writer, lang string, h Head, src Source) error {
	words := catalogues().Words(lang)
	var few []column
	for _, c := range common {
		switch c.key {
		case "entry", "entity", "user", "verdict":
			few = append(few, c)
		case "time":
			c.width, c.of = 18, func(r Row, _ *webui.Words) any { return r.At.Format("2006-01-02 15:04") }
			few = append(few, c)
		}
	}
	var failed error
	var b bytes.Buffer
	err := paper.Write(&b, paper.Document{
		Title: words.T("export.title"), Author: h.By, At: h.At, Facts: facts(h, words), Tables: []sheet.Table{mixed(src.Forms(), words, src, few, &failed)},
		Foot: words.T("export.made_text", "at", h.At.Format(time.DateTime), "by", h.By), LeftOut: words.T("export.left_out"),
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}
