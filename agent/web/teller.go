package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"otor/internal/form"
	"otor/internal/pack"
	"otor/internal/webui"
)

// teller says in a reader's words what the device knows. It lives for one look.
type teller struct {
	*webui.Words
	now  time.Time
	pack *pack.Pack
	book Book
}

// told is one thing that a page says of an entity.
type told struct {
	Label, Text, Field string
	Conflict           bool // the office has to decide between values
}

// tell opens the book for a request. nil: the device has no pack to go by, or
// nothing that can be read; the caller answers with the refusal.
func (s *site) tell(r *http.Request, w *webui.Words) (*teller, error) {
	if s.Pack == nil || s.Books == nil || s.Pack() == nil || s.Pack().Pages == nil {
		return nil, &Refusal{Code: "no_pages", What: w.T("page.none"), Do: w.T("page.none.do")}
	}
	b, err := s.Books.Book(r.Context())
	if err != nil {
		return nil, err
	}
	return &teller{Words: w, now: s.Clock(), pack: s.Pack(), book: b}, nil
}

func (t *teller) pages() *pack.Pages { return t.pack.Pages }

func (t *teller) in(l form.Labels) string { return t.pack.In(l, t.Lang) }

// telling puts what the book knows into words.
func (t *teller) telling() pack.Telling {
	return pack.Telling{Phrases: t.Words, Pack: t.pack, Lang: t.Lang, Now: t.now, Read: func(typ, id string) (map[string]any, bool) {
		th, ok := t.book.Written(typ, id)
		return th.Fields, ok
	}}
}

// name is what an entity is called, its id when nothing better is known.
func (t *teller) name(typ, id string) string { return t.telling().Name(typ, id) }

// named is the name without the id to fall back to.
func (t *teller) named(typ, id string) string { return t.telling().Named(typ, id) }

// facts says what is known of an entity, in the order of the pack.
func (t *teller) facts(th Thing, facts []pack.Fact) []told {
	var out []told
	for _, f := range facts {
		of, field := th, f.Field
		if typ, name, other := strings.Cut(f.Field, ":"); other {
			of, _ = t.book.Thing(typ, th.ID)
			field = name
		}
		x := told{Label: t.in(f.Label), Field: f.Field, Conflict: slices.Contains(of.Conflicts, field)}
		if v, ok := of.Fields[field]; ok {
			x.Text = t.value(of.Type, field, v)
		}
		if x.Text != "" || x.Conflict {
			out = append(out, x)
		}
	}
	return out
}

// value says a field's value.
func (t *teller) value(typ, field string, v any) string { return t.telling().Value(typ, field, v) }

// yes reports whether a field is true.
func (t Thing) yes(field string) bool { v, _ := t.Fields[field].(bool); return v }

// text is a field's text, "" when it has none.
func (t Thing) text(field string) string { v, _ := t.Fields[field].(string); return v }

// number is a field's number.
func (t Thing) number(field string) (float64, bool) {
	switch v := t.Fields[field].(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// time is a field's moment.
func (t Thing) time(field string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, t.text(field))
	return at, err == nil
}

// age says how old what the device knows of an entity is.
func (t *teller) age(th Thing) string {
	if th.AsOf == nil {
		return t.T("age.own")
	}
	return t.T("age.asof", "at", t.Clock(t.now, *th.AsOf), "ago", t.Ago(t.now, *th.AsOf))
}
