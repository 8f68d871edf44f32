package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

const (
	rowsOnPage = 30 // of a list
	rowsAtHome = 6
)

// attempt is a contact that somebody asked for from the page.
type attempt struct {
	at      time.Time
	res     SyncResult
	refusal *Refusal // nil if it went well
}

// homeView is what home.html shows.
type homeView struct {
	webui.Frame
	Strip     strip
	Link      string // the link's state since when, in words
	LinkMore  string // trouble with it
	Clock     string // that this phone's clock is wrong; "" if it is not
	Attempt   string // the latest contact asked for here; "" if there is nothing to say
	AttemptOK bool
	Findings  []Finding
	Tiles     []tile
	Rows      []rowView
	Pruned    string // that older ones are in the archive alone; "" if they are not, or more follow
	Buttons   []button
	More      []button
}

// tile is a number of the strip's account, and the list behind it.
type tile struct {
	Num, Words, Tone, Shape, URL string
}

// button leads to one of the team's pages.
type button struct {
	ID, URL, Text, Shape, Count string
	Tall                        string // the word in the traditional script; "" none
}

// strip is the one sentence that says whether all is well.
type strip struct {
	Tone  string // "ok", "wait", "off" or "danger": colour and shape
	Parts []string
}

// rowView is one entry of the list.
type rowView struct {
	Title, Entity, Lane string
	Alert               bool
	ISO, Clock          string
	Tone, Shape, State  string
	Returned            bool   // the author must act
	Verdict, Why        string // what the hub made of it; "" when it simply applied it
	Correct             *link  // to mend it; nil: there is nothing to mend
	Photos              []picture
	Steps               []bool // saved, at the hub, archived
}

var homePage = webui.NewTemplate(files, "home.html", "parts.html")

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	now := s.Clock()
	v := homeView{Frame: webui.NewFrame(r, texts(), s.assets, "home.css", s.DefaultLang, now)}
	s.around(&v.Frame)
	v.Home = ""
	words := v.Words
	st, err := s.Device.Status(r.Context())
	var rows []EntryRow
	if err == nil {
		rows, err = s.Device.Log(r.Context(), LogQuery{Limit: rowsAtHome})
	}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return
		}
		s.Log.Error("home page: device not readable", "err", err)
		v.Title, v.Heading = "Otor", "Otor"
		v.Strip = strip{Tone: "danger", Parts: []string{words.T("strip.unreadable")}}
		v.Findings = []Finding{*asRefusal(err)}
		webui.Render(w, homePage, http.StatusInternalServerError, v, s.Log)
		return
	}
	v.Heading = words.T("home.heading")
	if st.Device != "" {
		v.Heading = string(st.Device)
	}
	v.Title = v.Heading + " · Otor"
	v.Strip = sentence(words, st, now)
	v.Link = linkWords(words, st.Link, now)
	if st.Link.State == Refused || st.Link.State == Online {
		v.LinkMore = st.Link.Words // trouble that somebody can mend
	} // no signal is normal: why is told among the settings
	v.Clock = clockWords(words, st.Link)
	v.Attempt, v.AttemptOK = s.lastAttempt(words, now)
	v.Findings = st.Findings
	v.Tiles = tiles(words, st)
	for _, row := range rows {
		v.Rows = append(v.Rows, s.listRow(r, words, row))
	}
	if n := st.Pruned(); n > 0 && len(rows) < rowsAtHome {
		v.Pruned = words.T("home.pruned", "n", n)
	}
	v.Buttons, v.More = s.buttons(r, words)
	webui.Render(w, homePage, http.StatusOK, v, s.Log)
}

// sentence builds the strip. "Nothing lost" is said only if the device says so.
func sentence(w *webui.Words, st Status, now time.Time) strip {
	out := strip{Tone: "ok"}
	switch st.Link.State {
	case Offline:
		out = strip{Tone: "off", Parts: []string{w.T("strip.offline")}}
		if st.Link.Doing == HubAway {
			out.Parts[0] = w.T("strip.hub_away")
		}
	case Unenrolled:
		out = strip{Tone: "off", Parts: []string{w.T("strip.unenrolled")}}
	case Refused:
		out = strip{Tone: "danger", Parts: []string{w.T("strip.refused")}}
	case Connecting:
		out = strip{Tone: "wait", Parts: []string{w.T("strip.connecting")}}
	case Online: // what waits says more
	}
	if st.Returned > 0 {
		out.Parts = append(out.Parts, w.T("strip.returned", "n", st.Returned))
		if out.Tone == "ok" {
			out.Tone = "wait"
		}
	}
	switch {
	case st.Waiting > 0:
		out.Parts = append(out.Parts, w.T("strip.waiting", "n", st.Waiting))
		if out.Tone == "ok" {
			out.Tone = "wait"
		}
	case total(st, func(l LaneStatus) dot.Seq { return l.Last }) > 0 && !st.NothingLost:
		// The counts are in doubt: say nothing of them.
	case total(st, func(l LaneStatus) dot.Seq { return l.Last }) > 0:
		out.Parts = append(out.Parts, w.T("strip.all"))
	default:
		out.Parts = append(out.Parts, w.T("strip.none"))
	}
	if st.LastContact != nil {
		out.Parts = append(out.Parts, w.T("strip.last", "at", w.Clock(now, *st.LastContact)))
	} else {
		out.Parts = append(out.Parts, w.T("strip.never"))
	}
	if st.NothingLost {
		out.Parts = append(out.Parts, w.T("strip.kept"))
	} else {
		out.Tone = "danger"
		out.Parts = append([]string{w.T("strip.check")}, out.Parts...)
	}
	if len(st.Findings) > 0 {
		out.Tone = "danger"
	}
	return out
}

// linkWords says what the link does, and since when it is up or down.
func linkWords(w *webui.Words, l Link, now time.Time) string {
	key := "link." + string(l.State)
	if w.Has("doing." + string(l.Doing)) {
		key = "doing." + string(l.Doing)
	}
	if l.State == Refused && w.Has("refused."+l.Code) {
		key = "refused." + l.Code
	}
	if !w.Has(key) {
		return string(l.State)
	}
	state := w.T(key, "n", l.Done, "of", l.Of)
	if l.Since.IsZero() {
		return state
	}
	return w.T("link.since", "state", state, "at", w.Clock(now, l.Since), "ago", w.Ago(now, l.Since))
}

// clockWords says that this phone's clock is wrong, and by how much.
func clockWords(w *webui.Words, l Link) string {
	off := time.Duration(l.ClockOff) * time.Second
	switch {
	case off == 0:
		return ""
	case off.Abs() < 2*time.Hour:
		return w.T("clock.minutes", "n", int64(off.Abs().Minutes()))
	case off.Abs() < 48*time.Hour:
		return w.T("clock.hours", "n", int64(off.Abs().Hours()))
	default:
		return w.T("clock.days", "n", int64(off.Abs().Hours()/24))
	}
}

func total(st Status, of func(LaneStatus) dot.Seq) uint64 {
	var n uint64
	for _, l := range st.Lanes {
		n += uint64(of(l))
	}
	return n
}

func tiles(w *webui.Words, st Status) []tile {
	count := func(of func(LaneStatus) dot.Seq) string { return w.Num(total(st, of)) }
	waiting := tile{w.Num(st.Waiting), w.T("tile.waiting"), "wait", "wait", "/records?list=waiting"}
	if st.Waiting == 0 {
		waiting.Tone = "off"
	}
	return []tile{
		{count(func(l LaneStatus) dot.Seq { return l.Last }), w.T("tile.saved"), "off", "phone", "/records"},
		waiting,
		{count(func(l LaneStatus) dot.Seq { return l.Received }), w.T("tile.received"), "ok", "ok", "/records?list=received"},
		{count(func(l LaneStatus) dot.Seq { return l.Archived }), w.T("tile.archived"), "ok", "archive", "/records?list=received"},
	}
}

func (s *site) rowView(w *webui.Words, e EntryRow, now time.Time) rowView {
	v := rowView{
		Title: s.title(w, e.Form), Entity: e.Entity, Alert: e.Dot.Lane == dot.Alert,
		Lane: w.T("lane."+e.Dot.Lane.String()) + " " + w.Num(uint64(e.Dot.Seq)),
		ISO:  e.DeviceTime.Format(time.RFC3339), Clock: w.Clock(now, e.DeviceTime),
	}
	if e.Verdict != nil {
		v.Verdict, v.Why, v.Returned = e.Verdict.Name, s.why(w, e.Verdict), e.Verdict.Returned
		if key := "verdict." + e.Verdict.Name; w.Has(key) {
			v.Verdict = w.T(key)
		}
	}
	switch e.State {
	case Custody:
		v.Tone, v.Shape, v.Steps = "wait", "station", []bool{true, false, false}
	case Received:
		v.Tone, v.Shape, v.Steps = "ok", "ok", []bool{true, true, false}
	case Archived:
		v.Tone, v.Shape, v.Steps = "ok", "archive", []bool{true, true, true}
	default:
		v.Tone, v.Shape, v.Steps = "off", "phone", []bool{true, false, false}
	}
	if key := "state." + string(e.State); w.Has(key) {
		v.State = w.T(key)
	} else {
		v.State = string(e.State)
	}
	if e.ReceivedAt != nil && e.State == Received {
		v.State += " " + w.Clock(now, *e.ReceivedAt)
	}
	return v
}

func (s *site) title(w *webui.Words, form string) string {
	if form == "" {
		return w.T("home.system")
	}
	if s.FormTitle != nil {
		if t := s.FormTitle(w.Lang, form); t != "" {
			return t
		}
	}
	return form
}

// why says a verdict's reason in the reader's words where there are some, else
// in the hub's.
func (s *site) why(w *webui.Words, v *Verdict) string {
	if s.Pack != nil && s.Pack() != nil {
		if words := s.Pack().RuleWord(v.Code, w.Lang); words != "" {
			return words
		}
	}
	if key := "code." + v.Code; w.Has(key) && w.Lang != "en" {
		return w.T(key)
	}
	return v.Words
}

// size writes bytes as people read free space.
func size(b uint64) string {
	switch {
	case b >= 1<<30:
		return decimal(b, 1<<30) + " GB"
	case b >= 1<<20:
		return decimal(b, 1<<20) + " MB"
	default:
		return decimal(b, 1<<10) + " kB"
	}
}

func (s *site) syncFromPage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	a := attempt{at: s.Clock()}
	var err error
	if a.res, err = s.contact(r); err != nil {
		s.Log.Info("contact asked for from the page ended without success", "err", err)
		a.refusal = asRefusal(err)
	}
	if !errors.Is(err, errBusy) {
		s.mu.Lock()
		s.last = &a
		s.mu.Unlock()
	}
	http.Redirect(w, r, webui.LocalPath(r.PostFormValue("back")), http.StatusSeeOther)
}

// attemptShown is how long an attempt stays on the page.
const attemptShown = 10 * time.Minute

// lastAttempt tells of the latest contact asked for here; a failed one is
// always told of.
func (s *site) lastAttempt(w *webui.Words, now time.Time) (words string, ok bool) {
	s.mu.Lock()
	a := s.last
	s.mu.Unlock()
	if a == nil || now.Sub(a.at) > attemptShown {
		return "", true
	}
	at := w.Clock(now, a.at)
	if a.refusal != nil {
		return w.T("attempt.failed", "at", at, "what", a.refusal.Error()), false
	}
	words = w.T("attempt.done", "at", at, "sent", a.res.Received, "pulled", a.res.Pulled, "left", a.res.Remaining)
	if a.res.Lost > 0 {
		return words + w.T("attempt.lost", "n", a.res.Lost), false
	}
	return words, true
}

// decimal writes b/unit with one digit after the point below ten units.
func decimal(b, unit uint64) string {
	if b/unit >= 10 {
		return strconv.FormatUint(b/unit, 10)
	}
	return strconv.FormatFloat(float64(b)/float64(unit), 'f', 1, 64)
}
