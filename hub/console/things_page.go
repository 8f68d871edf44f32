package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"otor/internal/webui"
)

var (
	thingsPage = webui.NewTemplate(files, "entities.html", "nav.html")
	thingPage  = webui.NewTemplate(files, "entity.html", "nav.html")
)

// thingURL is the address of an entity's page.
func thingURL(ref string) string {
	typ, id, _ := strings.Cut(ref, "/")
	return "/entities/" + url.PathEscape(typ) + "/" + url.PathEscape(id)
}

// URL is the address of the entity's page.
func (t ThingRow) URL() string { return thingURL(t.Ref) }

// URL is the address of the entity's page.
func (a RecordAbout) URL() string { return thingURL(a.Ref) }

// URL is the address of the page of the entity that is written to.
func (w RecordWrite) URL() string { return thingURL(w.Ref) }

// EntityURL is the address of the page of the entity that a record is about.
func (r RecordRow) EntityURL() string { return thingURL(r.Entity) }

// URL is the address of a record's page.
func (r RecordRow) URL() string { return recordURL(r.Dot) }

// NamesURL is the address of the page of the entity that a field names.
func (f ThingField) NamesURL() string { return thingURL(f.Names) }

// URL is the address of the page of the record that wrote the value.
func (v ThingValue) URL() string { return recordURL(v.Dot) }

type thingsView struct {
	Frame
	Query            ThingQuery
	Rows             []ThingRow
	Next             string
	Trouble, Indexed string
}

func (s *site) things(w http.ResponseWriter, r *http.Request) {
	v := thingsView{Frame: s.frame(r, "/records")}
	v.title(v.Words.T("thing.search"))
	v.Still = true
	v.Query = ThingQuery{Text: strings.TrimSpace(r.FormValue("text")), Type: r.FormValue("type"), After: r.FormValue("after"), Lang: v.Words.Lang}
	status := http.StatusOK
	list, err := s.Things.Things(r.Context(), v.Query)
	if errors.Is(err, context.Canceled) {
		return
	}
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	if v.Rows = list.Things; list.Next != "" {
		v.Next = "/entities?" + url.Values{"text": {v.Query.Text}, "type": {v.Query.Type}, "after": {list.Next}}.Encode()
	}
	if list.Indexing {
		v.Indexed = v.Words.T("record.indexing")
	}
	webui.Render(w, thingsPage, status, v, s.Log)
}

type thingView struct {
	Frame
	Thing       Thing
	ThingFields []thingFieldView
	Past        []thingEventView
	Older       string
	Newest      string
	RecordsURL  string
	Shown       *Revealed
	Typed       Reveal // what was not revealed, as it was asked for
	MayReveal   bool
	Trouble     string
}

type thingFieldView struct {
	ThingField
	RuleWords string
	Values    []thingValueView
}

type thingValueView struct {
	ThingValue
	Clock, ChoiceWords string
}

type thingEventView struct {
	ThingEvent
	Clock, Tone, VerdictWords, ChoiceWords, StandsIn string
}

func (s *site) thing(w http.ResponseWriter, r *http.Request) {
	s.showThing(w, r, http.StatusOK, r.PathValue("type")+"/"+r.PathValue("id"), thingView{})
}

func (s *site) showThing(w http.ResponseWriter, r *http.Request, status int, ref string, v thingView) {
	v.Frame = s.frame(r, "/records")
	v.Still = true
	if r.Method != http.MethodGet {
		v.Back = thingURL(ref)
	}
	words, before := v.Words, r.FormValue("before")
	var err error
	if v.Thing, err = s.Things.Thing(r.Context(), ref, before, words.Lang); err != nil {
		s.absent(w, r, err)
		return
	}
	called := v.Thing.Name
	if called == "" {
		called = v.Thing.Ref
	}
	v.title(v.Thing.Type + " · " + called)
	zone := s.Clock().Location()
	clock := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(zone).Format("2006-01-02 15:04")
	}
	for _, f := range v.Thing.Fields {
		line := thingFieldView{ThingField: f, RuleWords: words.T("rule." + f.Rule)}
		for _, x := range f.Values {
			x.Form, x.Who = formTitle(words, RecordRow{Title: x.Form}), whoWords(words, x.Who)
			if x.Value == "true" || x.Value == "false" {
				x.Value = words.T("value." + x.Value)
			}
			line.Values = append(line.Values, thingValueView{x, clock(x.HubAt), s.choiceWords(words, x.Choice)})
		}
		v.ThingFields = append(v.ThingFields, line)
	}
	for _, e := range v.Thing.History {
		e.Title, e.Who = formTitle(words, e.RecordRow), whoWords(words, e.Who)
		v.Past = append(v.Past, thingEventView{
			ThingEvent: e, Clock: clock(e.HubAt), Tone: verdictTones[e.Verdict], VerdictWords: words.T("verdict." + e.Verdict),
			ChoiceWords: s.choiceWords(words, e.Choice), StandsIn: strings.Join(e.Stands, ", "),
		})
	}
	if v.Thing.Next != "" {
		v.Older = thingURL(ref) + "?" + url.Values{"before": {v.Thing.Next}}.Encode()
	}
	if before != "" {
		v.Newest = thingURL(ref)
	}
	v.RecordsURL = "/records?" + url.Values{"entity": {ref}}.Encode()
	v.MayReveal = v.Who.May("reveal")
	if v.Shown != nil {
		w.Header().Set("Cache-Control", "no-store")
	}
	webui.Render(w, thingPage, status, v, s.Log)
}

// choiceWords says what was chosen in a decision: a side goes by its letter.
func (s *site) choiceWords(w *webui.Words, choice string) string {
	if key := "choice." + choice; choice != "" && w.Has(key) {
		return w.T(key)
	}
	return choice
}

// revealThing shows a masked field once.
func (s *site) revealThing(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	ref := r.PostFormValue("entity")
	ask := Reveal{Entity: ref, Field: r.PostFormValue("field"), Reason: r.PostFormValue("reason"), Lang: s.words(r).Lang}
	shown, err := s.Records.Reveal(r.Context(), ask)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showThing(w, r, status, ref, thingView{Trouble: trouble, Typed: ask})
		return
	}
	s.showThing(w, r, http.StatusOK, ref, thingView{Shown: &shown})
}
