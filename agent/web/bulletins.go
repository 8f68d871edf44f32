package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"otor/internal/webui"
)

// bulletinsView is what bulletins.html shows.
type bulletinsView struct {
	webui.Frame
	Age  string
	Rows []bulletinRow
}

type bulletinRow struct {
	URL, Title, Clock, Heard string
	Marks                    []mark
}

// bulletinView is what bulletin.html shows.
type bulletinView struct {
	webui.Frame
	Marks []mark
	Clock string
	Aloud []told // to be read aloud
	Heard string
	Stops []hearers
	Post  string
	Can   bool   // receipts can be made
	ID    string // of this page: the same receipt sent from it twice is one
	Wrong *Refusal
	Say   string
}

// hearers are the households at a stop that have not heard yet.
type hearers struct {
	Name string
	Rows []hearer
}

type hearer struct{ ID, Name, How string }

var (
	bulletinsPage = webui.NewTemplate(files, "bulletins.html", "parts.html")
	bulletinPage  = webui.NewTemplate(files, "bulletin.html", "parts.html")
)

func (s *site) bulletins(w http.ResponseWriter, r *http.Request) {
	v := bulletinsView{Frame: s.frame(r, "nav.bulletins")}
	t, err := s.tellNotices(r, v.Words)
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	n := t.pages().Notices
	for _, th := range t.notices() {
		row := bulletinRow{URL: "/bulletin/" + url.PathEscape(th.ID), Title: t.name(th.Type, th.ID), Marks: t.noticeMarks(th)}
		if at, ok := th.time(n.Published); ok {
			row.Clock = t.Clock(t.now, at)
		}
		heard, all := t.heardCount(th.ID)
		row.Heard = t.T("bulletins.heard", "n", heard, "of", all)
		v.Age = cmp.Or(v.Age, t.age(th))
		v.Rows = append(v.Rows, row)
	}
	webui.Render(w, bulletinsPage, http.StatusOK, v, s.Log)
}

func (s *site) tellNotices(r *http.Request, w *webui.Words) (*teller, error) {
	t, err := s.tell(r, w)
	if err == nil && t.pages().Notices == nil {
		err = &Refusal{Code: "no_pages", What: w.T("page.none"), Do: w.T("page.none.do")}
	}
	return t, err
}

// notices are the bulletins, the latest first.
func (t *teller) notices() []Thing {
	n := t.pages().Notices
	var out []Thing
	for _, id := range t.book.IDs(n.Type) {
		if th, ok := t.book.Thing(n.Type, id); ok {
			out = append(out, th)
		}
	}
	slices.SortStableFunc(out, func(a, b Thing) int { return cmp.Compare(b.text(n.Published), a.text(n.Published)) })
	return out
}

// noticeMarks says that everybody must hear it, and how grave it is.
func (t *teller) noticeMarks(th Thing) []mark {
	n := t.pages().Notices
	var out []mark
	if more, ok := t.more(th); ok && more.text(n.Colour) != "" {
		if key := "colour." + more.text(n.Colour); t.Has(key) {
			out = append(out, mark{"colour-" + more.text(n.Colour), "danger", t.T(key)})
		}
	}
	if th.yes(n.Must) {
		out = append(out, mark{"danger", "horn", t.T("bulletins.must")})
	}
	return out
}

// more is the entity with a notice's words.
func (t *teller) more(th Thing) (Thing, bool) {
	n := t.pages().Notices
	if n.More == "" || th.text(n.More) == "" {
		return Thing{}, false
	}
	e, _ := t.pack.Entity(n.Type)
	f, _ := e.Field(n.More)
	return t.book.Thing(f.Ref, th.text(n.More))
}

// heardBy says how each household heard a notice.
func (t *teller) heardBy(id string) map[string]string {
	n := t.pages().Notices
	out := map[string]string{}
	for _, rid := range t.book.Having(n.Receipt, n.Of, id) {
		if th, ok := t.book.Thing(n.Receipt, rid); ok {
			out[th.text(n.By)] = th.text(n.How)
		}
	}
	return out
}

func (t *teller) heardCount(id string) (heard, all int) {
	n := t.pages().Notices
	if v := t.pages().Visited; v != nil {
		all = len(t.book.IDs(v.Type))
	}
	for _, how := range t.heardBy(id) {
		if !slices.Contains(n.Unheard, how) {
			heard++
		}
	}
	return heard, all
}

func (s *site) bulletin(w http.ResponseWriter, r *http.Request) { s.showBulletin(w, r, nil) }

func (s *site) showBulletin(w http.ResponseWriter, r *http.Request, wrong *Refusal) {
	v := bulletinView{Frame: s.frame(r, "nav.bulletins"), Wrong: wrong, ID: webui.NewSecret()}
	t, err := s.tellNotices(r, v.Words)
	var th Thing
	if err == nil {
		ok := false
		if th, ok = t.book.Thing(t.pages().Notices.Type, r.PathValue("id")); !ok {
			err = &Refusal{Code: "not_here", What: v.Words.T("bulletins.unknown"), Which: r.PathValue("id"), Do: v.Words.T("bulletins.unknown.do")}
		}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	n := t.pages().Notices
	v.Heading = t.name(th.Type, th.ID)
	v.Title = v.Heading + " · Otor"
	v.Marks, v.Say = t.noticeMarks(th), t.T("say.conflict")
	if at, ok := th.time(n.Published); ok {
		v.Clock = t.T("bulletins.published", "at", t.Clock(t.now, at))
	}
	if more, ok := t.more(th); ok {
		v.Aloud = t.facts(more, n.MoreFacts)
	}
	heard, all := t.heardCount(th.ID)
	v.Heard = t.T("bulletins.heard", "n", heard, "of", all)
	v.Post, v.Can = "/bulletin/"+url.PathEscape(th.ID), n.Form != ""
	v.Stops = t.unheard(th.ID)
	v.Still = v.Can && len(v.Stops) > 0
	status := http.StatusOK
	if wrong != nil {
		status = http.StatusConflict
	}
	webui.Render(w, bulletinPage, status, v, s.Log)
}

// unheard lists the households that have not heard a notice, in route order.
func (t *teller) unheard(id string) []hearers {
	n, vis := t.pages().Notices, t.pages().Visited
	if vis == nil {
		return nil
	}
	heard := t.heardBy(id)
	at := map[string]*hearers{}
	var out []*hearers
	for _, st := range t.stops() {
		h := &hearers{Name: t.name(st.Type, st.ID)}
		at[st.ID], out = h, append(out, h)
	}
	rest := &hearers{Name: t.T("households.elsewhere")}
	for _, hid := range t.book.IDs(vis.Type) {
		how, told := heard[hid]
		if told && !slices.Contains(n.Unheard, how) {
			continue
		}
		th, _ := t.book.Thing(vis.Type, hid)
		to := at[th.text(vis.Stop)]
		if to == nil {
			to = rest
		}
		to.Rows = append(to.Rows, hearer{ID: hid, Name: t.name(vis.Type, hid), How: t.value(n.Receipt, n.How, how)})
	}
	var filled []hearers
	for _, h := range append(out, rest) {
		if len(h.Rows) > 0 {
			filled = append(filled, *h)
		}
	}
	return filled
}

// mostHeard bounds the receipts of one press.
const mostHeard = 200

// heard saves a receipt for each household that a notice was read aloud to.
func (s *site) heard(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	words := texts().Pick(r, s.DefaultLang)
	t, err := s.tellNotices(r, words)
	if err == nil {
		if err = r.ParseForm(); err != nil {
			err = &Refusal{Code: "bad_form", What: words.T("settings.unread"), Do: words.T("bulletins.again")}
		}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	ids := r.PostForm["household"]
	if len(ids) == 0 || len(ids) > mostHeard {
		s.showBulletin(w, r, &Refusal{Code: "nobody", What: words.T("bulletins.nobody"), Do: words.T("bulletins.nobody.do")})
		return
	}
	n := t.pages().Notices
	for _, id := range ids {
		fields, err := json.Marshal(map[string]string{n.FormBy: id, n.FormHow: n.Aloud})
		if err == nil {
			put := PutRequest{Form: n.Form, Entity: r.PathValue("id"), User: s.whoUses(), Fields: fields}
			put.Once = once(r.PostForm.Get("id"), put)
			_, err = s.Device.Begin(r.Context(), put)()
		}
		if err != nil {
			s.showBulletin(w, r, asRefusal(err))
			return
		}
	}
	http.Redirect(w, r, "/bulletin/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

// whoUses is the user that was chosen on the settings page.
func (s *site) whoUses() string {
	if s.Prefs == nil {
		return ""
	}
	return s.Prefs.Preferences().User
}
