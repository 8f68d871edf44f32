package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/webui"
)

// Visits asks the questions of the forms. It is safe for concurrent use.
type Visits interface {
	// Start gives what a page needs to ask a form's questions. What a person can
	// mend is a *Refusal.
	Start(ctx context.Context, q StartQuery) (Start, error)
	// Submit saves a filled form. A draft that was submitted before gives the
	// same result again. What a person must correct is a *Refusal whose Which
	// names the question.
	Submit(ctx context.Context, s Submission) (PutResult, error)
}

// StartQuery says which form is to be filled in, about what.
type StartQuery struct {
	Form, Entity string
	Version      uint32  // 0: the latest, or the corrected record's
	Corrects     dot.Dot // the record that is to be corrected; zero: none
	Lang         string  // of the words in Start
}

// Start is what a page needs to ask a form's questions.
type Start struct {
	Form       string              `json:"form"`
	Version    uint32              `json:"version"`
	Title      string              `json:"title"`
	XForm      string              `json:"xform"`
	EntityType string              `json:"entity_type"`
	Entity     string              `json:"entity"`
	Corrects   string              `json:"corrects,omitempty"` // a dot
	Fields     map[string]any      `json:"fields"`             // answers that are known already
	Context    json.RawMessage     `json:"context,omitempty"`  // what the answers were shown from; frozen in the draft
	AsOf       *time.Time          `json:"as_of,omitempty"`    // how old Fields are, nil: they are of this device
	Questions  map[string]Question `json:"questions"`          // by path, "rows/count"
	Places     []Place             `json:"places"`
}

// Question is what a question needs beyond the XForm.
type Question struct {
	Media   string   `json:"media,omitempty"` // "photo", "signature", "audio", "video" or "file": the answer is a kept file's name
	Many    bool     `json:"many,omitempty"`  // one answer a line
	Open    bool     `json:"open,omitempty"`  // other answers than the choices are in order
	Choices []Choice `json:"choices,omitempty"`
	Unit    string   `json:"unit,omitempty"`
}

// Choice is one offered answer.
type Choice struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

// Place is a known place that may be picked where there is no signal of
// satellites. Degrees, WGS84.
type Place struct {
	ID   string  `json:"id"`
	Name string  `json:"name"`
	Lon  float64 `json:"lon"`
	Lat  float64 `json:"lat"`
}

// Submission is a filled form as the page sends it.
type Submission struct {
	Form     string          `json:"form"`
	Version  uint32          `json:"version"`
	Entity   string          `json:"entity"`
	User     string          `json:"user"`
	Draft    string          `json:"draft"`
	Corrects string          `json:"corrects"`
	XML      string          `json:"xml"`     // the XForm's primary instance
	Sources  map[string]Fix  `json:"sources"` // how places were found, by path
	Context  json.RawMessage `json:"context"`
}

// Fix says how a place was found.
type Fix struct {
	Source string `json:"source"` // "gnss" or "waypoint:ID"
	At     int64  `json:"at"`     // when it was measured, Unix ms by this device's clock; 0: not known
}

// Age is how long before now a place was measured, in seconds.
func (f Fix) Age(now time.Time) uint32 {
	if f.At == 0 || f.At > now.UnixMilli() {
		return 0
	}
	return uint32(min((now.UnixMilli()-f.At)/1000, 1<<31))
}

// Position reads the source of a place for an entry.
func (f Fix) Position(now time.Time) (entry.PositionSource, bool) {
	switch {
	case f.Source == "gnss" && f.Age(now) > staleFix:
		return entry.LastKnown, true
	case f.Source == "gnss":
		return entry.GNSS, true
	case strings.HasPrefix(f.Source, "waypoint:"):
		return entry.Waypoint, true
	}
	return 0, false
}

// staleFix is the age in seconds from which a fix is one from before.
const staleFix = 120

var visitPage = webui.NewTemplate(files, "visit.html")

// visitCSP lets the form engine compile its parser, and shows photos that are
// still in the browser's memory. It holds on this page alone.
const visitCSP = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// visitView is what visit.html shows.
type visitView struct {
	webui.Frame
	Code    string // address of the page's program
	Look    string
	Start   Start
	Texts   map[string]string
	Drafts  []Draft // unfinished ones of this form about this entity
	Draft   *Draft  // the one to go on with
	Lang    string
	Onward  *onward  // where to go once it is saved; nil: the start page
	Who     string   // in whose name it is saved, and about whom
	Nobody  bool     // nobody was chosen
	Already *warning // it was done already; nil: it was not
}

// onward leads back to what a form was about.
type onward struct {
	URL  string `json:"url"`
	Name string `json:"name"`
}

// visit shows a form, one question at a time.
func (s *site) visit(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", visitCSP)
	v := visitView{Frame: s.frame(r, "")}
	v.Events = "" // what arrives meanwhile must not disturb an answer
	v.Code, v.Look, v.Lang = s.assets.URL("form.js"), s.assets.URL("form.css"), v.Words.Lang
	q, refusal := startQuery(r)
	q.Lang = v.Lang
	var err error
	if id := r.URL.Query().Get("draft"); refusal == nil && id != "" {
		v.Draft, err = s.takeUp(r.Context(), id, &q)
	}
	if refusal == nil && err == nil {
		v.Start, err = s.Visits.Start(r.Context(), q)
	}
	if refusal == nil && err == nil && v.Draft == nil && v.Start.Corrects == "" {
		v.Drafts, err = s.unfinished(r.Context(), v.Start)
	}
	if err != nil {
		if known, ok := errors.AsType[*Refusal](err); ok {
			refusal = known
		} else {
			s.Log.Error("visit page", "err", err)
			refusal = asRefusal(err)
		}
	}
	v.Title, v.Heading = v.Start.Title+" · Otor", v.Start.Title
	if refusal != nil {
		s.refuseVisit(w, v, refusal)
		return
	}
	v.Texts = visitTexts(v.Words)
	s.visitAround(r, &v)
	webui.Render(w, visitPage, http.StatusOK, v, s.Log)
}

// visitAround says in whose name a form is filled in, about whom, and where to go
// once it is saved.
func (s *site) visitAround(r *http.Request, v *visitView) {
	t, err := s.tell(r, v.Words)
	if err != nil {
		return
	}
	if v.Start.Corrects == "" && v.Start.Entity != "" {
		v.Already = t.already(v.Start.Form, v.Start.Entity)
	}
	about := ""
	if vis := t.pages().Visited; vis != nil && v.Start.Entity != "" {
		if th, ok := t.visitedOf(vis, v.Start.Entity); ok {
			v.Onward = &onward{"/household/" + url.PathEscape(th.ID), t.name(th.Type, th.ID)}
			about = s.called(t, vis, v.Start.Entity)
		}
	}
	if r := t.pages().Route; r != nil && v.Onward == nil {
		if _, ok := t.book.Thing(r.Type, v.Start.Entity); ok {
			v.Onward = &onward{"/route", v.Words.T("nav.route")}
			about = t.name(r.Type, v.Start.Entity)
		}
	}
	if d := t.pages().Depots; d != nil && v.Onward == nil {
		if _, ok := t.book.Thing(d.Type, v.Start.Entity); ok {
			about = t.name(d.Type, v.Start.Entity)
			v.Onward = &onward{"/station/" + url.PathEscape(v.Start.Entity), about}
		}
	}
	if u := t.pages().Users; u != nil && s.Prefs != nil {
		user := s.whoUses()
		v.Nobody = user == ""
		v.Who = t.T("visit_who.user", "who", t.name(u.Type, user))
		if v.Nobody {
			v.Who = t.T("visit_who.nobody")
		}
	}
	if about != "" {
		v.Who = strings.TrimSuffix(about+" · "+v.Who, " · ")
	}
}

func (s *site) refuseVisit(w http.ResponseWriter, v visitView, refusal *Refusal) {
	v.Title, v.Heading = "Otor", "Otor"
	webui.Render(w, visitRefused, http.StatusNotFound, struct {
		visitView
		Refusal *Refusal
	}{v, refusal}, s.Log)
}

var visitRefused = webui.NewTemplate(files, "visit_refused.html")

// visitTexts are the words that the page's program says.
func visitTexts(w *webui.Words) map[string]string {
	out := map[string]string{}
	for _, k := range texts().Keys() {
		if name, ok := strings.CutPrefix(k, "visit."); ok {
			out[name] = w.Raw(k)
		}
	}
	return out
}

func startQuery(r *http.Request) (StartQuery, *Refusal) {
	form := r.URL.Query()
	q := StartQuery{Form: r.PathValue("form"), Entity: form.Get("entity")}
	if v := form.Get("version"); v != "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return q, &Refusal{Code: "bad_query", What: "the version is no number", Which: v, Do: "leave it out for the latest one"}
		}
		q.Version = uint32(n)
	}
	if v := form.Get("corrects"); v != "" {
		d, err := dot.Parse(v)
		if err != nil {
			return q, &Refusal{Code: "bad_query", What: err.Error(), Which: "corrects", Do: "open the record from the list of entries"}
		}
		q.Corrects = d
	}
	return q, nil
}

// maxSubmission bounds a filled form, in bytes of JSON.
const maxSubmission = 1 << 20

// apiSubmit saves a filled form.
func (s *site) apiSubmit(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSubmission))
	var sub Submission
	if err == nil {
		err = json.Unmarshal(b, &sub)
	}
	if err != nil {
		webui.WriteRefusal(w, http.StatusBadRequest, &Refusal{Code: "bad_json", What: "the filled form cannot be read", Do: "reload the page: the answers are kept as a draft"})
		return
	}
	res, err := s.Visits.Submit(r.Context(), sub)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, res)
}

// visitRoutes adds the form page and what it asks for.
func (s *site) visitRoutes(mux *http.ServeMux) {
	s.assets.Add("form.js", webui.FormScript()).Add("form.css", webui.FormStyle())
	mux.HandleFunc("GET /visit/{form}", s.visit)
	mux.HandleFunc("POST /api/v1/submissions", s.apiSubmit)
	mux.HandleFunc("GET /api/v1/drafts", s.listDrafts)
	mux.HandleFunc("GET /api/v1/drafts/{id}", s.getDraft)
	mux.HandleFunc("PUT /api/v1/drafts/{id}", s.putDraft)
	mux.HandleFunc("DELETE /api/v1/drafts/{id}", s.dropDraft)
	mux.HandleFunc("POST /api/v1/files", s.postFile)
	mux.HandleFunc("GET /api/v1/files", s.listFiles)
	mux.HandleFunc("GET "+filesPath+"{name}", s.getFile)
}
