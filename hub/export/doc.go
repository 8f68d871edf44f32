// Package export writes records into files that others open: workbooks, CSV, papers,
// JSON, and GeoJSON for maps.
//
// A file says on its face what was asked for: which device, team or service item, which
// days, by whom, and whether personal numbers stand in it whole. What it holds are the
// entries of the ledger with what the hub made of each; texts stay texts, whatever they
// begin with, so that no office program takes a number of eighteen digits for a number,
// or a herder's answer for a formula.
//
// Records go through a file on the disk first, one for each form: a workbook has a sheet
// for each, with the form's own questions as its columns, and nothing of it is in memory
// but the row that is being written.
//
//   - [Filter] is what was asked for; [Row] one entry, [Answer] what it answers.
//   - [Form] is a form with its questions, as the columns of a table.
//   - [Spool] keeps rows until they are written; [Write] writes them.
package export

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"otor/internal/entry"
)

// Filter is what was asked for. Its JSON stands in the ledger.
type Filter struct {
	Subject string `json:"subject"` // device, team, form or all
	Name    string `json:"name,omitempty"`
	// From and Until bound the corrected time: From is in, Until is not.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Whole has personal numbers stand whole, for the Reason.
	Whole  bool   `json:"whole"`
	Reason string `json:"reason,omitempty"`
}

// Head is what stands above the rows.
type Head struct {
	Filter Filter    `json:"filter"`
	Hub    string    `json:"hub"` // its key
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Rows   int       `json:"rows"`
}

// Row is one entry of the ledger.
type Row struct {
	Entry      string          `json:"entry"` // its dot
	Form       string          `json:"form"`
	Version    uint32          `json:"form_version"`
	Entity     string          `json:"entity,omitempty"` // type/id
	Actor      string          `json:"user,omitempty"`
	DeviceAt   time.Time       `json:"device_time"`
	At         time.Time       `json:"corrected_time"`
	ReceivedAt time.Time       `json:"received_at"`
	Via        string          `json:"via,omitempty"`
	Verdict    string          `json:"verdict"`
	Code       string          `json:"code,omitempty"`
	Words      string          `json:"words,omitempty"`
	Position   *entry.Position `json:"-"`
	Answers    []Answer        `json:"answers"`
}

// Answer is what an entry answers to a question; a group's are named group.question.
type Answer struct {
	Name string `json:"name"`
	// Value is as it was saved: bool, int64, float64, string, or JSON of what is more.
	Value any `json:"value"`
	// Text is the value in the words of a language.
	Text string `json:"text,omitempty"`
}

// Form is a form with its questions in order.
type Form struct {
	ID, Title string
	Questions []Question
}

// Question is a column of a form's table.
type Question struct {
	Name, Label string
	Number      bool // its answers are amounts
}

// Source gives what is to be written.
type Source interface {
	// Forms are the forms that rows are of, by id.
	Forms() []Form
	// Rows gives the rows of a form in order; of all forms when it is empty.
	Rows(form string) iter.Seq2[Row, error]
}

// Formats are what [Write] writes, with the type of the content.
var Formats = map[string]string{
	"xlsx":    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"csv":     "text/csv; charset=utf-8",
	"pdf":     "application/pdf",
	"json":    "application/json",
	"geojson": "application/geo+json",
}

// The most rows that files of a format hold: a paper is for people to read, and a sheet
// has 1,048,576 rows.
const (
	MaxRows  = 1_000_000
	MaxPaper = 5000
)

// Errors of [Write].
var (
	ErrFormat = errors.New("nothing is written in this format")
	ErrLong   = errors.New("there are more rows than the file can hold")
)

// Write writes rows in a format, in the words of a language: zh, mn or en.
func Write(w io.Writer, format, lang string, h Head, src Source) error {
	switch {
	case format == "pdf" && h.Rows > MaxPaper:
		return fmt.Errorf("%w: %d rows, a paper holds %d", ErrLong, h.Rows, MaxPaper)
	case h.Rows > MaxRows:
		return fmt.Errorf("%w: %d rows, at most %d", ErrLong, h.Rows, MaxRows)
	}
	switch format {
	case "xlsx":
		return writeXLSX(w, lang, h, src)
	case "csv":
		return writeCSV(w, lang, h, src)
	case "pdf":
		return writePDF(w, lang, h, src)
	case "json":
		return writeJSON(w, h, src)
	case "geojson":
		return writeGeoJSON(w, h, src)
	}
	return fmt.Errorf("%w: %s", ErrFormat, format)
}
