package web

import (
	"net/http"
	"net/url"
	"slices"

	"otor/internal/dot"
	"otor/internal/webui"
)

// listsView is what lists.html shows.
type listsView struct {
	webui.Frame
	Tabs   []tab
	List   string
	Intro  string
	Drafts []draftRow
	Rows   []rowView
	Older  string // address of the older ones; "" if there are none
	Newest string
	Pruned string // that older ones are in the archive alone
}

type tab struct {
	ID, Text, URL, Count string
	On                   bool
}

// draftRow is a form that is being filled in.
type draftRow struct{ URL, Title, About, Clock, ISO string }

// The lists, in the order of their tabs.
var lists = []string{"all", "drafts", "waiting", "received", "returned"}

var listsPage = webui.NewTemplate(files, "lists.html", "parts.html")

func (s *site) lists(w http.ResponseWriter, r *http.Request) {
	v := listsView{Frame: s.frame(r, "nav.lists"), List: r.URL.Query().Get("list")}
	if !slices.Contains(lists, v.List) {
		v.List = "all"
	}
	v.Intro = v.Words.T("lists." + v.List + ".intro")
	st, err := s.Device.Status(r.Context())
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	drafts := s.drafts(r, v.Words)
	v.Tabs = s.tabs(v.Words, v.List, st, len(drafts))
	if v.List == "drafts" {
		v.Drafts = drafts
		webui.Render(w, listsPage, http.StatusOK, v, s.Log)
		return
	}
	q, refusal := parseLogQuery(r)
	if refusal != nil {
		http.Redirect(w, r, "/records", http.StatusSeeOther)
		return
	}
	q.Limit, q.Lane = rowsOnPage, 0
	if v.List != "all" {
		q.Only = Which(v.List)
	}
	rows, older, err := s.rows(r, q)
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	photos := s.album(r, v.Words)
	for _, e := range rows {
		row := s.listRow(r, v.Words, e)
		row.Photos = photos.of(e.Dot, row.Title, row.Clock)
		v.Rows = append(v.Rows, row)
	}
	if older != "" {
		v.Older = "/records?" + url.Values{"list": {v.List}, "after": {older}}.Encode()
	}
	if n := st.Pruned(); n > 0 && older == "" && (v.List == "all" || v.List == "received") {
		v.Pruned = v.Words.T("home.pruned", "n", n)
	}
	if !q.After.IsZero() {
		v.Newest = "/records?list=" + v.List
	}
	webui.Render(w, listsPage, http.StatusOK, v, s.Log)
}

func (s *site) tabs(w *webui.Words, on string, st Status, drafts int) []tab {
	received := uint64(0)
	for _, l := range st.Lanes {
		received += uint64(l.Received)
	}
	counts := map[string]string{"drafts": w.Num(uint64(drafts)), "waiting": w.Num(st.Waiting), "returned": w.Num(st.Returned)} //nolint:gosec // a count
	var out []tab
	for _, id := range lists {
		out = append(out, tab{ID: id, Text: w.T("lists." + id), URL: "/records?list=" + id, Count: counts[id], On: id == on})
	}
	return out
}

// listRow is an entry of a list; one that came back can be corrected from it.
func (s *site) listRow(r *http.Request, w *webui.Words, e EntryRow) rowView {
	v := s.rowView(w, e, s.Clock())
	if t, err := s.tell(r, w); err == nil && t.pages().Visited != nil && e.Entity != "" {
		if name := s.called(t, t.pages().Visited, e.Entity); name != e.Entity {
			v.Entity = name + " " + e.Entity
		}
	}
	if e.Verdict != nil && e.Verdict.Returned && e.Form != "" && s.Visits != nil {
		v.Correct = &link{correctURL(e.Form, e.Dot), w.T("lists.correct")}
	}
	return v
}

func correctURL(form string, d dot.Dot) string {
	return "/visit/" + url.PathEscape(form) + "?corrects=" + url.QueryEscape(d.String())
}

// drafts lists the unfinished forms, the latest first.
func (s *site) drafts(r *http.Request, w *webui.Words) []draftRow {
	if s.Drafts == nil {
		return nil
	}
	all, err := s.Drafts.Drafts(r.Context())
	if err != nil {
		s.Log.Warn("drafts cannot be read", "err", err)
	}
	var out []draftRow
	t, _ := s.tell(r, w)
	for _, d := range all {
		h := d.head()
		row := draftRow{
			URL: "/visit/" + url.PathEscape(h.Form) + "?draft=" + url.QueryEscape(d.ID), Title: s.title(w, h.Form), About: h.Entity,
			Clock: w.Clock(s.Clock(), d.SavedAt), ISO: d.SavedAt.Format("2006-01-02T15:04:05Z07:00"),
		}
		if t != nil && t.pages().Visited != nil && h.Entity != "" {
			row.About = s.called(t, t.pages().Visited, h.Entity)
		}
		out = append(out, row)
	}
	return out
}

// draftsAbout lists the unfinished forms about any of the entities.
func (s *site) draftsAbout(r *http.Request, t *teller, ids []string) []draftRow {
	if s.Drafts == nil {
		return nil
	}
	all, err := s.Drafts.Drafts(r.Context())
	if err != nil {
		s.Log.Warn("drafts cannot be read", "err", err)
	}
	var out []draftRow
	for i, d := range all {
		if h := d.head(); slices.Contains(ids, h.Entity) {
			out = append(out, s.drafts(r, t.Words)[i])
		}
	}
	return out
}
