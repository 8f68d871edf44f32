package console

import (
	"context"
	"io"
	"net/http"
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
	// item_changed, undo_over, not_found, roster_fixed, roster_value, roster_disputed.
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
	PersonType string // the type of the entity that a person is
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
	Choice, By, Reason string
	At                 time.Time
	Undo               bool
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
	// empty: nothing any more. Count is how many rows, or parts, that is.
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
	out.By = whoWords(f.Words, l.By)
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
