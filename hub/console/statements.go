package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"otor/internal/webui"
)

// Statements draws signed accounts, and checks them.
type Statements interface {
	// Made lists those that were handed out, newest first, as far as whoever looks may
	// know of them: at most so many of those before a number of the ledger, 0: from the
	// newest. next is what the page behind is before, 0 at the end.
	Made(ctx context.Context, before uint64, most int) (rows []StatementRow, next uint64, err error)
	// Make draws and signs one, records that, and writes it as pdf, xlsx, csv or json
	// in a language. Refusals: bad_terms, not_allowed, no_device.
	Make(ctx context.Context, t StatementTerms, format, lang string) (file []byte, err error)
	// Verify checks a file that Make wrote as json or xlsx; what is wrong comes in the
	// words of a language. Refusal: bad_statement.
	Verify(ctx context.Context, file []byte, lang string) (StatementCheck, error)
}

// StatementTerms say what a statement is about: all, or a device, team or form by
// its name, over a period that From is in and Until is not.
type StatementTerms struct {
	Subject, Name string
	From, Until   time.Time
}

// StatementRow is one that was handed out.
type StatementRow struct {
	StatementTerms
	Number uint64 // in the ledger
	At     time.Time
	By     string
	Digest string // SHA-256 of what was signed
}

// StatementCheck is what a file holds that this hub signed.
type StatementCheck struct {
	StatementTerms
	At                                time.Time
	By, Digest                        string
	Received, Applied, SetAside, Held int64
	Wrong                             []string // why it is not complete; empty: it is
}

const (
	// maxStatementFile bounds a file that is checked, in bytes.
	maxStatementFile = 32 << 20
	dayForm          = "2006-01-02"
)

// formats are what a statement may be written as, with the content's type.
var formats = map[string]string{
	"pdf":  "application/pdf",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"csv":  "text/csv; charset=utf-8",
	"json": "application/json",
}

var statementsPage = webui.NewTemplate(files, "statements.html", "nav.html")

type statementsView struct {
	Frame
	Subject, Name, From, Until string   // as they were typed
	Subjects, Names            []picked // Names are devices, teams and forms
	Rows                       []statementView
	Check                      *checkView
	Trouble                    string
	pages
}

// pages leads through a list: the addresses of its next page and of its first, "": none.
type pages struct{ Next, Newest string }

// madeAtOnce is how many statements or exports a page lists.
const madeAtOnce = 50

// before is where a page of a list begins that goes by numbers of the ledger.
func before(r *http.Request) uint64 {
	n, err := strconv.ParseUint(r.URL.Query().Get("before"), 10, 53)
	if err != nil {
		return 0
	}
	return n
}

// pagesOf are those around a page of path.
func pagesOf(path string, before, next uint64) (p pages) {
	if next > 0 {
		p.Next = path + "?before=" + strconv.FormatUint(next, 10)
	}
	if before > 0 {
		p.Newest = path
	}
	return p
}

type picked struct {
	Value, Words string
	Here         bool
}

type statementView struct {
	StatementRow
	About, Period, Clock, First, Last string
}

type checkView struct{ About, Period, Made, Counts, Digest, Result, Tone string }

func (s *site) statements(w http.ResponseWriter, r *http.Request) {
	s.showStatements(w, r, http.StatusOK, statementsView{ // another page may lead here with what it is about
		Subject: r.FormValue("subject"), Name: r.FormValue("name"), From: r.FormValue("from"), Until: r.FormValue("until"),
	})
}

func (s *site) showStatements(w http.ResponseWriter, r *http.Request, status int, v statementsView) {
	v.Frame = s.frame(r, "/statements")
	v.Still = true
	v.title(v.Words.T("menu.statements"))
	if v.From == "" {
		v.From, v.Until = v.Now.Format(dayForm), v.Now.Format(dayForm)
	}
	for _, subject := range []string{"all", "device", "team", "form"} {
		v.Subjects = append(v.Subjects, picked{subject, v.Words.T("statement." + subject), subject == v.Subject})
	}
	v.Names = s.names(r, v.Words)
	rows, next, err := s.Statements.Made(r.Context(), before(r), madeAtOnce)
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, row := range rows {
		row.By = whoWords(v.Words, row.By)
		v.Rows = append(v.Rows, statementView{
			StatementRow: row, About: about(v.Words, row.StatementTerms), Period: period(v.Words, row.StatementTerms), Clock: v.Words.Clock(v.Now, row.At),
			First: row.From.Format(dayForm), Last: row.Until.Add(-time.Nanosecond).Format(dayForm),
		})
	}
	v.pages = pagesOf("/statements", before(r), next)
	webui.Render(w, statementsPage, status, v, s.Log)
}

// names are what a statement or an export may be about.
func (s *site) names(r *http.Request, w *webui.Words) (out []picked) {
	chosen, err := s.Records.Choices(r.Context(), w.Lang)
	if err != nil {
		s.Log.Warn("devices, teams and forms not listed", "err", err) // they can be typed
	}
	for _, d := range chosen.Devices {
		out = append(out, picked{d, w.T("statement.device"), false})
	}
	for _, t := range chosen.Teams {
		out = append(out, picked{t, w.T("statement.team"), false})
	}
	for _, f := range chosen.Forms {
		out = append(out, picked{f.ID, f.Words, false})
	}
	return out
}

func about(w *webui.Words, t StatementTerms) string {
	return strings.TrimSpace(w.T("statement."+t.Subject) + " " + t.Name)
}

func period(w *webui.Words, t StatementTerms) string {
	first, last := t.From.Format(dayForm), t.Until.Add(-time.Nanosecond).Format(dayForm)
	if first == last {
		return first
	}
	return w.T("statement.period", "from", first, "until", last)
}

// terms reads what a statement is asked for: whole days of the console's zone.
func (s *site) terms(r *http.Request) (t StatementTerms, err error) {
	t = StatementTerms{Subject: r.PostFormValue("subject"), Name: strings.TrimSpace(r.PostFormValue("name"))}
	if t.Subject == "all" {
		t.Name = ""
	}
	zone := s.Clock().Location()
	from, err := time.ParseInLocation(dayForm, r.PostFormValue("from"), zone)
	until, err2 := time.ParseInLocation(dayForm, r.PostFormValue("until"), zone)
	if err := errors.Join(err, err2); err != nil {
		return t, &webui.Refusal{Code: "bad_day", What: "the period is no two days", Which: err.Error(), Do: "write them like 2025-09-18"}
	}
	t.From, t.Until = from, until.AddDate(0, 0, 1)
	return t, nil
}

func (s *site) makeStatement(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	format := r.PostFormValue("format")
	kind, known := formats[format]
	t, err := s.terms(r)
	if err == nil && !known {
		err = &webui.Refusal{Code: "bad_format", What: "a statement is not written in this way", Which: format, Do: "choose pdf, xlsx, csv or json"}
	}
	var file []byte
	if err == nil {
		file, err = s.Statements.Make(r.Context(), t, format, s.words(r).Lang)
	}
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showStatements(w, r, status, statementsView{
			Trouble: trouble, Subject: t.Subject, Name: t.Name, From: r.PostFormValue("from"), Until: r.PostFormValue("until"),
		})
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(file)))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(t, format)))
	if _, err := w.Write(file); err != nil {
		s.Log.Warn("statement not delivered", "err", err)
	}
}

// fileName names a statement's file in letters that every system takes.
func fileName(t StatementTerms, format string) string {
	plain := func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}
	parts := []string{"statement", t.Subject, strings.Map(plain, t.Name), t.From.Format("20060102"), t.Until.Add(-time.Nanosecond).Format("20060102")}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "-") + "." + format
}

func (s *site) verifyStatement(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxStatementFile+MaxForm)
	file, err := upload(r, "file", maxStatementFile)
	var c StatementCheck
	words := s.words(r)
	if err == nil {
		c, err = s.Statements.Verify(r.Context(), file, words.Lang)
	}
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showStatements(w, r, status, statementsView{Trouble: trouble})
		return
	}
	v := checkView{
		About: about(words, c.StatementTerms), Period: period(words, c.StatementTerms), Digest: c.Digest, Tone: "ok", Result: words.T("statement.complete"),
		Made:   words.T("statement.made", "at", c.At.Format("2006-01-02 15:04"), "by", whoWords(words, c.By)),
		Counts: words.T("statement.counts", "received", c.Received, "applied", c.Applied, "aside", c.SetAside, "held", c.Held),
	}
	if len(c.Wrong) > 0 {
		v.Tone, v.Result = "danger", words.T("statement.incomplete", "what", strings.Join(c.Wrong, words.T("statement.between")))
	}
	s.showStatements(w, r, http.StatusOK, statementsView{Check: &v})
}

// upload reads a file out of a form without writing it to a disk. Refusals:
// no_file, file_too_large.
func upload(r *http.Request, field string, most int64) (file []byte, err error) {
	large := &webui.Refusal{Code: "file_too_large", What: "the file is too large", Which: strconv.FormatInt(most>>20, 10) + " MB", Do: "choose a smaller one"}
	none := &webui.Refusal{Code: "no_file", What: "there is no file in what was sent", Do: "choose one"}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, none
	}
	var part *multipart.Part
	for part == nil || part.FormName() != field {
		if part, err = parts.NextPart(); err != nil {
			return nil, none
		}
	}
	file, err = io.ReadAll(io.LimitReader(part, most+1))
	switch {
	case int64(len(file)) > most:
		return nil, large
	case err != nil || len(file) == 0:
		return nil, none
	}
	return file, nil
}
