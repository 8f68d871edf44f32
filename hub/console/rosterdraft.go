package console

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"otor/internal/webui"
)

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
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			err = &webui.Refusal{Code: "file_too_large", What: "the file is too large", Which: strconv.Itoa(maxRosterFile>>20) + " MB", Do: "split the list"}
		}
		return id, err
	}
}

type rosterDraftView struct {
	Frame
	RosterDraft
	ID        string
	Progress  string
	Fields    []fieldView
	Tiles     []standingTile
	Found     []problemView
	More      int
	Trouble   string
	TroubleOf string // of the list itself
	Ready     bool
	Failed    bool // it cannot be read at all
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
	v.Still = d.Stage == "" && d.Imported == 0 && len(d.Header) > 0 // columns are chosen
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
