package console

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

type itemView struct {
	Frame
	Item
	Kind, KindWords string
	Opened, Closed  string
	Columns         []sideView
	Options         []optionView
	SeenText        string // the dots that a decision had in view, joined by blanks
	Next, Previous  int64  // of the same kind; 0: none
	ThingURL        string // of the entity's page
	Trouble         string
	Others          []otherView // what another value takes
	Choice, Reason  string      // as typed, when it was turned down
	Typed           map[string]string
	Keys            string // what keys do here
	MayRule         bool
}

// optionView is a choice about what a rule noticed.
type optionView struct{ Choice, Key, Words string }

// otherView is a part of another value, with what was typed.
type otherView struct {
	OtherPart
	ID, Field, Input, Text string // Input is the type of the field on the page
}

// others are the fields by which another value is typed. The first is where the key leads.
func others(parts []OtherPart, typed map[string]string) (out []otherView) {
	inputs := map[string]string{"integer": "number", "decimal": "number", "date": "date"}
	for i, p := range parts {
		v := otherView{OtherPart: p, ID: "value", Field: "value", Input: cmp.Or(inputs[p.Kind], "text"), Text: typed[p.Name]}
		if i > 0 {
			v.ID += "-" + p.Name
		}
		if p.Name != "" {
			v.Field += "." + p.Name
		}
		out = append(out, v)
	}
	return out
}

// keys says what the keys do on an item's page.
func (v *itemView) keys() string {
	var parts []string
	say := func(shown bool, key string) {
		if shown {
			parts = append(parts, v.Words.T(key))
		}
	}
	may := v.MayRule && v.Decidable && v.Open
	say(may && len(v.Sides) > 0, "keys.sides")
	say(may && len(v.Options) > 0, "keys.options")
	say(may && len(v.Others) > 0, "keys.other")
	say(may && len(v.Sides) > 0, "keys.ask")
	say(v.MayRule && v.Undo, "keys.undo")
	parts = append(parts, v.Words.T("keys.walk"))
	return v.Words.T("keys.are", "keys", strings.Join(parts, v.Words.T("keys.comma")))
}

type sideView struct {
	Side
	Key                         string // the key that chooses it
	DeviceAt, HubAt, ReceivedAt string
	Where                       string // it was captured
	Off                         string // how far the device's clock was off
}

func (s *site) item(w http.ResponseWriter, r *http.Request) {
	s.showItem(w, r, http.StatusOK, itemView{})
}

func (s *site) showItem(w http.ResponseWriter, r *http.Request, status int, v itemView) {
	v.Frame = s.frame(r, "/queue")
	v.Still = true
	words := v.Words
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		return
	}
	v.Back = "/queue/" + strconv.FormatInt(id, 10)
	if v.Item, err = s.Queue.Item(r.Context(), id, words.Lang); err != nil {
		if _, code := s.trouble(r, err); code == http.StatusUnprocessableEntity {
			s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
			return
		}
		s.pages.Refuse(w, r, http.StatusInternalServerError, "broken")
		return
	}
	v.Kind, v.KindWords = v.Item.Kind, words.T("kind."+v.Item.Kind)
	v.title(v.About + " · " + cmp.Or(v.Field, v.KindWords))
	v.MayRule = v.Who.May("decide")
	v.DecidedBy, v.AskedBy = whoWords(words, v.DecidedBy), whoWords(words, v.AskedBy)
	v.ThingURL = thingURL(v.Entity)
	v.Opened = words.Clock(v.Now, v.OpenedAt) + " · " + words.Ago(v.Now, v.OpenedAt)
	if !v.Open {
		v.Closed = words.Clock(v.Now, v.ClosedAt)
	}
	for i, side := range v.Sides {
		c := sideView{Side: side, Key: strconv.Itoa(i + 1)}
		for _, t := range []struct {
			to *string
			at time.Time
		}{{&c.DeviceAt, side.DeviceAt}, {&c.HubAt, side.HubAt}, {&c.ReceivedAt, side.ReceivedAt}} {
			if !t.at.IsZero() {
				*t.to = words.Clock(v.Now, t.at)
			}
		}
		if off := side.DeviceAt.Sub(side.HubAt); off.Abs() >= time.Minute && !side.DeviceAt.IsZero() {
			key := "skew.fast"
			if off < 0 {
				key = "skew.slow"
			}
			c.Off = words.T(key, "span", words.Span(off))
		}
		c.Where = where(words, side.Place)
		v.Columns = append(v.Columns, c)
	}
	for i, c := range v.Offers {
		v.Options = append(v.Options, optionView{c, strconv.Itoa(i + 1), words.T("choice." + c)})
	}
	v.Others = others(v.Other, v.Typed)
	v.Keys = v.keys()
	dots := make([]string, len(v.Seen))
	for i, d := range v.Seen {
		dots[i] = d.String()
	}
	v.SeenText = strings.Join(dots, " ")
	if v.Next, v.Previous, err = s.Queue.Beside(r.Context(), id); err != nil {
		s.Log.Warn("the item's neighbours are not known", "err", err)
	}
	webui.Render(w, itemPage, status, v, s.Log)
}

// where says where something was captured.
func where(w *webui.Words, p *SidePlace) string {
	switch {
	case p == nil:
		return ""
	case p.Stop == "":
		return fmt.Sprintf("%.4f E, %.4f N", p.Lon, p.Lat)
	case p.Metres < 1000:
		return w.T("item.near_m", "stop", p.Stop, "m", int64(p.Metres))
	}
	return w.T("item.near_km", "stop", p.Stop, "km", w.Decimal(p.Metres/1000, 1))
}

// decide follows the form of an item's page.
func (s *site) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		return
	}
	c := Choice{Choice: r.PostFormValue("choice"), Reason: r.PostFormValue("reason"), Other: typedOther(r)}
	for text := range strings.FieldsSeq(r.PostFormValue("seen")) {
		d, err := dot.Parse(text)
		if err != nil {
			s.pages.Refuse(w, r, http.StatusBadRequest, "broken")
			return
		}
		c.Seen = append(c.Seen, d)
	}
	if text := r.PostFormValue("decision"); text != "" {
		if c.Decision, err = dot.Parse(text); err != nil {
			s.pages.Refuse(w, r, http.StatusBadRequest, "broken")
			return
		}
	}
	if text := r.PostFormValue("closed"); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			s.pages.Refuse(w, r, http.StatusBadRequest, "broken")
			return
		}
		c.ClosedAt = time.UnixMilli(ms)
	}
	if err := s.Queue.Decide(r.Context(), id, c); err != nil {
		trouble, status := s.trouble(r, err)
		s.showItem(w, r, status, itemView{Trouble: trouble, Choice: c.Choice, Typed: c.Other, Reason: c.Reason})
		return
	}
	http.Redirect(w, r, "/queue/"+strconv.FormatInt(id, 10), http.StatusSeeOther)
}

// typedOther reads another value: of a field by itself, or of the members of a group.
func typedOther(r *http.Request) map[string]string {
	out := make(map[string]string)
	for name, v := range r.PostForm {
		if member, ok := strings.CutPrefix(name, "value."); ok && len(v) > 0 {
			out[member] = v[0]
		}
		if name == "value" && len(v) > 0 {
			out[""] = v[0]
		}
	}
	return out
}
