package server_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"otor/hub/broker"
	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/webui/webuitest"
)

// counting is a conflict about a herd: two counts, one of them captured by a device beside a
// stop of the route, the other far from any.
func counting(t *testing.T, s *server.Server) (id int64) {
	t.Helper()
	home, herd := entry.Ref{Type: "household", ID: "H-AA"}, entry.Ref{Type: "herd", ID: "H-AA.sheep.adult"}
	check(t, s.Author().Import(t.Context(), "office", []ingest.Fixture{
		{Ref: entry.Ref{Type: "staff", ID: "U01"}, Fields: map[string]any{"name_zh": "演示·甲一"}},
		{Ref: entry.Ref{Type: "waypoint", ID: "W-1"}, Fields: map[string]any{"seq": int64(1), "name_zh": "泉水", "name_en": "The spring", "lon": 113.2, "lat": 44.1, "km": 0.0}},
		{Ref: entry.Ref{Type: "coefficient_table", ID: "T"}, Fields: map[string]any{"active": true}},
		{Ref: entry.Ref{Type: "coefficient", ID: "T.sheep"}, Fields: map[string]any{"table": "T", "species": "sheep", "age": "adult", "su": 1.0}},
		{Ref: entry.Ref{Type: "plot", ID: "P"}, Fields: map[string]any{"household": home.ID, "regime": "balance", "area_mu": 1000.0, "mu_per_sheep_unit": 10.0}},
		{Ref: herd, Fields: map[string]any{"household": home.ID, "species": "sheep", "age": "adult", "count": int64(100), "method": "estimated"}},
	}))
	x := enrol(t, s, "D-CC", 0, 0)
	now := time.Now().UnixMilli()
	for i, at := range []entry.Position{{Lon: 113_204_000, Lat: 44_100_000, Source: entry.GNSS}, {Lon: 118_123_456, Lat: 44_654_321, Source: entry.GNSS}} {
		pub := entry.Public{Dot: x.chain.At(dot.Seq(i + 1)), HLC: hlc.Time{Millis: now}, Wall: now, Form: entry.FormRef{ID: "note", Version: 1}, Position: &at, Actor: "U01"}
		if i == 0 {
			pub.Origin = &entry.Origin{Reason: entry.Installed}
		}
		b, err := pub.Encode()
		check(t, err)
		priv, err := entry.Private{Fields: map[string]any{"text": "as told"}}.Encode()
		check(t, err)
		raw := entry.NewRaw(b, priv)
		x.raws, x.heads = append(x.raws, raw), append(x.heads, entry.Next(x.heads[i], raw))
	}
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 2)})
	e := reconcile.Dispute{Base: map[string]any{"count": 100, "method": "estimated"}, BaseKnown: true, Displayed: []dot.Dot{x.chain.At(1), x.chain.At(2)}}
	for i, n := range []int{114, 109} {
		e.Sides = append(e.Sides, reconcile.Side{Dot: x.chain.At(dot.Seq(i + 1)), Value: map[string]any{"count": n, "method": "enumerated"}, Form: "livestock_count", Actor: "U01", DeviceTime: now, CorrectedTime: now, ReceivedAt: now})
	}
	evidence, err := json.Marshal(e)
	check(t, err)
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) (err error) {
		id, err = tx.PutItem(store.Item{Kind: store.Conflicts, Entity: herd, Field: "counted", Entries: e.Displayed, Evidence: evidence, OpenedAt: now - 3*24*3600_000, State: store.Open, Times: 1})
		return err
	}))
	return id
}

// A conflict's sides say where they were captured, and by what device they came.
func TestPlacesOfSides(t *testing.T) {
	s, _ := town(t)
	id := counting(t, s)
	sam := joined(t, s, "sam", "viewer", "*")
	_, page, _ := send(t, sam, "GET", fmt.Sprintf("http://%s/queue/%d", s.HTTPAddr(), id), "", false)
	for _, want := range []string{"距泉水 319 米", "118.1235 E, 44.6543 N", "<dd>D-CC</dd>", "演示·甲一 (U01)", "14.0%", "9.0%", "比现在多 14.0 个百分点"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
}

// The page of a conflict, and the queue with what was taken on, in a browser, in each
// language.
func TestConflictInBrowser(t *testing.T) {
	b := webuitest.Start(t)
	rules := webuitest.Rules{MinText: 16, MinTarget: 24, Contrast: 7}
	s, _ := town(t)
	id := counting(t, s)
	at := "http://" + s.HTTPAddr() + "/queue/" + strconv.FormatInt(id, 10)
	l, err := s.Office().AddOperator(t.Context(), server.NewOperator{Name: "rita", Title: "Rita", Role: "administrator", Scopes: []string{"*"}})
	check(t, err)
	b.Resize(webuitest.Desk)
	b.Open(l.Link)
	b.Do(chromedp.SendKeys(chromedp.CSS("#password"), password))
	b.Do(chromedp.SendKeys(chromedp.CSS("#again"), password))
	b.Follow("#go")
	b.Await(`document.querySelector("#fleet")`)
	for _, lang := range []string{"zh", "mn", "en"} {
		b.Follow("#lang-" + lang)
		b.Open(at)
		b.Await(`document.querySelector("#ruling")`)
		b.Follow("#own")
		b.Await(`document.querySelector("#own")?.form.action.endsWith("/release")`)
		for page, name := range map[string]string{at: "item", at[:strings.LastIndex(at, "/")] + "?mine=1": "queue"} {
			b.Open(page)
			b.Await(`document.querySelector("main")`)
			for _, size := range []webuitest.Size{webuitest.Phone, webuitest.Desk} {
				b.Resize(size)
				b.Check(rules)
				b.Shot(fmt.Sprintf("conflict-%s-%s-%d", name, lang, size.Width))
			}
		}
		b.Open(at)
		b.Await(`document.querySelector("#own")`)
		b.Follow("#own")
		b.Await(`document.querySelector("#own")?.form.action.endsWith("/take")`)
	}
	b.Do(chromedp.KeyEvent("o"))
	b.Await(`document.querySelector("#pick-o").checked && document.activeElement.name === "value.count"`)
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
}
