package console

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"otor/internal/webui"
)

// Rosters are official lists and what became of their rows.
type Rosters interface {
	// Lists lists the kinds of lists, in the words of a language.
	Lists(ctx context.Context, lang string) ([]RosterList, error)
	// Lines lists at most most lines of a list; more says that there are others behind
	// the last one.
	Lines(ctx context.Context, q RosterQuery, most int, lang string) (lines []RosterLine, more bool, err error)
	// Rule follows a decision about a line. Refusals: reason_missing, bad_choice,
	// item_changed, undo_over, not_found.
	Rule(ctx context.Context, kind string, c RosterChoice) error
}

// RosterDrafts are lists that were uploaded and are not imported yet.
type RosterDrafts interface {
	// Upload takes a file; reading it goes on afterwards. Refusals: no_roster,
	// file_too_large, too_many_drafts.
	Upload(ctx context.Context, kind, file string, from io.Reader) (id string, err error)
	// Draft says how far it is. Refusal: draft_over.
	Draft(ctx context.Context, id, lang string) (RosterDraft, error)
	// Choose has it read again, by another sheet or other columns.
	Choose(ctx context.Context, id string, c RosterColumns) error
	// Import begins to import it.
	Import(ctx context.Context, id string) error
}

// RosterList is a kind of list with its latest import.
type RosterList struct {
	Kind, Title string
	Import      uint64 // 0: none
	At          time.Time
	By, File    string
	Rows        int
	MatchedAt   time.Time
	Stale       bool           // a newer list is not compared yet
	Lines, Open map[string]int // by standing
}

// RosterQuery chooses lines; empty: all.
type RosterQuery struct {
	Kind, Standing string
	Open           bool
	AfterLine      int // -1: from the beginning
	AfterKey       string
}

// RosterPerson is a person as a list or the hub has them; numbers are masked.
type RosterPerson struct{ Ref, Name, Number, Birth, Phone, Place string }

// RosterLine is a row of a list, or a person who is not on it, with what became of it.
type RosterLine struct {
	Key        string
	Row        int // 0: not on the list
	Listed     *RosterPerson
	Person     *RosterPerson
	Candidates []RosterPerson
	Standing   string
	Agree      []string // fields
	Differ     []RosterDifference
	With       int // the row that it repeats
	Checked    []RosterCheck
	Problems   []RosterProblem
	Open       bool
	Seen       string
	Offers     []string
	// What was decided; By is empty when nothing was.
	Choice, Chosen, By, Reason string
	At                         time.Time
	Undo                       bool
}

// RosterDifference is a field in which a row and a person differ.
type RosterDifference struct{ Field, Listed, Known string }

// RosterCheck is a day on which a person was seen, with the entry that says so.
type RosterCheck struct{ Day, Dot string }

// RosterProblem is what is wrong with a cell.
type RosterProblem struct {
	Row                        int
	Column, Code, Value, Words string
}

// RosterChoice is a decision about a line.
type RosterChoice struct{ Key, Choice, Person, Seen, Reason string }

// RosterColumns says where things are in a file.
type RosterColumns struct {
	Sheet     string
	HeaderRow int
	Fields    map[string]int // the column from 0 by field
}

// RosterDraft is a list that was uploaded.
type RosterDraft struct {
	Kind, Title, File string
	// Stage is what is being done: reading, comparing, matching, recording, writing;
	// empty: nothing any more. Done counts the rows.
	Stage string
	Count int
	// Imported says that it was, as which import.
	Imported uint64
	// Trouble says why it cannot be imported as it is; nil: it can.
	Trouble                          *webui.Refusal
	Sheets                           []string
	Encoding                         string
	Columns                          RosterColumns
	Header                           []RosterColumn
	Sample                           [][]string
	Rows, Added, Changed, Gone, Same int
	Problems                         []RosterProblem
	ProblemCount                     int
	Standings                        map[string]int
}

// RosterColumn is a column of a file.
type RosterColumn struct {
	Name, Title string
	Index       int
}

// rosterFields are what a list may have a column for, standings what may become of a
// line, those that wait for somebody first.
var (
	rosterFields = []string{"name", "resident_id", "birth", "phone", "place"}
	standings    = []string{"unsure", "differs", "missing", "repeated", "unreadable", "not_listed", "unseen", "confirmed"}
)

// rosterPage is how many lines a page of a list shows.
const rosterPage = 100

var (
	rosterHome  = webui.NewTemplate(files, "roster.html", "nav.html")
	rosterLines = webui.NewTemplate(files, "rosterlines.html", "rosterline.html", "nav.html")
	rosterDraft = webui.NewTemplate(files, "rosterdraft.html", "nav.html")
)

type rosterHomeView struct {
	Frame
	Lists   []rosterListView
	Trouble string
}

type rosterListView struct {
	RosterList
	Clock, Matched string
	Tiles          []standingTile
	Waits          int
}

type standingTile struct {
	Standing, Words, Num string
	Tone, Shape          string
	Open                 int
	Here                 bool
}

func (s *site) rosters(w http.ResponseWriter, r *http.Request) {
	s.showRosters(w, r, http.StatusOK, "")
}

func (s *site) showRosters(w http.ResponseWriter, r *http.Request, status int, trouble string) {
	v := rosterHomeView{Frame: s.frame(r, "/roster"), Trouble: trouble}
	v.Still = true
	v.title(v.Words.T("menu.roster"))
	lists, err := s.Rosters.Lists(r.Context(), v.Words.Lang)
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, l := range lists {
		v.Lists = append(v.Lists, rosterListOf(v.Frame, l, ""))
	}
	webui.Render(w, rosterHome, status, v, s.Log)
}

func rosterListOf(f Frame, l RosterList, here string) rosterListView {
	out := rosterListView{RosterList: l}
	if l.Import > 0 {
		out.Clock = f.Words.Clock(f.Now, l.At)
	}
	if !l.MatchedAt.IsZero() {
		out.Matched = f.Words.Clock(f.Now, l.MatchedAt)
	}
	for _, st := range standings {
		out.Waits += l.Open[st]
		if l.Lines[st] > 0 || st == here {
			t := tileOf(f.Words, st, l.Lines[st])
			t.Open, t.Here = l.Open[st], st == here
			out.Tiles = append(out.Tiles, t)
		}
	}
	return out
}

func tileOf(w *webui.Words, standing string, n int) standingTile {
	tone, shape := standingTone(standing)
	return standingTile{Standing: standing, Words: w.T("standing." + standing), Num: w.Num(uint64(n)), Tone: tone, Shape: shape} //nolint:gosec // a count
}

// standingTone is the colour and the shape of a standing.
func standingTone(s string) (tone, shape string) {
	switch s {
	case "confirmed":
		return "ok", "ok"
	case "unseen":
		return "wait", "wait"
	case "not_listed", "repeated":
		return "off", "archive"
	}
	return "danger", "danger"
}

// uploadRoster takes a file, and goes on to what it would come to.
func (s *site) uploadRoster(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRosterFile+MaxForm)
	id, err := s.receiveRoster(r)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showRosters(w, r, status, trouble)
		return
	}
	http.Redirect(w, r, "/roster/draft/"+url.PathEscape(id), http.StatusSeeOther)
}

// maxRosterFile bounds a list, in bytes.
const maxRosterFile = 64 << 20

// receiveRoster reads the form part by part: the kind, then the file, which is not kept
// in memory.
func (s *site) receiveRoster(r *http.Request) (id string, err error) {
	none := &webui.Refusal{Code: "no_file", What: "there is no file in what was sent", Do: "choose one"}
	parts, err := r.MultipartReader()
	if err != nil {
		return "", none
	}
	kind := ""
	for {
		var part *multipart.Part
		if part, err = parts.NextPart(); err != nil {
			return "", none
		}
		if part.FormName() == "kind" {
			b, err := io.ReadAll(io.LimitReader(part, 200))
			if err != nil {
				return "", none
			}
			kind = string(b)
			continue
		}
		if part.FormName() != "file" || part.FileName() == "" {
			continue
		}
		id, err = s.RosterDrafts.Upload(r.Context(), kind, part.FileName(), part)
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			err = &webui.Refusal{Code: "file_too_large", What: "the file is too large", Which: strconv.Itoa(maxRosterFile>>20) + " MB", Do: "split the list"}
		}
		return id, err
	}
}

type rosterDraftView struct {
	Frame
	RosterDraft
	ID         string
	Progress   string
	Fields     []fieldView
	Tiles      []standingTile
	Found      []problemView
	More       int
	Trouble    string
	TroubleOf  string // of the list itself
	Ready      bool
	Failed     bool // it cannot be read at all
	ColumnText string
}

// fieldView is a field with the columns to choose from.
type fieldView struct {
	Field, Words string
	Columns      []picked
}

type problemView struct{ Where, Words string }

func (s *site) rosterDraft(w http.ResponseWriter, r *http.Request) {
	s.showDraft(w, r, http.StatusOK, "")
}

func (s *site) showDraft(w http.ResponseWriter, r *http.Request, status int, trouble string) {
	id := r.PathValue("id")
	v := rosterDraftView{Frame: s.frame(r, "/roster"), ID: id, Trouble: trouble}
	v.title(v.Words.T("roster.check"))
	d, err := s.RosterDrafts.Draft(r.Context(), id, v.Words.Lang)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showRosters(w, r, status, trouble)
		return
	}
	v.RosterDraft = d
	if d.Stage != "" {
		v.Progress = v.Words.T("roster_stage."+d.Stage, "n", d.Count)
	}
	if d.Trouble != nil {
		v.TroubleOf, _ = s.trouble(r, d.Trouble)
	}
	v.Failed = d.Stage == "" && d.Trouble != nil && len(d.Header) == 0
	v.Ready = d.Stage == "" && d.Trouble == nil && d.Imported == 0
	for _, f := range rosterFields {
		fv := fieldView{Field: f, Words: v.Words.T("roster_field." + f), Columns: []picked{{"", v.Words.T("roster.no_column"), false}}}
		at, has := d.Columns.Fields[f]
		for _, c := range d.Header {
			fv.Columns = append(fv.Columns, picked{strconv.Itoa(c.Index), strings.TrimSpace(c.Name + " " + c.Title), has && at == c.Index})
		}
		fv.Columns[0].Here = !has
		v.Fields = append(v.Fields, fv)
	}
	for _, st := range standings {
		if n := d.Standings[st]; n > 0 {
			v.Tiles = append(v.Tiles, tileOf(v.Words, st, n))
		}
	}
	for _, p := range d.Problems {
		v.Found = append(v.Found, problemIn(v.Words, p))
	}
	v.More = d.ProblemCount - len(d.Problems)
	webui.Render(w, rosterDraft, status, v, s.Log)
}

// problemIn says what is wrong with a cell in a language.
func problemIn(w *webui.Words, p RosterProblem) problemView {
	out := problemView{Where: w.T("roster.row", "row", p.Row), Words: p.Words}
	if p.Column != "" {
		out.Where = w.T("roster.cell", "row", p.Row, "column", p.Column)
	}
	if key := "roster_problem." + p.Code; w.Has(key) {
		out.Words = w.T(key, "value", p.Value)
	}
	return out
}

func (s *site) chooseRoster(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	c := RosterColumns{Sheet: r.PostFormValue("sheet"), Fields: map[string]int{}}
	c.HeaderRow, _ = strconv.Atoi(r.PostFormValue("header_row")) // what is no number is no row
	for _, f := range rosterFields {
		if n, err := strconv.Atoi(r.PostFormValue("column." + f)); err == nil && n >= 0 {
			c.Fields[f] = n
		}
	}
	if r.PostFormValue("guess") != "" { // by another sheet: its titles say which columns are which
		c.Fields, c.HeaderRow = nil, 0
	}
	s.draftAfter(w, r, s.RosterDrafts.Choose(r.Context(), r.PathValue("id"), c))
}

func (s *site) importRoster(w http.ResponseWriter, r *http.Request) {
	s.draftAfter(w, r, s.RosterDrafts.Import(r.Context(), r.PathValue("id")))
}

func (s *site) draftAfter(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showDraft(w, r, status, trouble)
		return
	}
	http.Redirect(w, r, "/roster/draft/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

type rosterLinesView struct {
	Frame
	List    rosterListView
	Query   RosterQuery
	Lines   []lineView
	Next    string
	Trouble string
	MayRule bool
	All     bool
}

type lineView struct {
	RosterLine
	W           *webui.Words
	Kind, Title string
	InQueue     bool // the list is named with it
	Tone, Shape string
	Heading     string // of the standing
	Back        string // where a decision goes back to
	Found       []problemView
	AgreeWords  string
	Differences []RosterDifference
	Clock       string
	Options     []optionView
}

func (s *site) rosterList(w http.ResponseWriter, r *http.Request) {
	s.showRoster(w, r, http.StatusOK, "")
}

func (s *site) showRoster(w http.ResponseWriter, r *http.Request, status int, trouble string) {
	v := rosterLinesView{Frame: s.frame(r, "/roster"), Trouble: trouble, MayRule: true}
	v.Still = true
	q := RosterQuery{Kind: r.PathValue("kind"), Standing: r.FormValue("standing"), Open: r.FormValue("open") == "true", AfterLine: -1, AfterKey: r.FormValue("key")}
	if n, err := strconv.Atoi(r.FormValue("after")); err == nil {
		q.AfterLine = n
	}
	v.Query, v.All = q, q.Standing == "" && !q.Open
	lists, err := s.Rosters.Lists(r.Context(), v.Words.Lang)
	for _, l := range lists {
		if l.Kind == q.Kind {
			v.List = rosterListOf(v.Frame, l, q.Standing)
		}
	}
	if err == nil && v.List.Kind == "" {
		err = &webui.Refusal{Code: "no_roster", What: "there is no such kind of list", Which: q.Kind}
	}
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showRosters(w, r, status, trouble)
		return
	}
	v.title(v.List.Title)
	lines, more, err := s.Rosters.Lines(r.Context(), q, rosterPage, v.Words.Lang)
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	back := r.URL.Path + "?" + rosterArgs(q).Encode()
	for _, l := range lines {
		v.Lines = append(v.Lines, lineOf(v.Frame, l, v.List.RosterList, back))
	}
	if more {
		last := lines[len(lines)-1]
		q.AfterLine, q.AfterKey = last.Row, last.Key
		v.Next = r.URL.Path + "?" + rosterArgs(q).Encode()
	}
	webui.Render(w, rosterLines, status, v, s.Log)
}

func rosterArgs(q RosterQuery) url.Values {
	out := url.Values{}
	if q.Standing != "" {
		out.Set("standing", q.Standing)
	}
	if q.Open {
		out.Set("open", "true")
	}
	if q.AfterLine >= 0 {
		out.Set("after", strconv.Itoa(q.AfterLine))
		out.Set("key", q.AfterKey)
	}
	return out
}

// lineOf puts a line into words.
func lineOf(f Frame, l RosterLine, list RosterList, back string) lineView {
	v := lineView{RosterLine: l, Kind: list.Kind, Title: list.Title, Back: back, W: f.Words, InQueue: strings.HasPrefix(back, "/queue"), Heading: f.Words.T("standing." + l.Standing)}
	v.Tone, v.Shape = standingTone(l.Standing)
	for _, p := range l.Problems {
		p.Row = l.Row
		v.Found = append(v.Found, problemIn(f.Words, p))
	}
	var agree []string
	for _, a := range l.Agree {
		agree = append(agree, f.Words.T("roster_field."+a))
	}
	v.AgreeWords = strings.Join(agree, f.Words.T("roster.and"))
	for _, d := range l.Differ {
		d.Field = f.Words.T("roster_field." + d.Field)
		v.Differences = append(v.Differences, d)
	}
	if !l.At.IsZero() {
		v.Clock = f.Words.Clock(f.Now, l.At)
	}
	for _, o := range l.Offers {
		v.Options = append(v.Options, optionView{Choice: o, Words: f.Words.T("roster_choice." + o)})
	}
	return v
}

// ruleRoster decides about a line, from the list or from the queue.
func (s *site) ruleRoster(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	c := RosterChoice{Key: r.PostFormValue("key"), Choice: r.PostFormValue("choice"), Person: r.PostFormValue("person"), Seen: r.PostFormValue("seen"), Reason: r.PostFormValue("reason")}
	if confirm, person, ok := strings.Cut(c.Choice, "/"); ok && c.Person == "" { // one of several
		c.Choice, c.Person = confirm, person
	}
	back := webui.LocalPath(r.PostFormValue("back"))
	if err := s.Rosters.Rule(r.Context(), r.PathValue("kind"), c); err != nil {
		trouble, status := s.trouble(r, err)
		if strings.HasPrefix(back, "/queue") {
			s.showQueue(w, r, status, "roster", trouble)
			return
		}
		s.showRoster(w, r, status, trouble)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// fillRosters adds what waits in official lists to the queue, for those who may see it.
func (s *site) fillRosters(ctx context.Context, v *queueView, counts map[string]uint64) error {
	if !v.Who.May("roster") {
		return nil
	}
	lists, err := s.Rosters.Lists(ctx, v.Words.Lang)
	if err != nil {
		return err
	}
	for _, l := range lists {
		for _, n := range l.Open {
			counts["roster"] += uint64(n) //nolint:gosec // a count
		}
		if v.Kind != "roster" || len(l.Open) == 0 {
			continue
		}
		lines, _, err := s.Rosters.Lines(ctx, RosterQuery{Kind: l.Kind, Open: true, AfterLine: -1}, rosterPage, v.Words.Lang)
		if err != nil {
			return err
		}
		for _, line := range lines {
			v.Lists = append(v.Lists, lineOf(v.Frame, line, l, "/queue?kind=roster"))
		}
	}
	return nil
}
