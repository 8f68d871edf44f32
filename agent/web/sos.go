package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/rules"
	"otor/internal/webui"
)

// Alarms is the call for help. It is safe for concurrent use.
type Alarms interface {
	// Raise saves a call in the alert lane. One that was raised before gives the
	// same result again. What a person can mend is a *Refusal.
	Raise(ctx context.Context, c Call) (PutResult, error)
	// Raised is a call of this device.
	Raised(ctx context.Context, at dot.Dot) (Raised, error)
	// LastPlace is where this device was last known to be.
	LastPlace(ctx context.Context) (SeenAt, bool)
}

// Call is a call for help.
type Call struct {
	ID        string // of the page's choice: letters, digits and hyphens
	What      string // an answer to the pack's question, see pack.Alarm
	Household string
	People    int     // 0: not said
	Place     *Place  // where it comes from, nil: not known to the browser
	Accuracy  float64 // metres
	Fix       Fix     // how the place was found
}

// SeenAt is where a device was, and when.
type SeenAt struct {
	Lon, Lat float64 // degrees, WGS84
	At       time.Time
}

// Raised is a call as it was saved.
type Raised struct {
	Row       EntryRow
	What      string
	Household string
	Place     *SeenAt
}

// sosView is what sos.html shows.
type sosView struct {
	webui.Frame
	ID      string
	Choices []Choice
	Place   string // where this phone was last known to be; "" nowhere
	Open    *link  // the latest call of this device
	Chosen  *Choice
	Sent    url.Values // what is to be confirmed, without the page's program
	Refusal *Refusal
	Code    string
}

var sosPage = webui.NewTemplate(files, "sos.html")

func (s *site) sos(w http.ResponseWriter, r *http.Request) { s.showSOS(w, r, nil, nil) }

// showSOS asks what has happened. sent: it was answered without the page's
// program, so a last press confirms it.
func (s *site) showSOS(w http.ResponseWriter, r *http.Request, sent url.Values, refusal *Refusal) {
	v := sosView{Frame: s.frame(r, "sos.title"), ID: webui.NewSecret(), Refusal: refusal, Code: s.assets.URL("sos.js")}
	v.Alarm = ""
	v.Events = "" // nothing may move under a finger
	t, err := s.tell(r, v.Words)
	var f *form.Form
	if err == nil {
		if f, err = t.alarmForm(); err != nil {
			err = &Refusal{Code: "no_alarm", What: v.Words.T("sos.none"), Do: v.Words.T("sos.none.do")}
		}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	for _, x := range f.Fields {
		if x.Name != t.pages().Alarm.Question {
			continue
		}
		for _, c := range x.Choices {
			v.Choices = append(v.Choices, Choice{c.Name, t.choice(f, x.Name, c.Name)})
			if sent.Get("what") == c.Name {
				v.Chosen, v.Sent = &v.Choices[len(v.Choices)-1], sent
			}
		}
	}
	if seen, ok := s.Alarms.LastPlace(r.Context()); ok {
		v.Place = t.placeWords(seen)
	}
	if rows, err := s.Device.Log(r.Context(), LogQuery{Lane: dot.Alert, Limit: 1}); err == nil && len(rows) > 0 && rows[0].Form == f.ID {
		v.Open = &link{calledURL(rows[0].Dot), t.T("sos.open", "at", t.Clock(t.now, rows[0].DeviceTime))}
	}
	status := http.StatusOK
	if refusal != nil {
		status = http.StatusConflict
	}
	webui.Render(w, sosPage, status, v, s.Log)
}

func (t *teller) alarmForm() (*form.Form, error) {
	a := t.pages().Alarm
	if a == nil {
		return nil, errors.New("the pack has no call for help")
	}
	f, ok := t.pack.Forms.Latest(a.Form)
	if !ok {
		return nil, fmt.Errorf("the pack has no form %s", a.Form)
	}
	return f, nil
}

func calledURL(d dot.Dot) string { return "/sos/sent?entry=" + url.QueryEscape(d.String()) }

// raise saves a call. The page's program sends it once its five seconds are over;
// without it a second press confirms.
func (s *site) raise(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	words := texts().Pick(r, s.DefaultLang)
	if err := r.ParseForm(); err != nil {
		s.showSOS(w, r, nil, &Refusal{Code: "bad_form", What: words.T("settings.unread"), Do: words.T("sos.none.do")})
		return
	}
	form := r.PostForm
	if form.Get("sure") == "" {
		s.showSOS(w, r, form, nil)
		return
	}
	res, err := s.Alarms.Raise(r.Context(), callOf(form))
	if err != nil {
		s.Log.Error("call for help not saved", "err", err)
		s.showSOS(w, r, nil, asRefusal(err))
		return
	}
	http.Redirect(w, r, calledURL(res.Dot), http.StatusSeeOther)
}

// callOf reads a call; what cannot be read of the place is left out.
func callOf(form url.Values) Call {
	c := Call{ID: form.Get("id"), What: form.Get("what"), Household: form.Get("household")}
	c.People, _ = strconv.Atoi(form.Get("people"))
	lon, err := strconv.ParseFloat(form.Get("lon"), 64)
	lat, err2 := strconv.ParseFloat(form.Get("lat"), 64)
	if err == nil && err2 == nil && math.Abs(lon) <= 180 && math.Abs(lat) <= 90 {
		c.Place = &Place{Lon: lon, Lat: lat}
		c.Fix.Source = "gnss"
		c.Fix.At, _ = strconv.ParseInt(form.Get("at"), 10, 64)
		c.Accuracy, _ = strconv.ParseFloat(form.Get("acc"), 64)
	}
	return c
}

// calledView is what called.html shows.
type calledView struct {
	webui.Frame
	What    string
	Steps   []calledStep
	Radio   []string // words to read over radio while it is not at the hub
	Details *link
	Help    []told
}

type calledStep struct {
	Done        bool
	Shape, Text string
}

var calledPage = webui.NewTemplate(files, "called.html", "parts.html")

// called shows what became of a call.
func (s *site) sosSent(w http.ResponseWriter, r *http.Request) {
	v := calledView{Frame: s.frame(r, "sos.title")}
	t, err := s.tell(r, v.Words)
	var d dot.Dot
	if err == nil {
		if d, err = dot.Parse(r.URL.Query().Get("entry")); err != nil {
			err = &Refusal{Code: "bad_query", What: v.Words.T("sos.unknown"), Do: v.Words.T("refused.notfound.do")}
		}
	}
	var c Raised
	if err == nil {
		c, err = s.Alarms.Raised(r.Context(), d)
	}
	if err == nil && (t.pages().Alarm == nil || c.Row.Form != t.pages().Alarm.Form) {
		err = &Refusal{Code: "not_found", What: v.Words.T("sos.unknown"), Do: v.Words.T("refused.notfound.do")}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	e, _ := t.pack.Forms.Latest(c.Row.Form)
	v.What = t.choice(e, t.pages().Alarm.Question, c.What)
	at := t.Clock(t.now, c.Row.DeviceTime)
	there := c.Row.State == Received || c.Row.State == Archived
	v.Help = s.help(t, c)
	v.Steps = []calledStep{
		{true, "phone", t.T("sos.step.saved", "at", at)},
		{there || c.Row.State == Custody, "station", t.T("sos.step.carried")},
		{there, "ok", t.T("sos.step.hub")},
		{len(v.Help) > 0, "people", t.T("sos.step.help")},
	}
	if c.Row.ReceivedAt != nil && there {
		v.Steps[2].Text = t.T("sos.step.hub.at", "at", t.Clock(t.now, *c.Row.ReceivedAt))
	}
	if !there {
		v.Radio = t.radio(c, v.What, at)
	}
	if s.Visits != nil {
		v.Details = &link{correctURL(c.Row.Form, d), t.T("sos.details")}
	}
	webui.Render(w, calledPage, http.StatusOK, v, s.Log)
}

// help says what the office sent, as far as it reached this device.
func (s *site) help(t *teller, c Raised) []told {
	a := t.pages().Alarm
	if a.Answer == "" || c.Row.Entity == "" {
		return nil
	}
	var out []told
	for _, id := range t.book.Having(a.Answer, a.Of, c.Row.Entity) {
		if th, ok := t.book.Thing(a.Answer, id); ok {
			out = append(out, t.facts(th, a.Facts)...)
		}
	}
	return out
}

// choice says an answer in words.
func (t *teller) choice(f *form.Form, question, value string) string {
	if f == nil {
		return value
	}
	for _, x := range f.Fields {
		for _, c := range x.Choices {
			if x.Name != question || c.Name != value {
				continue
			}
			_, property, split := strings.Cut(x.SaveTo, "#")
			if !split {
				property = x.SaveTo
			}
			if w := t.pack.ValueLabel(f.Entity, property, value, t.Lang); w != "" {
				return w
			}
			return t.in(c.Label)
		}
	}
	return value
}

// radio are the words to read aloud over radio.
func (t *teller) radio(c Raised, what, at string) []string {
	out := []string{t.T("sos.radio.call", "device", string(c.Row.Dot.Device)), t.T("sos.radio.what", "what", what, "at", at)}
	if c.Household != "" && t.pages().Visited != nil {
		out = append(out, t.T("sos.radio.who", "who", t.name(t.pages().Visited.Type, c.Household)+" "+c.Household))
	}
	if c.Place == nil {
		return append(out, t.T("sos.radio.noplace"))
	}
	return append(out, t.placeWords(*c.Place))
}

// atStop is within how many metres something counts as being at a stop.
const atStop = 250

// placeWords says where and when something was: near which stop of the route,
// and in degrees.
func (t *teller) placeWords(p SeenAt) string {
	deg := t.T("visit.place.at", "lat", strconv.FormatFloat(p.Lat, 'f', 5, 64), "lon", strconv.FormatFloat(p.Lon, 'f', 5, 64))
	ago := t.Ago(t.now, p.At)
	near, best := "", math.Inf(1)
	for _, st := range t.stops() {
		lon, ok := st.number("lon")
		lat, ok2 := st.number("lat")
		if d := rules.Metres(p.Lon, p.Lat, lon, lat); ok && ok2 && d < best {
			near, best = t.name(st.Type, st.ID), d
		}
	}
	if near == "" || best > 50_000 {
		return t.T("place.plain", "where", deg, "ago", ago)
	}
	if best < atStop {
		return t.T("place.at", "stop", near, "where", deg, "ago", ago)
	}
	return t.T("place.near", "stop", near, "km", t.Decimal(best/1000, 1), "where", deg, "ago", ago)
}
