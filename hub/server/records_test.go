package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/console"
	"otor/hub/ingest"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/pack"
)

// village is a hub with a shelf of packs and some records that say things.
func village(t *testing.T) *server.Server {
	t.Helper()
	dir := t.TempDir()
	cfg := packed(t, filepath.Join(dir, "hub"), filepath.Join(dir, "journal"))
	p, err := pack.Transhumance()
	check(t, err)
	cfg.Packs, cfg.Forms, cfg.Domain, cfg.Demo, cfg.Zone = pack.NewShelf(p), nil, nil, true, time.UTC
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	})
	for _, g := range []string{"aa", "bb"} {
		up := strings.ToUpper(g)
		check(t, s.Author().Import(t.Context(), "U-"+up, []ingest.Fixture{
			{Ref: entry.Ref{Type: "household", ID: "H-" + up}, Fields: map[string]any{"gacha": g, "phone": "13904830000", "head": "P-" + up}},
			{Ref: entry.Ref{Type: "person", ID: "P-" + up}, Fields: map[string]any{"household": "H-" + up, "name_zh": "巴特尔" + up, "name_latin": "Baatar", "resident_id": "999922196001010018"}},
		}))
	}
	return s
}

func visited(t *testing.T, s *server.Server, home, needs string) store.Entry {
	t.Helper()
	e, err := s.Author().Add(t.Context(), ingest.Note{
		Form: "visit", Entity: entry.Ref{Type: "household", ID: home}, Actor: "U-10",
		Fields: map[string]any{"entity": home, "topics": []any{"pension"}, "needs": needs},
	})
	check(t, err)
	return e
}

func dots(list console.RecordList) (out []string) {
	for _, r := range list.Records {
		out = append(out, r.Dot.String())
	}
	return out
}

// Records are found by any two letters of what they say, by what they are about, and by
// nobody who may not see them.
func TestRecordsAreFound(t *testing.T) {
	s := village(t)
	a := visited(t, s, "H-AA", "羊圈漏雨，电话１３９-0483-1234 找他儿子")
	b := visited(t, s, "H-BB", "羊 圈还好")
	o := s.Office()
	find := func(q console.RecordQuery) []string {
		t.Helper()
		list, err := o.Records(t.Context(), q)
		check(t, err)
		return dots(list)
	}
	for _, c := range []struct {
		q    console.RecordQuery
		want []string
	}{
		{console.RecordQuery{Text: "羊圈"}, []string{a.Dot.String()}},
		{console.RecordQuery{Text: "漏雨 羊圈"}, []string{a.Dot.String()}},
		{console.RecordQuery{Text: "圈漏雨x"}, nil},
		{console.RecordQuery{Text: "13904831234"}, []string{a.Dot.String()}},
		{console.RecordQuery{Text: "0483-1234"}, nil}, // a part of a number
		{console.RecordQuery{Text: "1234"}, nil},
		{console.RecordQuery{Form: "visit"}, []string{b.Dot.String(), a.Dot.String()}},
		{console.RecordQuery{Form: "visit", Entity: "H-BB"}, []string{b.Dot.String()}},
		{console.RecordQuery{Form: "visit", Entity: "household/H-AA", Verdict: "applied"}, []string{a.Dot.String()}},
		{console.RecordQuery{Entity: "person/H-AA"}, nil},
		{console.RecordQuery{Form: "visit", Device: "D-404"}, nil},
		{console.RecordQuery{Form: "visit", Team: "nobody"}, nil},
		{console.RecordQuery{Form: "visit", Until: time.Now().Add(-time.Hour)}, nil},
		{console.RecordQuery{Form: "visit", From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}, []string{b.Dot.String(), a.Dot.String()}},
		{console.RecordQuery{Verdict: "quarantined"}, nil},
	} {
		if got := find(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
	// Page by page it is the same, each once.
	all, paged := find(console.RecordQuery{}), []string(nil)
	for q := (console.RecordQuery{Limit: 1}); ; {
		list, err := o.Records(t.Context(), q)
		check(t, err)
		paged = append(paged, dots(list)...)
		if q.After = list.Next; q.After == "" || len(paged) > 50 {
			break
		}
	}
	if len(all) < 4 || !slices.Equal(all, paged) {
		t.Errorf("at once %v, page by page %v", all, paged)
	}

	// What is not one's own is not found, and not shown.
	vic, rita := joined(t, s, "vic", "viewer", "gacha:aa"), joined(t, s, "rita", "reconciler", "gacha:aa")
	base := "http://" + s.HTTPAddr()
	_, body, _ := send(t, vic, "GET", base+"/api/v1/office/records?form=visit", "", false)
	if !strings.Contains(body, a.Dot.String()) || strings.Contains(body, "H-BB") || strings.Contains(body, b.Dot.String()) {
		t.Errorf("a viewer of one gacha: %s", body)
	}
	for _, address := range []string{"/records/" + b.Dot.String(), "/entities/household/H-BB"} {
		if status, _, _ := send(t, vic, "GET", base+address, "", false); status != http.StatusNotFound {
			t.Errorf("%s: %d", address, status)
		}
	}
	// A whole number is found by those who may reveal it, and by nobody digit by digit.
	for c, want := range map[*http.Client]bool{vic: false, rita: true} {
		_, body, _ = send(t, c, "GET", base+"/api/v1/office/records?text=13904831234", "", false)
		if strings.Contains(body, a.Dot.String()) != want || strings.Contains(body, "hidden_number") == want {
			t.Errorf("by number, want %t: %s", want, body)
		}
		for n := 2; n < 11; n++ {
			_, body, _ = send(t, c, "GET", base+"/api/v1/office/records?text="+"13904831234"[:n], "", false)
			if strings.Contains(body, a.Dot.String()) {
				t.Errorf("found by %d digits", n)
			}
		}
	}
	// Entities by name, id and whole number.
	things := func(text string) (refs []string) {
		t.Helper()
		list, err := o.Things(t.Context(), console.ThingQuery{Text: text, Lang: "zh"})
		check(t, err)
		for _, x := range list.Things {
			refs = append(refs, x.Ref)
		}
		return refs
	}
	for text, want := range map[string][]string{
		"巴特": {"person/P-AA", "person/P-BB"}, "特尔aa": {"person/P-AA"}, "h-bb": {"household/H-BB", "person/P-BB"}, "person/P-AA": {"person/P-AA"},
		"13904830000": {"household/H-AA", "household/H-BB"}, "0483": nil, "9999221960": nil, "999922196001010018": {"person/P-AA", "person/P-BB"},
	} {
		if got := things(text); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	_, body, _ = send(t, vic, "GET", base+"/api/v1/office/entities?text=%E5%B7%B4%E7%89%B9", "", false)
	if !strings.Contains(body, "P-AA") || strings.Contains(body, "P-BB") {
		t.Errorf("entities of one gacha: %s", body)
	}
}

// A masked field is shown whole once, to those who may, for a reason that stays.
func TestReveal(t *testing.T) {
	s := village(t)
	a := visited(t, s, "H-AA", "电话13904831234")
	base := "http://" + s.HTTPAddr()
	vic, rita := joined(t, s, "vic", "viewer", "*"), joined(t, s, "rita", "reconciler", "gacha:aa")
	at := "/records/" + a.Dot.String()
	for _, address := range []string{at, "/entities/household/H-AA", "/entities/person/P-AA", "/records?form=visit", "/api/v1/office/record?dot=" + a.Dot.String(), "/api/v1/office/entity?entity=household/H-AA", "/api/v1/office/entity?entity=person/P-AA"} {
		for _, c := range []*http.Client{vic, rita} {
			status, body, _ := send(t, c, "GET", base+address, "", false)
			for _, number := range []string{"13904831234", "13904830000", "999922196001010018", "9048"} {
				if status != http.StatusOK || strings.Contains(body, number) {
					t.Errorf("%s: %d, it shows %s", address, status, number)
				}
			}
		}
	}
	reveal := func(c *http.Client, body string) (int, string) {
		status, answer, _ := send(t, c, "POST", base+"/api/v1/office/reveal", body, false)
		return status, answer
	}
	of := fmt.Sprintf(`{"record":%q,"field":"needs","reason":"the ambulance asks"}`, a.Dot)
	if status, body := reveal(vic, of); status != http.StatusForbidden || strings.Contains(body, "1234") {
		t.Errorf("a viewer: %d %s", status, body)
	}
	for body, code := range map[string]string{
		strings.Replace(of, "the ambulance asks", " ", 1):                  "reason_missing",
		strings.Replace(of, "needs", "topics", 1):                          "not_masked",
		`{"entity":"household/H-BB","field":"phone","reason":"why"}`:       "not_found",
		`{"entity":"household/H-AA","field":"gacha","reason":"why"}`:       "not_masked",
		strings.Replace(of, a.Dot.String(), "HUB/1/record/99999", 1):       "not_found",
		`{"entity":"household/H-AA","field":"no such","reason":"why not"}`: "not_masked",
	} {
		if _, got := reveal(rita, body); !strings.Contains(got, `"`+code+`"`) {
			t.Errorf("%s: %s", body, got)
		}
	}
	// A page that refuses keeps what was typed.
	long := strings.Repeat("救护车来问。", 100)
	for path, of := range map[string]url.Values{
		"/records/reveal":  {"record": {a.Dot.String()}, "field": {"needs"}, "reason": {long}},
		"/entities/reveal": {"entity": {"household/H-AA"}, "field": {"phone"}, "reason": {long}},
	} {
		status, page, _ := post(t, rita, base+path, of)
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, `id="reveal-`+of.Get("field")+`" open`) || strings.Count(page, `value="`+long+`"`) != 1 {
			t.Errorf("%s: %d, what was typed is lost", path, status)
		}
	}
	if n := revealed(t, s); len(n) != 0 {
		t.Errorf("what was refused is in the ledger: %+v", n)
	}
	if status, body := reveal(rita, of); status != http.StatusOK || !strings.Contains(body, "13904831234") {
		t.Errorf("a reconciler: %d %s", status, body)
	}
	// By the page: shown in the answer alone, kept nowhere.
	f := url.Values{"entity": {"household/H-AA"}, "field": {"phone"}, "reason": {"he is on the pass"}}
	status, page, _ := post(t, rita, base+"/entities/reveal", f)
	if status != http.StatusOK || !strings.Contains(page, "13904830000") {
		t.Errorf("by the page: %d %.300s", status, page)
	}
	if _, page, _ = send(t, rita, "GET", base+"/entities/household/H-AA", "", false); strings.Contains(page, "13904830000") || !strings.Contains(page, "•••0000") {
		t.Error("it stays revealed, or is not shown at all")
	}
	got := revealed(t, s)
	if len(got) != 2 || got[0].By != "rita" || got[0].Subject != a.Dot.String() || got[1].Subject != "household/H-AA" || !strings.Contains(string(got[1].Body), "he is on the pass") || strings.Contains(string(got[0].Body), "1234") {
		t.Errorf("the ledger: %+v", got)
	}
}

func revealed(t *testing.T, s *server.Server) (out []server.FactLine) {
	t.Helper()
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "revealed"}, false) {
		check(t, err)
		out = append(out, f)
	}
	return out
}

// Why a value is there: its entries, its decision, and all that was before.
func TestWhyIsThisValueHere(t *testing.T) {
	s := village(t)
	home := entry.Ref{Type: "household", ID: "H-AA"}
	check(t, s.Author().Import(t.Context(), "office", []ingest.Fixture{{Ref: entry.Ref{Type: "staff", ID: "U-10"}, Fields: map[string]any{"name_zh": "演示·甲一"}}}))
	e, err := s.Store().Entity(t.Context(), home)
	check(t, err)
	var made []string
	for _, phone := range []string{"13904831111", "13904832222"} {
		x, err := s.Author().Add(t.Context(), ingest.Note{
			Form: "household_edit", Entity: home, Actor: "U-10", Fields: map[string]any{"set": map[string]any{"phone": phone}}, Displayed: map[entry.Ref][]byte{home: e.State},
		})
		check(t, err)
		made = append(made, x.Dot.String())
	}
	rita := joined(t, s, "rita", "reconciler", "gacha:aa")
	base := "http://" + s.HTTPAddr()
	_, page, _ := send(t, rita, "GET", base+"/entities/household/H-AA", "", false)
	for _, want := range append(made, "•••1111", "•••2222", "•••0000", `href="/queue/`, "演示·甲一 (U-10)", "巴特尔AA") {
		if !strings.Contains(page, want) {
			t.Errorf("in conflict the page does not show %s", want)
		}
	}
	items, err := s.Office().Items(t.Context(), false)
	check(t, err)
	var seen struct {
		Displayed []json.RawMessage `json:"displayed"`
	}
	check(t, json.Unmarshal(items[0].Evidence, &seen))
	shown, err := json.Marshal(seen.Displayed)
	check(t, err)
	status, body, _ := send(t, rita, "POST", fmt.Sprintf("%s/api/v1/office/items/%d/decide", base, items[0].ID), `{"choice":"B","reason":"the daughter said so","seen":`+string(shown)+`}`, false)
	if status != http.StatusOK {
		t.Fatalf("decide: %d %s", status, body)
	}
	thing, err := s.Office().Thing(t.Context(), "household/H-AA", "", "zh")
	check(t, err)
	at := slices.IndexFunc(thing.Fields, func(f console.ThingField) bool { return f.Name == "phone" })
	f := thing.Fields[at]
	if f.Conflict || len(f.Values) != 1 || f.Values[0].Choice != "B" || f.Values[0].Reason != "the daughter said so" || f.Values[0].Actor != "rita" || f.Label != "电话" || f.Item == 0 {
		t.Errorf("the phone: %+v", f)
	}
	var writes []string
	for _, ev := range thing.History {
		for _, w := range ev.Writes {
			if w.Name == "phone" {
				writes = append(writes, w.Value)
			}
		}
	}
	if want := []string{"•••••••2222", "•••••••2222", "•••••••1111", "•••••••0000"}; !slices.Equal(writes, want) {
		t.Errorf("the phone was %v, want %v", writes, want)
	}
	if got := thing.History[0].Stands; !slices.Contains(got, "电话") {
		t.Errorf("the decision stands in %v", got)
	}
	if f.Names != "" || !slices.ContainsFunc(thing.Fields, func(x console.ThingField) bool { return x.Names == "person/P-AA" }) {
		t.Errorf("the head leads nowhere: %+v", thing.Fields)
	}
	// A record leads to its entity, its item, and what was decided.
	_, page, _ = send(t, rita, "GET", base+"/records/"+made[0], "", false)
	for _, want := range []string{"/entities/household/H-AA", "/queue/", "the daughter said so", "rita", "•••1111", "演示·甲一 (U-10)"} {
		if !strings.Contains(page, want) {
			t.Errorf("the record does not show %s", want)
		}
	}
	if _, list, _ := send(t, rita, "GET", base+"/records", "", false); !strings.Contains(list, "演示·甲一 (U-10)") {
		t.Error("the list of records does not say whose they are")
	}
	if regexp.MustCompile(`1390483\d`).MatchString(page) {
		t.Error("the record shows a telephone")
	}
}

// A hub that took entries in before there was an index finds them all the same, once it ran.
func TestOlderRecordsAreIndexed(t *testing.T) {
	dir := t.TempDir()
	cfg := packed(t, filepath.Join(dir, "hub"), filepath.Join(dir, "journal"))
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	check(t, s.Author().Import(t.Context(), "U1", []ingest.Fixture{{Ref: entry.Ref{Type: "person", ID: "P-1"}, Fields: map[string]any{"name_zh": "斯琴高娃"}}}))
	e := visited(t, s, "H-1", "水井干了")
	// What an older program would have left: rows without words.
	check(t, s.Store().Ingest(t.Context(), func(tx store.Tx) error {
		if err := tx.SetEntityWords(entry.Ref{Type: "person", ID: "P-1"}, nil); err != nil {
			return err
		}
		raw := e.Raw
		pub, err := entry.DecodePublic(raw.Public)
		if err != nil {
			return err
		}
		pub.Dot.Seq, pub.Origin = 1, &entry.Origin{Reason: entry.Installed}
		pub.Dot.Incarnation++
		b, err := pub.Encode()
		if err != nil {
			return err
		}
		old := store.Entry{Dot: pub.Dot, Raw: entry.NewRaw(b, raw.Private), Form: e.Form, FormVersion: e.FormVersion, EntityType: "household", Entity: "H-1", Judgement: store.Judgement{Verdict: store.Applied}, CorrectedTime: e.CorrectedTime}
		old.Hash = old.Raw.Hash()
		if err := tx.Insert([]store.Entry{old}); err != nil {
			return err
		}
		return tx.SetUnindexed(store.Unindexed{Last: 1 << 40, Entities: true})
	}))
	found := func() (int, int, bool) {
		list, err := s.Office().Records(t.Context(), console.RecordQuery{Text: "水井"})
		check(t, err)
		things, err := s.Office().Things(t.Context(), console.ThingQuery{Text: "高娃"})
		check(t, err)
		return len(list.Records), len(things.Things), list.Indexing
	}
	if records, entities, indexing := found(); records != 1 || entities != 0 || !indexing {
		t.Fatalf("before: %d records, %d entities, indexing %t", records, entities, indexing)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		records, entities, indexing := found()
		if records == 2 && entities == 1 && !indexing {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after: %d records, %d entities, indexing %t", records, entities, indexing)
		}
	}
	cancel()
	check(t, <-ended)
	check(t, s.Close())
}
