package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/pack"
	"otor/internal/webui"
)

// Agenda is what is due, and what was done already, by the pack's rules and by what
// the device knows: the hub's states with its own records over them.
type Agenda interface {
	// Due lists what is due in the order of the route, from a stop on when one is named.
	Due(ctx context.Context, from string) ([]DueLine, error)
	// Done says whether the work of a form about an entity was done already. answers are
	// those that tell such work apart, such as an item and a year; those that are not
	// there count as any.
	Done(ctx context.Context, form, entity string, answers map[string]string) (DoneAnswer, error)
}

// DueLine is one thing that is due; its JSON is that of `agent due`.
type DueLine struct {
	Rule   string `json:"rule"`
	Label  string `json:"label"`
	Form   string `json:"form"`
	Type   string `json:"type"`
	Entity string `json:"entity"`
	Date   string `json:"date"`             // by which day
	Days   int    `json:"days"`             // until then; below 0: overdue
	Bucket string `json:"bucket,omitempty"` // how urgent, in the pack's words
	// Visited is whom the team visits for it, Stop where on the route; empty: not on it.
	Visited string     `json:"visited"`
	Stop    string     `json:"stop"`
	Order   int        `json:"order"` // of the stop, from 1; 0: not on the route
	AsOf    *time.Time `json:"as_of"` // how old what is known is; nil: this device's alone
}

// DoneAnswer says whether work was done already; its JSON is that of GET /api/v1/done.
type DoneAnswer struct {
	Form   string `json:"form"`
	Entity string `json:"entity"`
	// Known says that the pack has a rule for that form: without one nothing is said.
	Known bool       `json:"known"`
	Done  bool       `json:"done"`
	By    []DoneBy   `json:"by"` // the latest first
	AsOf  *time.Time `json:"as_of"`
}

// DoneBy is one time that it was done.
type DoneBy struct {
	Type   string    `json:"type"` // the entity on which it shows
	Entity string    `json:"entity"`
	Day    string    `json:"day,omitempty"`
	At     time.Time `json:"at"`     // when it was captured, by its device's clock
	Device string    `json:"device"` // whose record it is
	Dot    dot.Dot   `json:"dot"`
}

// DueList lists what is due, see [Agenda].
func DueList(p *pack.Pack, book Book, today time.Time, from, lang string) []DueLine {
	stops := orderOf(p, book, from)
	var out []DueLine
	for _, rule := range p.Dues {
		for _, id := range book.IDs(rule.Type) {
			th, _ := book.Thing(rule.Type, id)
			day, err := time.Parse(time.DateOnly, th.text(rule.Date))
			if err != nil {
				continue
			}
			l := DueLine{
				Rule: rule.ID, Label: p.In(rule.Label, lang), Form: rule.Form, Type: rule.Type, Entity: id, Date: th.text(rule.Date), AsOf: th.AsOf,
				Days: int(day.Sub(dayOf(today)) / (24 * time.Hour)),
			}
			if rule.Bucket != "" {
				if l.Bucket = th.text(rule.Bucket); !slices.Contains(rule.Buckets, l.Bucket) {
					continue
				}
			} else if l.Days > 0 {
				continue
			}
			l.Visited = follow(p, book, th, rule.Visited)
			if v := p.Pages; v != nil && v.Visited != nil && l.Visited != "" {
				home, _ := book.Thing(v.Visited.Type, l.Visited)
				l.Stop = home.text(v.Visited.Stop)
				l.Order = stops[l.Stop]
			}
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b DueLine) int {
		return cmp.Or(cmp.Compare(last(a.Order), last(b.Order)), strings.Compare(a.Visited, b.Visited), strings.Compare(a.Date, b.Date),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Entity, b.Entity))
	})
	return out
}

// last puts what is on no route behind.
func last(order int) int {
	if order == 0 {
		return 1 << 30
	}
	return order
}

func dayOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// orderOf numbers the stops of the route, from one of them on; those before it come last.
func orderOf(p *pack.Pack, book Book, from string) map[string]int {
	out := map[string]int{}
	if p.Pages == nil || p.Pages.Route == nil {
		return out
	}
	r := p.Pages.Route
	ids := book.IDs(r.Type)
	slices.SortStableFunc(ids, func(a, b string) int {
		x, _ := book.Thing(r.Type, a)
		y, _ := book.Thing(r.Type, b)
		m, _ := x.number(r.Order)
		n, _ := y.number(r.Order)
		return cmp.Compare(m, n)
	})
	if i := slices.Index(ids, from); i > 0 {
		ids = append(slices.Clone(ids[i:]), ids[:i]...)
	}
	for i, id := range ids {
		out[id] = i + 1
	}
	return out
}

// follow goes along a path of references; "" when it ends on the way.
func follow(p *pack.Pack, book Book, th Thing, path string) string {
	if path == "" {
		return th.ID
	}
	typ, id := th.Type, th.ID
	for step := range strings.SplitSeq(path, ".") {
		at, ok := book.Thing(typ, id)
		e, _ := p.Entity(typ)
		f, known := e.Field(step)
		if !ok || !known {
			return ""
		}
		typ, id = f.Ref, at.text(step)
	}
	return id
}

// DoneCheck says whether work was done already, see [Agenda].
func DoneCheck(p *pack.Pack, book Book, today time.Time, form, entity string, answers map[string]string) DoneAnswer {
	out := DoneAnswer{Form: form, Entity: entity, By: []DoneBy{}}
	for _, rule := range p.Dones {
		if rule.Form != form {
			continue
		}
		out.Known = true
		ids := []string{entity}
		if rule.By != "" {
			ids = book.Having(rule.Type, rule.By, entity)
		}
		for _, id := range ids {
			th, ok := book.Thing(rule.Type, id)
			if !ok {
				continue
			}
			if out.AsOf == nil {
				out.AsOf = th.AsOf
			}
			if !alike(th, rule.Same, answers) {
				continue
			}
			out.By = append(out.By, timesOf(rule, th, today)...)
		}
	}
	slices.SortStableFunc(out.By, func(a, b DoneBy) int { return cmp.Or(strings.Compare(b.Day, a.Day), b.At.Compare(a.At)) })
	out.Done = len(out.By) > 0
	return out
}

// alike reports whether fields are as the answers of their names, where those are given.
func alike(th Thing, fields []string, answers map[string]string) bool {
	for _, f := range fields {
		if want := answers[f]; want != "" && fmt.Sprint(th.Fields[f]) != want {
			return false
		}
	}
	return true
}

// timesOf lists when the work was done, by one entity.
func timesOf(rule pack.Done, th Thing, today time.Time) []DoneBy {
	by := func(field, day string) DoneBy {
		d := DoneBy{Type: th.Type, Entity: th.ID, Day: day}
		for _, t := range th.Touches {
			if slices.Contains(t.Fields, field) && (day == "" || t.At.Format(time.DateOnly) == day) {
				d.At, d.Device, d.Dot = t.At, string(t.Dot.Device), t.Dot
				break
			}
		}
		return d
	}
	if rule.Days == "" {
		if len(th.Touches) == 0 {
			return nil
		}
		first := th.Touches[len(th.Touches)-1]
		return []DoneBy{{Type: th.Type, Entity: th.ID, At: first.At, Device: string(first.Dot.Device), Dot: first.Dot}}
	}
	days, _ := th.Fields[rule.Days].([]any)
	if one := th.text(rule.Days); one != "" {
		days = []any{one}
	}
	var out []DoneBy
	for _, v := range days {
		text, _ := v.(string)
		day, err := time.Parse(time.DateOnly, text)
		if err == nil && dayOf(today).Sub(day).Abs() < rule.Window {
			out = append(out, by(rule.Days, text))
		}
	}
	return out
}

func (s *site) apiDue(w http.ResponseWriter, r *http.Request) {
	v, err := s.Agenda.Due(r.Context(), r.FormValue("from"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, v)
}

func (s *site) apiDone(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	answers := map[string]string{}
	for name := range q {
		if name != "form" && name != "entity" {
			answers[name] = q.Get(name)
		}
	}
	v, err := s.Agenda.Done(r.Context(), q.Get("form"), q.Get("entity"), answers)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, v)
}
