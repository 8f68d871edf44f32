package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"otor/internal/webui"
)

// stationsView is what stations.html shows.
type stationsView struct {
	webui.Frame
	Age  string
	Rows []stationRow
}

type stationRow struct {
	URL, Name, ID string
	Marks         []mark
	Facts         []told
	Say           string
}

// stationView is what station.html shows.
type stationView struct {
	webui.Frame
	Age   string
	Main  card
	Stock []stockRow
	Post  string
	Moves bool   // movements can be saved here
	ID    string // of this page: the same movement sent from it twice is one
	Wrong *Refusal
}

// stockRow is one item of a station: what the movements add up to.
type stockRow struct {
	ID, Item, Name, Qty, Least string
	Typed                      string // a quantity that was refused
	Low                        bool
	Facts                      []told
	Say                        string
}

var (
	stationsPage = webui.NewTemplate(files, "stations.html", "parts.html")
	stationPage  = webui.NewTemplate(files, "station.html", "parts.html")
)

func (s *site) tellDepots(r *http.Request, w *webui.Words) (*teller, error) {
	t, err := s.tell(r, w)
	if err == nil && t.pages().Depots == nil {
		err = &Refusal{Code: "no_pages", What: w.T("page.none"), Do: w.T("page.none.do")}
	}
	return t, err
}

func (s *site) stations(w http.ResponseWriter, r *http.Request) {
	v := stationsView{Frame: s.frame(r, "nav.stations")}
	t, err := s.tellDepots(r, v.Words)
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	d := t.pages().Depots
	for _, id := range t.book.IDs(d.Type) {
		th, ok := t.book.Thing(d.Type, id)
		if !ok {
			continue
		}
		row := stationRow{URL: "/station/" + url.PathEscape(id), Name: t.name(d.Type, id), ID: id, Facts: t.facts(th, d.Facts), Say: t.T("say.conflict")}
		low := 0
		for _, st := range t.stock(id) {
			if st.Low {
				low++
			}
		}
		if low > 0 {
			row.Marks = append(row.Marks, mark{"danger", "box", t.T("stations.low.n", "n", low)})
		}
		v.Age = cmp.Or(v.Age, t.age(th))
		v.Rows = append(v.Rows, row)
	}
	webui.Render(w, stationsPage, http.StatusOK, v, s.Log)
}

func (s *site) station(w http.ResponseWriter, r *http.Request) { s.showStation(w, r, nil, nil) }

// showStation shows a station, with what was sent and is wrong.
func (s *site) showStation(w http.ResponseWriter, r *http.Request, wrong *Refusal, sent url.Values) {
	v := stationView{Frame: s.frame(r, "nav.stations"), Wrong: wrong, ID: cmp.Or(sent.Get("id"), webui.NewSecret())}
	t, err := s.tellDepots(r, v.Words)
	var th Thing
	if err == nil {
		ok := false
		if th, ok = t.book.Thing(t.pages().Depots.Type, r.PathValue("id")); !ok {
			err = &Refusal{Code: "not_here", What: v.Words.T("stations.unknown"), Which: r.PathValue("id"), Do: v.Words.T("household.unknown.do")}
		}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	d := t.pages().Depots
	v.Heading = t.name(th.Type, th.ID)
	v.Title = v.Heading + " · Otor"
	v.Main, v.Age, v.Stock = s.card(t, th, d.Facts, d.Forms), t.age(th), t.stock(th.ID)
	v.Post, v.Moves = "/station/"+url.PathEscape(th.ID), d.Move != nil
	v.Still = v.Moves && len(v.Stock) > 0
	for i := range v.Stock {
		if v.Stock[i].Item == sent.Get("item") {
			v.Stock[i].Typed = sent.Get("qty")
		}
	}
	status := http.StatusOK
	if wrong != nil {
		status = http.StatusConflict
	}
	webui.Render(w, stationPage, status, v, s.Log)
}

// stock lists what a station has, what is low first.
func (t *teller) stock(station string) []stockRow {
	d := t.pages().Depots
	e, _ := t.pack.Entity(d.Stock)
	f, _ := e.Field(d.Item)
	var out []stockRow
	for _, id := range t.book.Having(d.Stock, d.At, station) {
		th, ok := t.book.Thing(d.Stock, id)
		if !ok {
			continue
		}
		item, _ := t.book.Thing(f.Ref, th.text(d.Item))
		unit := t.value(f.Ref, d.Unit, item.text(d.Unit))
		row := stockRow{ID: id, Item: th.text(d.Item), Name: t.name(f.Ref, th.text(d.Item)), Low: th.yes(d.Low), Facts: t.facts(th, d.StockFacts), Say: t.T("say.conflict")}
		if n, ok := th.number(d.Qty); ok {
			row.Qty = strings.TrimSpace(t.Decimal(n, 0) + " " + unit)
		}
		if n, ok := th.number(d.Least); ok {
			row.Least = t.T("stations.least", "n", t.Decimal(n, 0))
		}
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b stockRow) int {
		switch {
		case a.Low == b.Low:
			return cmp.Compare(a.Name, b.Name)
		case a.Low:
			return -1
		}
		return 1
	})
	return out
}

// once names a record that comes from a page: the page's id and what the record says.
// A finger that taps twice sends the same again; whoever goes back and types
// something else means another record.
func once(page string, p PutRequest) string {
	if page == "" {
		return ""
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(page), []byte(p.Form), []byte(p.Entity), p.Fields} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) //nolint:gosec // bounded by the request
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// move saves one movement of stock.
func (s *site) move(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	words := texts().Pick(r, s.DefaultLang)
	t, err := s.tellDepots(r, words)
	if err == nil && t.pages().Depots.Move == nil {
		err = &Refusal{Code: "no_pages", What: words.T("page.none"), Do: words.T("page.none.do")}
	}
	if err == nil {
		if err = r.ParseForm(); err != nil {
			err = &Refusal{Code: "bad_form", What: words.T("settings.unread"), Do: words.T("bulletins.again")}
		}
	}
	if err != nil {
		s.refusePage(w, r, err)
		return
	}
	m := t.pages().Depots.Move
	qty, err := strconv.ParseUint(strings.TrimSpace(r.PostForm.Get("qty")), 10, 31)
	way := map[string]string{"in": m.In, "out": m.Out}[r.PostForm.Get("way")]
	if err != nil || qty == 0 || way == "" {
		s.showStation(w, r, &Refusal{Code: "bad_qty", What: words.T("stations.qty.bad"), Which: clipQuery(r.PostForm.Get("qty")), Do: words.T("stations.qty.do")}, r.PostForm)
		return
	}
	fields, err := json.Marshal(map[string]any{m.Item: r.PostForm.Get("item"), m.Way: way, m.Qty: qty})
	if err == nil {
		put := PutRequest{Form: m.Form, Entity: r.PathValue("id"), User: s.whoUses(), Fields: fields}
		put.Once = once(r.PostForm.Get("id"), put)
		_, err = s.Device.Begin(r.Context(), put)()
	}
	if err != nil {
		s.showStation(w, r, asRefusal(err), r.PostForm)
		return
	}
	http.Redirect(w, r, "/station/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}
