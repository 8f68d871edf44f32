package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"otor/internal/webui"
)

// dueView is what due.html shows.
type dueView struct {
	webui.Frame
	Age    string
	Stops  []dueStop
	Drafts []draftRow
}

// dueStop is a stop of the route with what is due there.
type dueStop struct {
	Name, Km string
	Here     bool
	Rows     []dueRow
}

// dueRow is one thing that is due.
type dueRow struct {
	URL, What, Whom, ID string
	Marks               []mark
}

// warning says that work was done already.
type warning struct {
	Title string
	Lines []string
	Age   string
}

var duePage = webui.NewTemplate(files, "due.html", "parts.html")

// agenda shows what is due, in the order in which the team comes by.
func (s *site) agenda(w http.ResponseWriter, r *http.Request) {
	v := dueView{Frame: s.frame(r, "nav.visit")}
	t, err := s.tell(r, v.Words)
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	here := s.whereabouts(r, t)
	v.Drafts = s.drafts(r, v.Words)
	for _, l := range DueList(t.pack, t.book, t.now, here, t.Lang) {
		stop := t.T("households.elsewhere")
		if l.Stop != "" {
			stop = t.name(t.stopType(), l.Stop)
		}
		if n := len(v.Stops); n == 0 || v.Stops[n-1].Name != stop {
			at := dueStop{Name: stop, Here: l.Stop != "" && l.Stop == here}
			if th, ok := t.book.Thing(t.stopType(), l.Stop); ok {
				at.Km = t.km(th)
			}
			v.Stops = append(v.Stops, at)
		}
		if v.Age == "" && l.AsOf != nil {
			v.Age = t.age(Thing{AsOf: l.AsOf})
		}
		last := &v.Stops[len(v.Stops)-1]
		last.Rows = append(last.Rows, t.dueRow(l))
	}
	webui.Render(w, duePage, http.StatusOK, v, s.Log)
}

// dueRow says one thing that is due, and leads to whom it is due for.
func (t *teller) dueRow(l DueLine) dueRow {
	row := dueRow{What: l.Label, ID: l.Visited, Whom: t.nameOf(l), Marks: []mark{t.dueMark(l)}}
	row.URL = "/visit/" + url.PathEscape(l.Form) + "?entity=" + url.QueryEscape(l.Entity)
	if l.Visited != "" {
		row.URL = "/household/" + url.PathEscape(l.Visited)
	}
	return row
}

// nameOf names what a line is about: the entity itself, or whom the team visits.
func (t *teller) nameOf(l DueLine) string {
	vis := t.pages().Visited
	if vis == nil {
		return l.Entity
	}
	for _, p := range vis.Parts {
		if _, ok := t.book.Thing(p.Type, l.Entity); ok {
			return t.name(p.Type, l.Entity)
		}
	}
	return t.name(vis.Type, l.Visited)
}

func (t *teller) dueMark(l DueLine) mark {
	switch {
	case l.Days < 0:
		return mark{"danger", "danger", t.T("due.over", "day", l.Date)}
	case l.Days == 0:
		return mark{"wait", "clock", t.T("due.today")}
	default:
		return mark{"wait", "clock", t.T("due.by", "day", l.Date)}
	}
}

// dueFor lists what is due for a visited entity.
func (t *teller) dueFor(id string) []dueRow {
	var out []dueRow
	for _, l := range DueList(t.pack, t.book, t.now, "", t.Lang) {
		if l.Visited != id {
			continue
		}
		row := t.dueRow(l)
		row.URL = "/visit/" + url.PathEscape(l.Form) + "?entity=" + url.QueryEscape(l.Entity)
		out = append(out, row)
	}
	return out
}

// dueCounts says how much is due for each visited entity.
func (t *teller) dueCounts() map[string][]DueLine {
	out := map[string][]DueLine{}
	for _, l := range DueList(t.pack, t.book, t.now, "", t.Lang) {
		out[l.Visited] = append(out[l.Visited], l)
	}
	return out
}

// tally counts what is due, which takes a look at everything that the device knows.
// With a sumu's data that is seconds: the home page does not wait for it. One count runs
// at a time; what changes while it runs is counted by the next, however many pages asked.
type tally struct {
	mu   sync.Mutex
	want string        // the state of the device that was asked for last; "" none was
	from *teller       // who knows that state; nil: it is counted
	done chan struct{} // closed when that one is counted
	n    int           // the latest that was counted
}

// patience is how long the home page waits for the count. A gacha's is there by then. With
// more than large entities it is not: the page does not wait, and has the processor for itself first.
const (
	patience = 60 * time.Millisecond
	large    = 5_000
	later    = 400 * time.Millisecond
)

// dueCount is how many of all are due, "" for none, or where that is not known yet. A
// count that comes later than the page does lets the page be shown anew.
func (s *site) dueCount(ctx context.Context, t *teller) string {
	of := fmt.Sprintf("%s %d %s", t.pack.ID, t.book.Edition(), t.now.Format(time.DateOnly))
	c := &s.tally
	c.mu.Lock()
	wait, pause := patience, time.Duration(0)
	if t.book.Size() > large {
		wait, pause = 0, later
	}
	if c.want != of {
		if c.from == nil {
			c.done = make(chan struct{})
			time.AfterFunc(pause, func() { c.count(s.Counted) })
		}
		c.want, c.from = of, t
	}
	done := c.done
	c.mu.Unlock()
	select {
	case <-done:
	case <-time.After(wait):
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		return ""
	}
	return t.Num(uint64(c.n)) //nolint:gosec // a length
}

// count counts until what was asked for last is counted.
func (c *tally) count(counted func()) {
	for more := true; more; {
		began := time.Now()
		c.mu.Lock()
		of, t := c.want, c.from
		c.mu.Unlock()
		n := len(DueList(t.pack, t.book, t.now, "", t.Lang))
		c.mu.Lock()
		c.n, more = n, c.want != of
		if !more {
			c.from = nil
			close(c.done)
		}
		c.mu.Unlock()
		if counted != nil && time.Since(began) > patience/2 {
			counted()
		}
	}
}

// mostTimes bounds how many earlier times a warning tells of.
const mostTimes = 3

// already warns, before the work, that it was done: when, by whom, and how old
// what the device knows is. nil: it was not, or the pack has no rule for it.
func (t *teller) already(form, entity string) *warning {
	a := DoneCheck(t.pack, t.book, t.now, form, entity, nil)
	if !a.Done {
		return nil
	}
	v := &warning{Title: t.T("already.title")}
	if a.AsOf != nil {
		v.Age = t.age(Thing{AsOf: a.AsOf})
	}
	for _, by := range a.By[:min(len(a.By), mostTimes)] {
		at := by.Day
		if !by.At.IsZero() {
			at = t.Clock(t.now, by.At)
		}
		who := by.Device
		if who == "" {
			who = t.T("already.somebody")
		}
		line := t.T("already.line", "at", at, "who", who)
		if what := t.named(by.Type, by.Entity); what != "" {
			line += " · " + what
		}
		if !slices.Contains(v.Lines, line) {
			v.Lines = append(v.Lines, line)
		}
	}
	return v
}
