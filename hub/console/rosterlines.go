package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"otor/internal/webui"
)

type rosterLinesView struct {
	Frame
	List    rosterListView
	Query   RosterQuery
	Lines   []lineView
	Next    string
	Trouble string
	All     bool
}

type lineView struct {
	RosterLine
	W           *webui.Words
	Kind, Title string
	InQueue     bool // the list is named with it
	Tone, Shape string
	Heading     string // of the standing
	PersonURL   string
	Unentered   string // what is to be done about somebody who was not entered
	Back        string // where a decision goes back to
	Found       []problemView
	AgreeWords  string
	Differences []RosterDifference
	Clock       string
	Options     []optionView
	Typed       RosterChoice // a decision about it that was turned down
}

// Picked reports whether a choice was picked when the decision was turned down.
func (v lineView) Picked(choice string) bool { return v.Typed.Choice == choice }

func (s *site) rosterList(w http.ResponseWriter, r *http.Request) {
	s.showRoster(w, r, http.StatusOK, "")
}

func (s *site) showRoster(w http.ResponseWriter, r *http.Request, status int, trouble string) {
	v := rosterLinesView{Frame: s.frame(r, "/roster"), Trouble: trouble}
	v.Still = true
	args, typed := r.URL.Query(), RosterChoice{}
	if r.Method != http.MethodGet { // a decision that was turned down: the same part of the list, and what was typed
		typed = rosterChoice(r)
		if back, err := url.Parse(webui.LocalPath(r.PostFormValue("back"))); err == nil {
			args = back.Query()
		}
	}
	q := RosterQuery{Kind: r.PathValue("kind"), Standing: args.Get("standing"), Open: args.Get("open") == "true", AfterLine: -1, AfterKey: args.Get("key")}
	if n, err := strconv.Atoi(args.Get("after")); err == nil {
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
		v.Lines = append(v.Lines, lineOf(v.Frame, l, v.List.RosterList, back, typed))
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
func lineOf(f Frame, l RosterLine, list RosterList, back string, typed RosterChoice) lineView {
	v := lineView{RosterLine: l, Kind: list.Kind, Title: list.Title, Back: back, W: f.Words, InQueue: strings.HasPrefix(back, "/queue"), Heading: f.Words.T("standing." + l.Standing)}
	v.Tone, v.Shape = standingTone(l.Standing)
	v.By = whoWords(f.Words, l.By)
	if l.Person != nil && l.PersonType != "" {
		v.PersonURL = thingURL(l.PersonType + "/" + l.Person.Ref)
	}
	if l.Standing == "missing" && l.Person != nil { // known, and not as what the list is of
		v.Heading, v.Tone, v.Shape = f.Words.T("roster.not_entered"), "wait", "people"
		v.Unentered = f.Words.T("roster.not_entered_words")
	}
	if typed.Key == l.Key {
		v.Typed = typed
	}
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

// rosterChoice reads the form of a decision about a line.
func rosterChoice(r *http.Request) RosterChoice {
	return RosterChoice{Key: r.PostFormValue("key"), Choice: r.PostFormValue("choice"), Person: r.PostFormValue("person"), Seen: r.PostFormValue("seen"), Reason: r.PostFormValue("reason")}
}

// ruleRoster decides about a line, from the list or from the queue.
func (s *site) ruleRoster(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	c := rosterChoice(r)
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
func (s *site) fillRosters(ctx context.Context, v *queueView, counts map[string]Waiting) error {
	if !v.Who.May("roster") {
		return nil
	}
	lists, err := s.Rosters.Lists(ctx, v.Words.Lang)
	if err != nil {
		return err
	}
	for _, l := range lists {
		for _, n := range l.Open {
			counts["roster"] = Waiting{N: counts["roster"].N + uint64(n)} //nolint:gosec // a count
		}
		if v.Kind != "roster" || len(l.Open) == 0 {
			continue
		}
		lines, more, err := s.Rosters.Lines(ctx, RosterQuery{Kind: l.Kind, Open: true, AfterLine: -1}, rosterPage, v.Words.Lang)
		if err != nil {
			return err
		}
		for _, line := range lines {
			v.Lists = append(v.Lists, lineOf(v.Frame, line, l, "/queue?kind=roster", v.Line))
		}
		if more { // the list's own page goes on from here
			last := lines[len(lines)-1]
			args := rosterArgs(RosterQuery{Open: true, AfterLine: last.Row, AfterKey: last.Key})
			v.Longer = append(v.Longer, picked{Value: "/roster/list/" + url.PathEscape(l.Kind) + "?" + args.Encode(), Words: v.Words.T("queue.more_of", "title", l.Title)})
		}
	}
	return nil
}
