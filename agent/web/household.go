package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"otor/internal/dot"
	"otor/internal/pack"
	"otor/internal/webui"
)

// link leads somewhere.
type link struct{ URL, Text string }

// card is one entity on a page, with what can be done about it.
type card struct {
	ID, Name string
	Say      string // the word for a conflict
	Facts    []told
	Marks    []mark
	Work     []link
	Note     string
}

// householdView is what household.html shows.
type householdView struct {
	webui.Frame
	Main    card
	Balance *balanceView
	Parts   []partView
	Drafts  []draftRow
	Due     []dueRow
	Last    string // who was here last
	History []historyRow
	Age     string
	Stop    string
}

// balanceView says what is counted against what is allowed.
type balanceView struct {
	Label, Tone, Shape, Words, Sentence string
}

type partView struct {
	ID, Label string
	Cards     []card
	Work      []link
}

// historyRow is something that was written here.
type historyRow struct {
	ISO, Clock, What, Who string
	Mine                  bool
	Verdict, Why          string
	Photos                []picture
}

var householdPage = webui.NewTemplate(files, "household.html", "parts.html")

func (s *site) household(w http.ResponseWriter, r *http.Request) {
	v := householdView{Frame: s.frame(r, "")}
	t, err := s.tell(r, v.Words)
	var thing Thing
	if err == nil {
		ok := false
		if vis := t.pages().Visited; vis != nil {
			thing, ok = t.book.Thing(vis.Type, r.PathValue("id"))
		}
		if !ok {
			err = &Refusal{Code: "not_here", What: v.Words.T("household.unknown"), Which: r.PathValue("id"), Do: v.Words.T("household.unknown.do")}
		}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	vis := t.pages().Visited
	v.Heading = t.name(thing.Type, thing.ID)
	v.Title = v.Heading + " · Otor"
	v.Main = s.card(t, thing, vis.Facts, vis.Forms)
	v.Stop, v.Age = t.name(t.stopType(), thing.text(vis.Stop)), t.age(thing)
	v.Balance = t.balance(thing)
	v.Due = t.dueFor(thing.ID)
	for _, p := range vis.Parts {
		if pv := s.part(t, p, thing.ID); len(pv.Cards) > 0 {
			v.Parts = append(v.Parts, pv)
		}
	}
	ids := s.kin(t, vis, thing.ID)
	v.Drafts = s.draftsAbout(r, t, ids)
	v.History = s.history(r, t, thing, vis, ids)
	if len(v.History) > 0 {
		h := v.History[0]
		v.Last = t.T("household.last", "who", h.Who, "at", h.Clock, "what", h.What)
	}
	webui.Render(w, householdPage, http.StatusOK, v, s.Log)
}

func (t *teller) stopType() string {
	if r := t.pages().Route; r != nil {
		return r.Type
	}
	return ""
}

func (s *site) card(t *teller, thing Thing, facts []pack.Fact, forms []string) card {
	c := card{ID: thing.ID, Name: t.name(thing.Type, thing.ID), Say: t.T("say.conflict"), Facts: t.facts(thing, facts)}
	c.Work = s.work(t, forms, thing.ID)
	return c
}

// work offers forms about an entity.
func (s *site) work(t *teller, forms []string, entity string) []link {
	var out []link
	if s.Visits == nil {
		return nil
	}
	for _, f := range forms {
		out = append(out, link{"/visit/" + url.PathEscape(f) + "?entity=" + url.QueryEscape(entity), s.title(t.Words, f)})
	}
	return out
}

// part is what belongs to a household, of one kind.
func (s *site) part(t *teller, p pack.Part, id string) partView {
	v := partView{ID: p.ID, Label: t.in(p.Label)}
	for _, of := range t.book.Having(p.Type, p.By, id) {
		thing, ok := t.book.Thing(p.Type, of)
		if !ok {
			continue
		}
		c := s.card(t, thing, p.Facts, p.Forms)
		if p.Title != "" {
			c.Name = cmp.Or(t.value(p.Type, p.Title, thing.Fields[p.Title]), c.Name)
		}
		v.Cards = append(v.Cards, c)
	}
	return v
}

// balance says in words what is counted against what is allowed; nil when it is
// not known.
func (t *teller) balance(thing Thing) *balanceView {
	b := t.pages().Visited.Balance
	if b == nil {
		return nil
	}
	counted, ok := thing.number(b.Counted)
	allowed, ok2 := thing.number(b.Allowed)
	if !ok || !ok2 {
		return nil
	}
	unit := t.in(b.Unit)
	v := &balanceView{Label: t.in(b.Label), Tone: "ok", Shape: "ok"}
	v.Words = t.in(b.Words[thing.text(b.Status)])
	args := []any{"counted", t.Decimal(counted, 1), "allowed", t.Decimal(allowed, 1), "unit", unit}
	switch share, known := thing.number(b.Share); {
	case !known:
		v.Sentence = t.T("balance.counted", args...)
	case share > 0:
		v.Tone, v.Shape = "wait", "wait"
		v.Sentence = t.T("balance.sentence.over", append(args, "share", t.Percent(share))...)
	default:
		v.Sentence = t.T("balance.sentence.under", append(args, "share", t.Percent(-share))...)
	}
	if thing.text(b.Status) == b.Over {
		v.Tone, v.Shape = "danger", "danger"
	}
	return v
}

// kin lists a household and all that belongs to it.
func (s *site) kin(t *teller, vis *pack.Visited, id string) []string {
	out := []string{id}
	for _, p := range vis.Parts {
		out = append(out, t.book.Having(p.Type, p.By, id)...)
	}
	return out
}

// mostHistory bounds what a household's page tells of the past.
const mostHistory = 30

// history tells what was done here: by this device's entries, and by what others
// wrote as far as it still stands.
func (s *site) history(r *http.Request, t *teller, thing Thing, vis *pack.Visited, ids []string) []historyRow {
	type moment struct {
		row historyRow
		at  int64
	}
	var all []moment
	seen := map[dot.Dot]bool{}
	rows, err := s.Device.Log(r.Context(), LogQuery{Limit: logLooked, About: ids})
	if err != nil {
		s.Log.Warn("the log cannot be read", "err", err)
	}
	photos := s.album(r, t.Words)
	for _, e := range rows {
		seen[e.Dot] = true
		v := s.rowView(t.Words, e, t.now)
		row := historyRow{Photos: photos.of(e.Dot, v.Title, v.Clock), ISO: v.ISO, Clock: v.Clock, What: v.Title, Who: t.T("household.here"), Mine: true, Verdict: v.Verdict, Why: v.Why}
		if e.Entity != thing.ID && t.named("", e.Entity) == "" {
			row.What += " · " + s.called(t, vis, e.Entity)
		}
		all = append(all, moment{row, e.DeviceTime.UnixMilli()})
	}
	note := func(th Thing) {
		for _, touch := range th.Touches {
			if seen[touch.Dot] || touch.Dot.Device == dot.Hub {
				continue
			}
			seen[touch.Dot] = true
			all = append(all, moment{historyRow{
				ISO: touch.At.Format("2006-01-02T15:04:05Z07:00"), Clock: t.Clock(t.now, touch.At), Who: string(touch.Dot.Device),
				What: t.T("household.changed", "what", s.called(t, vis, th.ID)),
			}, touch.At.UnixMilli()})
		}
	}
	note(thing)
	for _, p := range vis.Parts {
		for _, id := range t.book.Having(p.Type, p.By, thing.ID) {
			if th, ok := t.book.Thing(p.Type, id); ok {
				note(th)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(b.at, a.at) })
	var out []historyRow
	for _, m := range all[:min(len(all), mostHistory)] {
		out = append(out, m.row)
	}
	return out
}

// called names what an id of the household's surroundings stands for.
func (s *site) called(t *teller, vis *pack.Visited, id string) string {
	if th, ok := t.book.Written(vis.Type, id); ok {
		return t.name(th.Type, id)
	}
	for _, p := range vis.Parts {
		if th, ok := t.book.Written(p.Type, id); ok {
			if p.Title != "" {
				return t.in(p.Label) + " " + t.value(p.Type, p.Title, th.Fields[p.Title])
			}
			return t.name(p.Type, id)
		}
	}
	return id
}
