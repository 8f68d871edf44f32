package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

var (
	recordsPage = webui.NewTemplate(files, "records.html", "nav.html")
	recordPage  = webui.NewTemplate(files, "record.html", "nav.html", "asideforms.html")
)

// verdictTones is how verdicts look: what waits for somebody, and what counts.
var verdictTones = map[string]string{
	"applied": "ok", "merged": "ok", "held": "wait", "conflict": "wait", "review": "wait", "flagged": "wait", "duplicate": "off", "quarantined": "danger", "refused": "off",
}

// verdicts are those that records are chosen by, in the order of the page.
var verdicts = []string{"applied", "merged", "conflict", "duplicate", "review", "flagged", "quarantined", "held", "refused"}

type recordsView struct {
	Frame
	Query                  RecordQuery
	From, Until            string // as they were typed
	Devices, Teams         []string
	Forms, Verdicts        []picked
	Rows                   []recordLine
	Things                 []ThingRow // entities that are called like what was typed
	Next, Newest           string     // addresses; "": none
	Trouble, Back, Indexed string
	Filtered               bool
}

type recordLine struct {
	RecordRow
	Clock, Tone, VerdictWords string
	Day                       string // set on the first of a day
}

// formTitle is what a record's form is called; of those of the hub itself what they are.
func formTitle(w *webui.Words, row RecordRow) string { return formWords(w, row.Title) }

func formWords(w *webui.Words, title string) string {
	if kind, ok := strings.CutPrefix(title, "system:"); ok && w.Has("system."+kind) {
		return w.T("system." + kind)
	}
	return title
}

// recordURL is the address of a record's page.
func recordURL(d dot.Dot) string { return "/records/" + d.String() }

// recordQuery reads the form of the records page.
func (s *site) recordQuery(r *http.Request) (q RecordQuery, err error) {
	q = RecordQuery{
		Device: strings.TrimSpace(r.FormValue("device")), Team: strings.TrimSpace(r.FormValue("team")), Form: r.FormValue("form"), Verdict: r.FormValue("verdict"),
		Entity: strings.TrimSpace(r.FormValue("entity")), Text: strings.TrimSpace(r.FormValue("text")), After: r.FormValue("after"), Lang: s.words(r).Lang,
	}
	zone := s.Clock().Location()
	for _, day := range []struct {
		typed string
		to    *time.Time
		days  int
	}{{r.FormValue("from"), &q.From, 0}, {r.FormValue("until"), &q.Until, 1}} {
		if day.typed == "" {
			continue
		}
		t, bad := time.ParseInLocation(dayForm, day.typed, zone)
		if bad != nil {
			return q, &webui.Refusal{Code: "bad_day", What: "this is no day", Which: day.typed, Do: "write it like 2025-09-18"}
		}
		*day.to = t.AddDate(0, 0, day.days)
	}
	return q, nil
}

func (s *site) records(w http.ResponseWriter, r *http.Request) {
	if d, err := dot.Parse(strings.TrimSpace(r.FormValue("text"))); err == nil {
		http.Redirect(w, r, recordURL(d), http.StatusSeeOther)
		return
	}
	v := recordsView{Frame: s.frame(r, "/records"), From: r.FormValue("from"), Until: r.FormValue("until")}
	v.title(v.Words.T("menu.records"))
	v.Still = true
	status := http.StatusOK
	var err error
	if v.Query, err = s.recordQuery(r); err == nil {
		err = s.fillRecords(r, &v)
	}
	if chosen, e := s.Records.Choices(r.Context(), v.Words.Lang); e == nil {
		v.Devices, v.Teams = chosen.Devices, chosen.Teams
		for _, f := range chosen.Forms {
			v.Forms = append(v.Forms, picked{f.ID, f.Words, f.ID == v.Query.Form})
		}
	} else {
		err = errors.Join(err, e)
	}
	for _, verdict := range verdicts {
		v.Verdicts = append(v.Verdicts, picked{verdict, v.Words.T("verdict." + verdict), verdict == v.Query.Verdict})
	}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return
		}
		v.Trouble, status = s.trouble(r, err)
	}
	webui.Render(w, recordsPage, status, v, s.Log)
}

func (s *site) fillRecords(r *http.Request, v *recordsView) error {
	list, err := s.Records.Records(r.Context(), v.Query)
	if err != nil {
		return err
	}
	zone, day := s.Clock().Location(), ""
	for _, row := range list.Records {
		row.Title, row.Actor = formTitle(v.Words, row), whoWords(v.Words, row.Actor)
		line := recordLine{RecordRow: row, Clock: row.HubAt.In(zone).Format("15:04"), Tone: verdictTones[row.Verdict], VerdictWords: v.Words.T("verdict." + row.Verdict)}
		if d := row.HubAt.In(zone).Format(dayForm); d != day {
			day, line.Day = d, d
		}
		v.Rows = append(v.Rows, line)
	}
	address := func(after string) string {
		q := url.Values{}
		for _, name := range []string{"device", "team", "form", "verdict", "entity", "text", "from", "until"} {
			if x := r.FormValue(name); x != "" {
				q.Set(name, x)
				v.Filtered = true
			}
		}
		if after != "" {
			q.Set("after", after)
		}
		return "/records?" + q.Encode()
	}
	if v.Query.After != "" {
		v.Newest = address("")
	}
	if v.Next = address(list.Next); list.Next == "" {
		v.Next = ""
	}
	if list.Back != nil {
		v.Back = v.Words.T("record.back", "at", list.Back.In(zone).Format("2006-01-02 15:04"))
	}
	if list.Indexing {
		v.Indexed = v.Words.T("record.indexing")
	}
	if v.Query.Text == "" || v.Query.After != "" {
		return nil
	}
	things, err := s.Things.Things(r.Context(), ThingQuery{Text: v.Query.Text, Limit: fewThings, Lang: v.Words.Lang})
	v.Things = things.Things
	return err
}

type recordView struct {
	Frame
	Record             Record
	Tone, VerdictWords string
	DeviceAt, HubAt    string
	ReceivedAt, Off    string
	Shown              *Revealed
	Typed              Reveal      // what was not revealed, as it was asked for
	Ruled              AsideChoice // a ruling that was turned down, as it was typed
	StatementURL       string
	PlaceWords         string
	MayReveal          bool
	Trouble            string
	Items              []recordItemView
	Rulings            []recordRuleView
	Aside              asideForms
}

// asideForms are the forms by which an entry that was set aside is ruled on.
type asideForms struct {
	Words     *webui.Words
	Dot, Seen string
	Return    string // the page to come back to
	Before    int64  // where its page of what was set aside begins
	Answers   []Answer
	May       []string
	Typed     AsideChoice // what was turned down, as it was typed
}

type recordItemView struct {
	RecordItem
	KindWords, Clock string
}

type recordRuleView struct {
	RecordRule
	ChoiceWords, Clock string
}

// theRecord reads the dot of a record's address.
func theRecord(r *http.Request) (dot.Dot, error) {
	return dot.Parse(r.PathValue("device") + "/" + r.PathValue("incarnation") + "/" + r.PathValue("lane") + "/" + r.PathValue("seq"))
}

func (s *site) record(w http.ResponseWriter, r *http.Request) {
	d, err := theRecord(r)
	if err != nil {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		return
	}
	s.showRecord(w, r, http.StatusOK, d, recordView{})
}

func (s *site) showRecord(w http.ResponseWriter, r *http.Request, status int, d dot.Dot, v recordView) {
	v.Frame = s.frame(r, "/records")
	v.Still = true
	if r.Method != http.MethodGet {
		v.Back = recordURL(d)
	}
	words := v.Words
	var err error
	if v.Record, err = s.Records.Record(r.Context(), d, words.Lang); err != nil {
		s.absent(w, r, err)
		return
	}
	v.Record.Title, v.Record.Actor = formTitle(words, v.Record.RecordRow), whoWords(words, v.Record.Actor)
	v.Record.Words = reasonWords(words, v.Record.Code, v.Record.Words)
	v.title(v.Record.Title + " · " + d.String())
	v.Heading = v.Record.Title
	v.Tone, v.VerdictWords = verdictTones[v.Record.Verdict], words.T("verdict."+v.Record.Verdict)
	zone := s.Clock().Location()
	clock := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05") }
	v.DeviceAt, v.HubAt, v.ReceivedAt = clock(v.Record.DeviceAt), clock(v.Record.HubAt), clock(v.Record.ReceivedAt)
	if off := v.Record.DeviceAt.Sub(v.Record.HubAt); off.Abs() >= time.Minute {
		key := "skew.fast"
		if off < 0 {
			key = "skew.slow"
		}
		v.Off = words.T(key, "span", words.Span(off))
	}
	for _, it := range v.Record.Items {
		v.Items = append(v.Items, recordItemView{it, words.T("kind." + it.Kind), clock(it.At)})
	}
	for _, x := range v.Record.Rulings {
		v.Rulings = append(v.Rulings, recordRuleView{x, words.T("aside." + x.Choice), clock(x.At)})
	}
	day := v.Record.HubAt.In(zone).Format(dayForm)
	if v.Who.May("sign") {
		v.StatementURL = "/statements?" + url.Values{"subject": {"device"}, "name": {string(d.Device)}, "from": {day}, "until": {day}}.Encode()
	}
	if p := v.Record.Place; p != nil {
		v.PlaceWords = words.T("position." + p.Source)
	}
	v.MayReveal = v.Who.May("reveal")
	v.Aside = asideForms{Words: words, Dot: d.String(), Seen: v.Record.Code, Return: recordURL(d), Answers: v.Record.Answers, May: v.Record.May, Typed: v.Ruled}
	if v.Shown != nil {
		w.Header().Set("Cache-Control", "no-store")
	}
	webui.Render(w, recordPage, status, v, s.Log)
}

// absent answers that there is no such thing, or that it could not be read.
func (s *site) absent(w http.ResponseWriter, r *http.Request, err error) {
	if _, code := s.trouble(r, err); code == http.StatusUnprocessableEntity {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		return
	}
	s.pages.Refuse(w, r, http.StatusInternalServerError, "broken")
}

// revealRecord shows a masked answer once.
func (s *site) revealRecord(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	d, err := dot.Parse(r.PostFormValue("record"))
	if err != nil {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		return
	}
	ask := Reveal{Record: d, Field: r.PostFormValue("field"), Reason: r.PostFormValue("reason"), Lang: s.words(r).Lang}
	shown, err := s.Records.Reveal(r.Context(), ask)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showRecord(w, r, status, d, recordView{Trouble: trouble, Typed: ask})
		return
	}
	s.showRecord(w, r, http.StatusOK, d, recordView{Shown: &shown})
}
