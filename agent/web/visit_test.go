package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/form/xlsform"
	"otor/internal/webui"
	"otor/internal/webui/webuitest"
)

// desk is a form page's other side in memory: one form with a question of each kind.
type desk struct {
	t testing.TB

	mu     sync.Mutex
	drafts map[string]web.Draft
	files  map[string][]byte
	sent   []web.Submission
	refuse error
	fields map[string]any
	photos []web.Photo
}

func newDesk(t testing.TB) *desk {
	return &desk{t: t, drafts: map[string]web.Draft{}, files: map[string][]byte{}, fields: map[string]any{}}
}

const everySurvey = `type,name,label::中文 (zh),label::English (en),required,constraint,relevant,calculation,parameters,appearance
note,hello,你好,Hello,,,,,,
text,name,姓名,Name,yes,,,,,
integer,sheep,羊,Sheep,,. <= 100,,,,
decimal,weight,重量,Weight,,,,,,
range,score,评分,Score,,,,,start=1 end=5 step=1,
select_one yn,home,在家,At home,,,,,,
select_multiple yn,both,都选,Both,,,,,,
rank yn,order,排序,Order,,,,,,
date,day,日期,Day,,,,,,
time,hour,时间,Hour,,,,,,
dateTime,moment,时刻,Moment,,,,,,
geopoint,place,地点,Place,,,,,,
text,photo,照片,Photo,,,,,,
text,sign,签名,Signature,,,,,,
barcode,tag,耳标,Tag,,,,,,
acknowledge,told,已告知,Told,,,,,,
calculate,twice,,,,,,${sheep} * 2,,
begin_group,more,更多,More,,,${home} = 'yes',,,
text,inner,里面,Inner,,,,,,
end_group,,,,,,,,,
begin_repeat,rows,各行,Rows,,,,,,
integer,n,数,Count,yes,,,,,
end_repeat,,,,,,,,,
`

const everyChoices = "list_name,name,label::中文 (zh),label::English (en)\nyn,yes,是,Yes\nyn,no,否,No\n"

// everyForm is the same form as capture checks it.
func everyForm(t testing.TB) *form.Form {
	t.Helper()
	yn := []form.Choice{{Name: "yes"}, {Name: "no"}}
	f, err := form.New(form.Form{ID: "every", Version: 1, Lane: dot.Record, Fields: []form.Field{
		{Name: "hello", Kind: form.Note},
		{Name: "name", Kind: form.Text},
		{Name: "sheep", Kind: form.Integer},
		{Name: "weight", Kind: form.Decimal},
		{Name: "score", Kind: form.Range},
		{Name: "home", Kind: form.SelectOne, Choices: yn},
		{Name: "both", Kind: form.SelectMultiple, Choices: yn},
		{Name: "order", Kind: form.Rank, Choices: yn},
		{Name: "day", Kind: form.DateOnly},
		{Name: "hour", Kind: form.Time},
		{Name: "moment", Kind: form.DateTime},
		{Name: "place", Kind: form.Geopoint},
		{Name: "photo", Kind: form.Image},
		{Name: "sign", Kind: form.Image},
		{Name: "tag", Kind: form.Barcode},
		{Name: "told", Kind: form.Acknowledge},
		{Name: "twice", Kind: form.Calculate, Unit: "head"},
		{Name: "more", Kind: form.Group, Fields: []form.Field{{Name: "inner", Kind: form.Text}}},
		{Name: "rows", Kind: form.Repeat, Fields: []form.Field{{Name: "n", Kind: form.Integer}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (d *desk) Start(_ context.Context, q web.StartQuery) (web.Start, error) {
	if q.Form != "every" {
		return web.Start{}, &web.Refusal{Code: "form_unknown", What: "there is no such form", Which: q.Form, Do: "use a form of the pack"}
	}
	b := &xlsform.Workbook{}
	for name, src := range map[string]string{"survey": everySurvey, "choices": everyChoices, "settings": "form_id,form_title,version,default_language\nevery,全部,1,中文 (zh)\n"} {
		s, err := xlsform.ReadCSV(name, []byte(src))
		if err != nil {
			return web.Start{}, err
		}
		b.Sheets = append(b.Sheets, s)
	}
	res, err := xlsform.Convert(b, xlsform.Options{})
	if err != nil {
		return web.Start{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	corrects := ""
	if !q.Corrects.IsZero() {
		corrects = q.Corrects.String()
	}
	return web.Start{
		Form: "every", Version: 1, Title: "Everything", XForm: string(res.XForm), Entity: q.Entity, Fields: d.fields, Corrects: corrects,
		Questions: map[string]web.Question{"photo": {Media: "photo"}, "sign": {Media: "signature"}, "sheep": {Unit: "head"}},
		Places:    []web.Place{{ID: "W3", Name: "Pass well", Lon: 101.5, Lat: 39.25}},
	}, nil
}

func (d *desk) Submit(_ context.Context, s web.Submission) (web.PutResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return web.PutResult{}, d.refuse
	}
	d.sent = append(d.sent, s)
	return web.PutResult{Dot: record.At(7), SavedAt: noon}, nil
}

func (d *desk) SaveDraft(_ context.Context, id string, content json.RawMessage) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drafts[id] = web.Draft{ID: id, SavedAt: noon, Content: content}
	return nil
}

func (d *desk) Draft(_ context.Context, id string) (web.Draft, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if x, ok := d.drafts[id]; ok {
		return x, nil
	}
	return web.Draft{}, &web.Refusal{Code: "no_draft", What: "there is no such draft"}
}

func (d *desk) Drafts(context.Context) ([]web.Draft, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []web.Draft
	for _, x := range d.drafts {
		out = append(out, x)
	}
	return out, nil
}

func (d *desk) DropDraft(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.drafts, id)
	return nil
}

func (d *desk) Photos(context.Context) ([]web.Photo, error) {
	return append([]web.Photo{}, d.photos...), nil
}

func (d *desk) Preview(ctx context.Context, name string) ([]byte, error) {
	b, err := d.File(ctx, name)
	return append([]byte("small "), b...), err
}

func (d *desk) KeepFile(_ context.Context, mime string, content []byte) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := fmt.Sprintf("file%d.%s", len(d.files), strings.TrimPrefix(mime, "image/"))
	d.files[name] = content
	return name, nil
}

func (d *desk) File(_ context.Context, name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b, ok := d.files[name]; ok {
		return b, nil
	}
	return nil, &web.Refusal{Code: "not_found", What: "there is no such file"}
}

func deskConfig(d *desk) web.Config {
	cfg := config(newPhone())
	cfg.Visits, cfg.Drafts, cfg.Photos, cfg.DefaultLang = d, d, d, "en"
	return cfg
}

// hand fills in a form as a person does.
type hand struct {
	*webuitest.Browser
	t testing.TB
}

func (h hand) asked(words string) {
	h.t.Helper()
	h.Await(fmt.Sprintf(`document.querySelector("h2")?.innerText.includes(%q)`, words))
}

func (h hand) next() {
	h.t.Helper()
	was := webuitest.Eval[string](h.Browser, `document.querySelector(".progress span").innerText`)
	h.Click("#next")
	h.Await(fmt.Sprintf(`document.querySelector(".progress span").innerText !== %q`, was))
}

func (h hand) write(text string) {
	h.t.Helper()
	webuitest.Eval[bool](h.Browser, fmt.Sprintf(`(() => { const i = document.querySelector("#q"); i.value = %q; for (const e of ["input", "change"]) i.dispatchEvent(new Event(e, {bubbles: true})); return true })()`, text))
}

// photo is a JPEG larger than what may be kept, with words beside the picture.
const photoJS = `(async () => {
  const c = document.createElement("canvas"); c.width = 2400; c.height = 1800;
  const ctx = c.getContext("2d"); const d = ctx.createImageData(2400, 1800);
  let x = 1; for (let i = 0; i < d.data.length; i++) { x = (x * 1103515245 + 12345) & 0x7fffffff; d.data[i] = i % 4 === 3 ? 255 : x >> 16; }
  ctx.putImageData(d, 0, 0);
  const blob = await new Promise((f) => c.toBlob(f, "image/jpeg", 0.95));
  const b = new Uint8Array(await blob.arrayBuffer());
  const exif = new TextEncoder().encode("Exif\0\0GPSSECRET"); const seg = new Uint8Array(4 + exif.length);
  seg.set([0xff, 0xe1, (exif.length + 2) >> 8, (exif.length + 2) & 255]); seg.set(exif, 4);
  const file = new File([b.slice(0, 2), seg, b.slice(2)], "IMG.jpg", { type: "image/jpeg" });
  const dt = new DataTransfer(); dt.items.add(file);
  const input = document.querySelector("#q"); input.files = dt.files; input.dispatchEvent(new Event("change", { bubbles: true }));
  window.photoSize = file.size;
})(), true`

// Every kind of question is answered on a phone's screen, and what arrives is
// the sheet that capture takes.
func TestEveryKindOfQuestion(t *testing.T) {
	b := webuitest.Start(t)
	d := newDesk(t)
	srv := newServer(t, web.New(deskConfig(d)))
	b.Resize(webuitest.Phone)
	b.Open(webui.EnterURL(srv, "secret"))
	b.Await(`document.querySelector("#strip")`)
	b.Open(srv + "/visit/every?entity=H-1")
	h := hand{b, t}
	h.asked("Hello")
	h.next()
	h.asked("Name")
	h.write("Бат 巴特 <&>")
	h.next()
	h.asked("Sheep")
	h.Click(`.steps button:nth-child(4)`) // +10
	h.Await(`document.querySelector("#q").value === "10"`)
	h.write("400") // more than the form allows
	h.Click("#next")
	h.Await(`document.querySelector("#q-wrong")`)
	h.Check(rules)
	h.write("42")
	h.next()
	h.asked("Weight") // which may be left out, but not what is typed
	h.write("1 200")
	h.Click("#next")
	h.Await(`document.querySelector(".number .wrong")`)
	h.write("1.5")
	h.next()
	h.asked("Score")
	h.write("4")
	h.Check(rules)
	h.next()
	h.asked("At home")
	h.Click(`input[value="yes"]`)
	h.next()
	h.asked("Both")
	h.Click(`input[value="yes"]`)
	h.Click(`input[value="no"]`)
	h.next()
	h.asked("Order")
	h.Click(`.rank li:first-child button:last-child`) // yes down
	h.Check(rules)
	h.Shot("visit-rank")
	h.next()
	h.asked("Day")
	h.write("2025-09-18")
	h.next()
	h.asked("Hour")
	h.write("14:05")
	h.next()
	h.asked("Moment")
	h.write("2025-09-18T14:05")
	h.next()
	h.asked("Place")
	h.Click(`.where input[type=radio]`)
	h.Await(`document.querySelector(".found")`)
	h.Check(rules)
	h.Shot("visit-place")
	h.next()
	h.asked("Photo")
	webuitest.Eval[bool](b, photoJS)
	h.Await(`document.querySelector(".photo img")?.naturalWidth > 0`)
	h.Check(rules)
	h.next()
	h.asked("Signature")
	webuitest.Eval[bool](b, `(() => { const i = document.querySelector("#q"); i.value = "Bat"; i.dispatchEvent(new Event("input", {bubbles: true})); return true })()`)
	h.Check(rules)
	h.Shot("visit-signature")
	h.Click(".sign .steps button:last-child")
	h.Await(`document.querySelector(".photo img")?.naturalWidth > 0`)
	h.next()
	h.asked("Tag")
	h.write("315292200000001")
	h.next()
	h.asked("Told")
	h.Click("#q")
	h.next()
	h.asked("Inner")
	h.write("in a group")
	h.next()
	h.asked("Rows")
	h.Click("#add")
	h.asked("Count")
	h.write("7")
	h.next()
	h.asked("Rows")
	h.Check(rules)
	h.Shot("visit-rows")
	h.next()
	h.asked("Check before saving")
	for _, size := range webuitest.Sizes {
		h.Resize(size)
		h.Check(rules)
	}
	h.Click("#save")
	h.Await(`document.querySelector(".done")`)
	if got := b.Trouble(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judge(webuitest.Eval[float64](b, "window.photoSize"))
}

// judge looks at what arrived.
func (d *desk) judge(photo float64) {
	t := d.t
	if len(d.sent) != 1 {
		t.Fatalf("%d submissions", len(d.sent))
	}
	f := everyForm(t)
	got, problems := form.FromXML(f, []byte(d.sent[0].XML))
	problems = append(problems, f.Check(got, form.Env{})...)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, d.sent[0].XML)
	}
	moment, _ := got["moment"].(string)
	if at, err := time.Parse(time.RFC3339, moment); err != nil || at.Minute() != 5 {
		t.Errorf("moment %q", moment)
	}
	for _, name := range []string{"photo", "sign"} {
		file := d.files[got[name].(string)]
		if len(file) == 0 || len(file) > 200<<10 || bytes.Contains(file, []byte("GPSSECRET")) {
			t.Errorf("%s: %d bytes", name, len(file))
		}
	}
	if photo < 400<<10 {
		t.Errorf("the photo had %.0f bytes before: nothing was shrunk", photo)
	}
	delete(got, "moment")
	delete(got, "photo")
	delete(got, "sign")
	want := map[string]any{
		"name": "Бат 巴特 <&>", "sheep": int64(42), "weight": 1.5, "score": 4.0, "home": "yes", "both": []any{"yes", "no"}, "order": []any{"no", "yes"},
		"day": "2025-09-18", "hour": "14:05:00", "place": map[string]any{"lat": 39.25, "lon": 101.5, "datum": "WGS84"}, "tag": "315292200000001", "told": true,
		"twice": int64(84), "more": map[string]any{"inner": "in a group"}, "rows": []any{map[string]any{"n": int64(7)}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if s := d.sent[0]; s.Entity != "H-1" || s.Draft == "" || s.Sources["place"].Source != "waypoint:W3" {
		t.Errorf("submission: %+v", s)
	}
}

// A sent record is opened again with its answers, changed, and saved as a
// correction; a refusal leads to its question.
func TestCorrection(t *testing.T) {
	b := webuitest.Start(t)
	d := newDesk(t)
	d.fields = map[string]any{
		"name": "Bat", "sheep": 12, "weight": 2.5, "home": "no", "both": []any{"yes"}, "order": []any{"no", "yes"}, "told": true, "hour": "08:30:00",
		"place": map[string]any{"lat": 39.25, "lon": 101.5}, "rows": []any{map[string]any{"n": 3}, map[string]any{"n": 4}},
	}
	srv := newServer(t, web.New(deskConfig(d)))
	b.Resize(webuitest.Phone)
	b.Open(webui.EnterURL(srv, "secret"))
	b.Await(`document.querySelector("#strip")`)
	b.Open(srv + "/visit/every?entity=H-1&corrects=D-101/1/record/3")
	h := hand{b, t}
	h.asked("Hello")
	h.next()
	h.asked("Name")
	h.write("Bat Erdene")
	for range 20 {
		if webuitest.Eval[bool](b, `!!document.querySelector("#save")`) {
			break
		}
		h.next()
	}
	d.mu.Lock()
	d.refuse = &web.Refusal{Code: "bad_type", What: "the count does not fit", Which: "rows[1].n", Do: "correct it"}
	d.mu.Unlock()
	h.Click("#save")
	h.Await(`document.querySelector("#refusal")?.innerText.includes("does not fit") && document.querySelector("#q")?.value === "4"`)
	b.Trouble() // the refusal
	d.mu.Lock()
	d.refuse = nil
	d.mu.Unlock()
	h.write("5")
	for range 20 {
		if webuitest.Eval[bool](b, `!!document.querySelector("#save")`) {
			break
		}
		h.next()
	}
	h.Click("#save")
	h.Await(`document.querySelector(".done")`)
	d.mu.Lock()
	defer d.mu.Unlock()
	got, problems := form.FromXML(everyForm(t), []byte(d.sent[0].XML))
	if len(problems) > 0 || d.sent[0].Corrects != "D-101/1/record/3" {
		t.Fatal(problems, d.sent[0].Corrects)
	}
	want := map[string]any{
		"name": "Bat Erdene", "sheep": int64(12), "weight": 2.5, "home": "no", "both": []any{"yes"}, "order": []any{"no", "yes"}, "told": true, "hour": "08:30:00",
		"place": map[string]any{"lat": 39.25, "lon": 101.5, "datum": "WGS84"}, "rows": []any{map[string]any{"n": int64(3)}, map[string]any{"n": int64(5)}}, "twice": int64(24),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestVisitRoutes(t *testing.T) {
	d := newDesk(t)
	srv := httptest.NewServer(web.New(deskConfig(d)))
	defer srv.Close()
	jar, _ := cookiejar.New(nil) // never fails without options
	c := &http.Client{Jar: jar}
	page(t, c, webui.EnterURL(srv.URL, "secret"))
	policy := func(path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.Header.Get("Content-Security-Policy")
	}
	_, body := page(t, c, srv.URL+"/visit/every?entity=H-1")
	if csp := policy("/visit/every?entity=H-1"); !strings.Contains(csp, "script-src 'self' 'wasm-unsafe-eval'") || strings.Contains(csp, "unsafe-inline") {
		t.Errorf("CSP: %q", csp)
	}
	if !strings.Contains(body, "form.") || strings.Contains(body, "<script>") {
		t.Error("the page lacks its program, or has some of its own")
	}
	if strings.Contains(policy("/"), "wasm") {
		t.Error("the start page's policy is loosened as well")
	}
	for path, want := range map[string]string{
		"/visit/nothing":                    "there is no such form",
		"/visit/every?corrects=x":           "corrects",
		"/visit/every?draft=none":           "no such draft",
		"/visit/every?version=x":            "version",
		"/visit/every?entity=%3Cscript%3E1": "\\u003cscript\\u003e",
	} {
		if _, body := page(t, c, srv.URL+path); !strings.Contains(body, want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
	for _, r := range []struct {
		method, path, kind, body string
		want                     int
	}{
		{"PUT", "/api/v1/drafts/a", "application/json", `{"form":"every"}`, 204},
		{"PUT", "/api/v1/drafts/a", "application/json", `not json`, 400},
		{"PUT", "/api/v1/drafts/a", "application/json", `{"x":"` + strings.Repeat("x", 200<<10) + `"}`, 400},
		{"GET", "/api/v1/drafts/a", "", "", 200},
		{"GET", "/api/v1/drafts", "", "", 200},
		{"DELETE", "/api/v1/drafts/a", "", "", 204},
		{"GET", "/api/v1/drafts/a", "", "", 409},
		{"POST", "/api/v1/submissions", "application/json", "{", 400},
		{"POST", "/api/v1/files", "image/jpeg", "not a jpeg", 400},
		{"POST", "/api/v1/files", "image/jpeg", strings.Repeat("x", 300<<10), 413},
		{"POST", "/api/v1/files", "audio/webm", "sound", 200},
		{"GET", "/api/v1/files/none", "", "", 409},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, srv.URL+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", r.kind)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != r.want {
			t.Errorf("%s %s: %d, want %d", r.method, r.path, res.StatusCode, r.want)
		}
	}
}
