package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"otor/internal/webui"
)

// Exports has records taken away as files.
type Exports interface {
	// Taken lists those that were taken away, newest first, as far as whoever looks may
	// know of them, in pages like those of [Statements].
	Taken(ctx context.Context, before uint64, most int) (rows []ExportRow, next uint64, err error)
	// Take writes records into a file, and records that. The caller closes it. Refusals:
	// bad_terms, bad_format, no_device, export_long, whole_not_allowed, whole_reason.
	Take(ctx context.Context, o ExportOrder) (ExportFile, error)
}

// ExportOrder is what is to be exported.
type ExportOrder struct {
	StatementTerms
	Format, Lang string
	Whole        bool // personal numbers stand whole
	Reason       string
}

// ExportFile is a file on its way to a browser.
type ExportFile struct {
	io.ReadCloser
	Name, Type string
	Size       int64
}

// ExportRow is one that was taken away.
type ExportRow struct {
	ExportOrder
	Number uint64 // in the ledger
	At     time.Time
	By     string
	Rows   int
}

// exportFormats are what records may be written as, the usual one first.
var exportFormats = []string{"xlsx", "csv", "pdf", "json", "geojson"}

var exportsPage = webui.NewTemplate(files, "exports.html", "nav.html")

type exportsView struct {
	Frame
	Subject, Name, From, Until, Reason string // as they were typed
	Whole, MayWhole                    bool
	Subjects, Names, Formats           []picked
	Rows                               []exportView
	Trouble                            string
	pages
}

type exportView struct {
	ExportRow
	About, Period, Clock, Numbers string
}

func (s *site) exports(w http.ResponseWriter, r *http.Request) {
	s.showExports(w, r, http.StatusOK, exportsView{})
}

func (s *site) showExports(w http.ResponseWriter, r *http.Request, status int, v exportsView) {
	v.Frame = s.frame(r, "/exports")
	v.Still = true
	v.title(v.Words.T("menu.exports"))
	v.MayWhole = v.Who.May("reveal")
	if v.From == "" {
		v.From, v.Until = v.Now.Format(dayForm), v.Now.Format(dayForm)
	}
	for _, subject := range []string{"all", "device", "team", "form"} {
		v.Subjects = append(v.Subjects, picked{subject, v.Words.T("statement." + subject), subject == v.Subject})
	}
	for _, f := range exportFormats {
		v.Formats = append(v.Formats, picked{f, v.Words.T("exports_as." + f), false})
	}
	v.Names = s.names(r, v.Words)
	rows, next, err := s.Exports.Taken(r.Context(), before(r), madeAtOnce)
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, row := range rows {
		numbers := v.Words.T("exports.masked")
		if row.Whole {
			numbers = v.Words.T("exports.whole", "reason", row.Reason)
		}
		row.By = whoWords(v.Words, row.By)
		v.Rows = append(v.Rows, exportView{row, about(v.Words, row.StatementTerms), period(v.Words, row.StatementTerms), v.Words.Clock(v.Now, row.At), numbers})
	}
	v.pages = pagesOf("/exports", before(r), next)
	webui.Render(w, exportsPage, status, v, s.Log)
}

func (s *site) takeExport(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	t, err := s.terms(r)
	o := ExportOrder{StatementTerms: t, Format: r.PostFormValue("format"), Lang: s.words(r).Lang, Whole: r.PostFormValue("whole") == "yes", Reason: r.PostFormValue("reason")}
	var file ExportFile
	if err == nil {
		file, err = s.Exports.Take(r.Context(), o)
	}
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showExports(w, r, status, exportsView{
			Trouble: trouble, Subject: t.Subject, Name: t.Name, From: r.PostFormValue("from"), Until: r.PostFormValue("until"), Whole: o.Whole, Reason: o.Reason,
		})
		return
	}
	defer func() { _ = file.Close() }() // it was only read
	h := w.Header()
	h.Set("Content-Type", file.Type)
	h.Set("Content-Length", strconv.FormatInt(file.Size, 10))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", file.Name))
	if _, err := io.Copy(w, file); err != nil {
		s.Log.Warn("export not delivered", "err", err)
	}
}
