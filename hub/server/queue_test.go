package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
)

// An item's page says what each choice brings about, and its form decides; of two
// who decide at once the slower is told, and a decision is taken back. All of it
// works without script.
func TestTheQueueDecides(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita, sam := joined(t, s, "rita", "reconciler", "gacha:aa"), joined(t, s, "sam", "administrator", "*")
	_, list, _ := send(t, rita, "GET", base+"/queue", "", false)
	found := regexp.MustCompile(`href="/queue/(\d+)"`).FindAllStringSubmatch(list, -1)
	if len(found) != 1 || !strings.Contains(list, "H-AA") {
		t.Fatalf("the queue lists %v", found)
	}
	at := base + "/queue/" + found[0][1]
	form := func(page string) url.Values {
		m := regexp.MustCompile(`name="seen" value="([^"]+)"`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("the page has no form: %.2000s", page)
		}
		return url.Values{"seen": {m[1]}, "choice": {"B"}, "reason": {"the daughter said so"}}
	}
	_, page, _ := send(t, rita, "GET", at, "", false)
	for _, want := range []string{"•••1000", "•••1001", "U-AA", "HUB/"} {
		if !strings.Contains(page, want) {
			t.Errorf("the item does not show %q", want)
		}
	}
	if strings.Contains(page, "NaN") {
		t.Error("a share of nothing is told as a consequence")
	}
	ru := form(page)

	for _, c := range []struct{ choice, value, reason string }{
		{"B", "", ""}, {"Z", "", "why"}, {"other", "", "why"}, {"other", "123", "why"}, {"undo", "", "why"}, {"ask", "", "which is it?"}, // both sides are the hub's own: nobody to ask
	} {
		f := url.Values{"seen": ru["seen"], "choice": {c.choice}, "value": {c.value}, "reason": {c.reason}}
		if status, body, _ := post(t, rita, at+"/decide", f); status != http.StatusUnprocessableEntity || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%+v: %d", c, status)
		}
	}
	if status, body, to := post(t, sam, at+"/decide", ru); status != http.StatusSeeOther || !strings.HasSuffix(at, to) {
		t.Fatalf("decide: %d %.500s", status, body)
	}
	if status, body, _ := post(t, rita, at+"/decide", ru); status != http.StatusUnprocessableEntity || !strings.Contains(body, "the daughter said so") || !strings.Contains(body, "sam") {
		t.Errorf("the slower one: %d", status)
	}
	_, page, _ = send(t, rita, "GET", at, "", false)
	stands := regexp.MustCompile(`name="decision" value="([^"]+)"`).FindStringSubmatch(page)
	if stands == nil {
		t.Fatal("the page does not say which decision it takes back")
	}
	back := url.Values{"choice": {"undo"}, "decision": {stands[1]}, "reason": {"the wrong household"}}
	// By the API, whose answer shows no more than the page does.
	undo := `{"choice":"undo","decision":"` + stands[1] + `","reason":"the wrong household"}`
	status, answer, _ := send(t, rita, "POST", base+"/api/v1/office/items/"+found[0][1]+"/decide", undo, false)
	if status != http.StatusOK || !strings.Contains(answer, "•••1000") || strings.Contains(answer, "13904831000") {
		t.Errorf("taken back: %d %s", status, answer)
	}
	_, page, _ = send(t, rita, "GET", at, "", false)
	ru = form(page)
	ru["choice"], ru["value"] = []string{"other"}, []string{"13904839999"}
	if status, body, _ := post(t, rita, at+"/decide", ru); status != http.StatusSeeOther {
		t.Errorf("another value: %d %.300s", status, body)
	}
	// Somebody who still looks at the first decision takes back that one, which stands no more, or none.
	if status, body, _ := post(t, sam, at+"/decide", back); status != http.StatusUnprocessableEntity || !strings.Contains(body, "the wrong household") {
		t.Errorf("another decision than was seen: %d", status)
	}
	_, page, _ = send(t, rita, "GET", at, "", false)
	if !strings.Contains(page, "rita") || strings.Contains(page, `id="ruling"`) {
		t.Error("the page does not say who decided")
	}

	// A gap is given up with a reason, once.
	gap := url.Values{"chain": {"D-AA/1/record"}, "first": {"2"}, "last": {"2"}, "reason": {""}}
	for i, want := range []int{http.StatusUnprocessableEntity, http.StatusSeeOther, http.StatusUnprocessableEntity} {
		if i == 1 {
			gap.Set("reason", "the phone drowned")
		}
		if status, _, _ := post(t, rita, base+"/queue/gaps/seal", gap); status != want {
			t.Errorf("give up, %d: %d", i, status)
		}
	}
	for from, to := range map[string]string{"/queue/gaps/seal": "/queue?kind=gap", "/queue/aside": "/queue?kind=quarantine"} {
		if status, _, got := send(t, rita, "GET", base+from, "", false); status != http.StatusSeeOther || got != to {
			t.Errorf("%s loaded anew: %d %s", from, status, got)
		}
	}
	for _, kind := range []string{"conflict", "duplicate", "twin", "review", "flag", "quarantine", "gap"} {
		if status, body, _ := send(t, rita, "GET", base+"/queue?kind="+kind, "", false); status != http.StatusOK || strings.Contains(body, `role="alert"`) {
			t.Errorf("tab %s: %d", kind, status)
		}
	}
}

// A herd's count says what becomes of the household's overload.
func TestConsequences(t *testing.T) {
	s, _ := town(t)
	home, herd := entry.Ref{Type: "household", ID: "H-AA"}, entry.Ref{Type: "herd", ID: "H-AA.sheep.adult"}
	check(t, s.Author().Import(t.Context(), "U1", []ingest.Fixture{
		{Ref: entry.Ref{Type: "coefficient_table", ID: "T"}, Fields: map[string]any{"active": true}},
		{Ref: entry.Ref{Type: "coefficient", ID: "T.sheep"}, Fields: map[string]any{"table": "T", "species": "sheep", "age": "adult", "su": 1.0}},
		{Ref: entry.Ref{Type: "plot", ID: "P"}, Fields: map[string]any{"household": home.ID, "regime": "balance", "area_mu": 1000.0, "mu_per_sheep_unit": 10.0}},
		{Ref: herd, Fields: map[string]any{"household": home.ID, "species": "sheep", "age": "adult", "count": int64(100)}},
	}))
	e, err := s.Store().Entity(t.Context(), herd)
	check(t, err)
	for _, n := range []int64{110, 120} {
		_, err := s.Author().Add(t.Context(), ingest.Note{
			Form: "livestock_count", Entity: home, Actor: "U10", Displayed: map[entry.Ref][]byte{herd: e.State},
			Fields: map[string]any{"entity": home.ID, "method": "enumerated", "species": "sheep", "age": "adult", "to": n},
		})
		check(t, err)
	}
	items, err := s.Office().Items(t.Context(), false)
	check(t, err)
	sam, seen := joined(t, s, "sam", "viewer", "gacha:aa"), false
	for _, it := range items {
		if it.Entity != herd.String() {
			continue
		}
		seen = true
		_, page, _ := send(t, sam, "GET", "http://"+s.HTTPAddr()+"/queue/"+strconv.FormatInt(it.ID, 10), "", false)
		for _, want := range []string{"· H-AA ·", ">110 羊单位<", ">120 羊单位<", ">10.0%<", ">20.0%<", "比现在多 20.0 个百分点", "比现在多 20 羊单位", "110 头（只）"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %s", want)
			}
		}
		if strings.Contains(page, `id="ruling"`) {
			t.Error("a viewer is shown the form")
		}
		typeAnother(t, s, it.ID)
	}
	if !seen {
		t.Errorf("no conflict of the herd: %+v", items)
	}
	// Telephones are masked for those who may not reveal them.
	_, list, _ := send(t, sam, "GET", "http://"+s.HTTPAddr()+"/api/v1/office/items", "", false)
	if strings.Contains(list, "13904831000") || !strings.Contains(list, "1000") {
		t.Errorf("a viewer sees %.600s", list)
	}
}

// Another value of a group is typed part by part, as the form takes it.
func typeAnother(t *testing.T, s *server.Server, id int64) {
	t.Helper()
	at, rita := "http://"+s.HTTPAddr()+"/queue/"+strconv.FormatInt(id, 10), joined(t, s, "rita", "reconciler", "gacha:aa")
	_, page, _ := send(t, rita, "GET", at, "", false)
	for _, want := range []string{`name="value.count" type="number"`, `<select id="value-method" name="value.method">`, "逐头清点", "0到5000", `id="pick-o"`, "o 填写其他值"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	seen := regexp.MustCompile(`name="seen" value="([^"]+)"`).FindStringSubmatch(page)
	f := url.Values{"seen": {seen[1]}, "choice": {"other"}, "reason": {"counted once more"}}
	for _, no := range [][2]string{{"", "enumerated"}, {"115", ""}, {"115.5", "enumerated"}, {"5001", "enumerated"}, {"-1", "enumerated"}, {"115", "guessed"}} {
		f.Set("value.count", no[0])
		f.Set("value.method", no[1])
		if status, body, _ := post(t, rita, at+"/decide", f); status != http.StatusUnprocessableEntity || no[0] != "" && !strings.Contains(body, `value="`+no[0]+`"`) {
			t.Errorf("%v: %d", no, status)
		}
	}
	f.Set("value.count", "115")
	f.Set("value.method", "enumerated")
	if status, body, _ := post(t, rita, at+"/decide", f); status != http.StatusSeeOther {
		t.Fatalf("another value: %d %.400s", status, body)
	}
	if _, page, _ = send(t, rita, "GET", "http://"+s.HTTPAddr()+"/entities/herd/H-AA.sheep.adult", "", false); !strings.Contains(page, "115 头（只）") {
		t.Error("the herd is not what was decided")
	}
}

// What a rule noticed is decided by the choices of its kind, on the page as well.
func TestNoticesOnThePage(t *testing.T) {
	s, _ := town(t)
	d, err := dot.Parse("D-AA/1/record/1")
	check(t, err)
	var id int64
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) (err error) {
		id, err = tx.PutItem(store.Item{
			Kind: store.Reviews, Entity: entry.Ref{Type: "household", ID: "H-AA"}, Field: "far_away " + d.String(), Entries: []dot.Dot{d},
			Evidence: json.RawMessage(`{"rule":"far_away","words":"far from where it is said to be"}`), OpenedAt: time.Now().UnixMilli(), State: store.Open, Times: 1,
		})
		return err
	}))
	rita := joined(t, s, "rita", "reconciler", "gacha:aa")
	at := "http://" + s.HTTPAddr() + "/queue/" + strconv.FormatInt(id, 10)
	_, page, _ := send(t, rita, "GET", at, "", false)
	for _, want := range []string{"far from where", `value="accept"`, `value="return"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	if strings.Contains(page, `value="link"`) || strings.Contains(page, `value="ask"`) {
		t.Error("the page offers what this kind does not know")
	}
	f := url.Values{"choice": {"link"}, "reason": {"why"}, "seen": {d.String()}}
	if status, _, _ := post(t, rita, at+"/decide", f); status != http.StatusUnprocessableEntity {
		t.Errorf("link a review: %d", status)
	}
	f.Set("choice", "accept")
	if status, body, _ := post(t, rita, at+"/decide", f); status != http.StatusSeeOther {
		t.Fatalf("accept: %d %.400s", status, body)
	}
	_, page, _ = send(t, rita, "GET", at, "", false)
	_, form, found := strings.Cut(page, `value="undo">`)
	form, _, whole := strings.Cut(form, `id="undo"`)
	if !found || !whole {
		t.Fatal("the page does not let it be taken back")
	}
	undo := url.Values{"choice": {"undo"}, "reason": {"it was another household"}}
	for _, m := range hiddenFields.FindAllStringSubmatch(form, -1) {
		undo.Set(m[1], m[2])
	}
	unseen := maps.Clone(undo)
	unseen.Set("closed", "12")
	if status, _, _ := post(t, rita, at+"/decide", unseen); status != http.StatusUnprocessableEntity {
		t.Errorf("a decision that nobody saw is taken back: %d", status)
	}
	if status, body, _ := post(t, rita, at+"/decide", undo); status != http.StatusSeeOther {
		t.Errorf("undo: %d %.400s", status, body)
	}
	if _, page, _ = send(t, rita, "GET", at, "", false); !strings.Contains(page, `value="accept"`) {
		t.Error("it is not open again")
	}
}

var hiddenFields = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)
