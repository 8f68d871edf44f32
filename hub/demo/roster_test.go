package demo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/xuri/excelize/v2"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/merge"
	"otor/internal/sheet"
	"otor/internal/webui/webuitest"
)

// shownAt reads an entity of the hub as people see it.
func shownAt(t *testing.T, w *world, e store.Entity) map[string]any {
	t.Helper()
	s, err := merge.Decode(e.State)
	if err != nil {
		t.Fatal(err)
	}
	return reconcile.Shown(s, w.pack.Domain().Type(e.Ref.Type))
}

// dirtyList is the pensioners' list as a bureau sends it: a merged title, a merged header
// cell, byte order marks and blanks around names, full-width digits, a small x, a row
// twice, a name written otherwise, a mistyped number, somebody whom nobody knows. The
// last pensioner is not on it.
func dirtyList(t *testing.T, w *world) (file []byte, pensioners int) {
	t.Helper()
	type person struct{ name, number, birth, phone string }
	var all []person
	for e, err := range w.hub.Store().EntitiesOf(t.Context(), "pension") {
		if err != nil {
			t.Fatal(err)
		}
		read := func(typ, id string) map[string]any {
			row, err := w.hub.Store().Entity(t.Context(), entry.Ref{Type: typ, ID: id})
			if err != nil {
				t.Fatal(err)
			}
			return shownAt(t, w, row)
		}
		p := read("person", text(shownAt(t, w, e)["person"]))
		all = append(all, person{text(p["name_zh"]), text(p["resident_id"]), text(p["birth"]), text(read("household", text(p["household"]))["phone"])})
	}
	pensioners = len(all)
	all = all[:pensioners-1]
	wide := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r - '0' + '０'
			}
			return r
		}, s)
	}
	rows := [][]string{{"二〇二五年城乡居民养老保险待遇领取资格认证名单"}, {"序号", "姓　名", "身份证号码", "", "出生日期", "联系电话"}}
	for i, p := range all {
		switch {
		case i == 2:
			p.name += "尔" // another name
		case i == 4:
			p.number = p.number[:17] + map[bool]string{true: "1", false: "0"}[p.number[17] == '0'] // mistyped
		case i%3 == 0:
			p.name = "\ufeff " + p.name + " 　"
		}
		if i%2 == 0 {
			p.number = wide(p.number)
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), p.name, strings.ToLower(p.number), "", strings.ReplaceAll(p.birth, "-", "/"), p.phone})
	}
	rows = append(rows, rows[3], []string{"99", "无名氏", "", "", "1950年1月1日", "15499999999"})
	x := excelize.NewFile()
	name := x.GetSheetName(0)
	for i, r := range rows {
		for j, v := range r {
			at, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err == nil {
				err = x.SetCellStr(name, at, v)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range [][2]string{{"A1", "F1"}, {"C2", "D2"}} {
		if err := x.MergeCell(name, m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), pensioners
}

// importsTheRoster uploads the pensioners' list, looks at what it would come to, imports
// it, and decides about one row from the queue.
func (o deskWorker) importsTheRoster(w *world) {
	t := o.t
	t.Helper()
	body, pensioners := dirtyList(t, w)
	file := filepath.Join(t.TempDir(), "待遇认证名单.xlsx")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Open(o.base + "/roster")
	o.Choose("#file", file)
	o.looks("roster")
	o.Follow("#send")
	o.Await(`document.querySelector("#import")`)
	if got, err := w.hub.Store().Rosters(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("before it is imported: %+v, %v", got, err)
	}
	for _, lang := range []string{"zh", "mn", "en"} {
		o.Follow("#lang-" + lang)
		o.Await(`document.querySelector("#import") && document.querySelector("#problems")`)
		o.looks("roster-draft-" + lang)
	}
	o.Follow("#import")
	o.Await(`document.querySelector("#imported")`)
	o.looks("roster-imported")
	counts, err := w.hub.Store().RosterCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, lines := map[string]int64{}, int64(0)
	for _, c := range counts {
		got[c.Standing] = c.Lines
		lines += c.Lines
	}
	if want := int64(pensioners + 2); lines != want || got["differs"] != 1 || got["repeated"] != 1 || got["missing"] != 1 || got["not_listed"] != 1 || got["confirmed"] == 0 || got["confirmed"]+got["unseen"] != want-4 {
		t.Errorf("%d lines, want %d: %v", lines, want, got)
	}
	for _, lang := range []string{"zh", "mn", "en"} {
		for _, page := range []string{"/roster", "/roster/list/pension_list?open=true", "/roster/list/pension_list?standing=confirmed", "/queue?kind=roster"} {
			o.Open(o.base + page)
			o.Follow("#lang-" + lang)
			o.Await(`document.querySelector("main .standings, main .row")`)
			if strings.HasPrefix(page, "/roster/list") && lang != "zh" && strings.Contains(page, "confirmed") {
				continue
			}
			o.looks("roster" + strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(page) + "-" + lang)
		}
	}
	o.Open(o.base + "/queue?kind=roster")
	o.Await(`document.querySelectorAll("article.row").length === 4`)
	o.decidesRow()
	o.Await(`document.querySelectorAll("article.row").length === 3 && !document.querySelector(".trouble")`)
	o.looks("roster-queue-after")
}

// decidesRow confirms that the row which differs from a person is them.
func (o deskWorker) decidesRow() {
	o.t.Helper()
	n := webuitest.Eval[int](o.Browser, `[...document.querySelectorAll("article.row")].findIndex((r) => r.querySelector('input[value="confirm"]')) + 1`)
	row := fmt.Sprintf(`article.row:nth-of-type(%d)`, n)
	o.Click(row + " summary")
	o.looks("roster-row")
	o.Click(row + ` input[value="confirm"]`)
	o.types(row+` input[name="reason"]`, "the bureau wrote it otherwise")
	o.Follow(row + " button")
}

// makesTheStatement has the day's statement signed, stores it, has it checked on the page
// and without any hub, and opens it.
func (o deskWorker) makesTheStatement(w *world) {
	t := o.t
	t.Helper()
	day := w.clock.Now().In(w.scenario.Meta.T0.Location()).Format("2006-01-02")
	o.Open(o.base + "/statements")
	for _, field := range []string{"#from", "#until"} {
		o.Do(chromedp.SetValue(chromedp.CSS(field), day))
	}
	o.looks("statements")
	name, file := o.Download("#draw")
	if !strings.HasSuffix(name, ".xlsx") {
		t.Errorf("stored as %s", name)
	}
	st, signed, err := reconcile.Verify(file, nil)
	if err != nil {
		t.Fatalf("the statement that was stored: %v", err)
	}
	if complete, wrong := st.Complete(); !st.Adds() || st.Counts.Received == 0 || len(st.Decisions) == 0 {
		t.Errorf("complete %v %v: %+v", complete, wrong, st.Counts)
	}
	src, err := sheet.Open(bytes.NewReader(file), "", sheet.Usual)
	if err != nil {
		t.Fatalf("it cannot be opened: %v", err)
	}
	defer func() { _ = src.Close() }()
	seen := false
	for r, err := range src.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Cells {
			seen = seen || c == signed.Digest()
		}
	}
	if !seen {
		t.Errorf("the workbook's first sheet %q does not name the digest", src.Sheet)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Choose("#file", path)
	o.Follow("#verify")
	o.Await(fmt.Sprintf(`document.querySelector("#checked").innerText.includes(%q)`, signed.Digest()))
	o.looks("statement-checked")
}

// takesRecordsAway looks at the page of exports in each language, has the day's records of a
// team written, and opens them.
func (o deskWorker) takesRecordsAway(w *world) {
	t := o.t
	t.Helper()
	day := w.clock.Now().In(w.scenario.Meta.T0.Location()).Format("2006-01-02")
	for _, lang := range []string{"zh", "mn", "en"} {
		o.Open(o.base + "/exports")
		o.Follow("#lang-" + lang)
		o.Await(`document.querySelector("#take")`)
		if lang == "mn" {
			o.Click("#numbers summary")
		}
		o.looks("exports-" + lang)
	}
	for _, field := range []string{"#from", "#until"} {
		o.Do(chromedp.SetValue(chromedp.CSS(field), day))
	}
	name, file := o.Download("#take")
	if !strings.HasSuffix(name, ".xlsx") || bytes.Contains(file, []byte("999922")) {
		t.Errorf("stored as %s", name)
	}
	src, err := sheet.Open(bytes.NewReader(file), "", sheet.Usual)
	if err != nil {
		t.Fatalf("it cannot be opened: %v", err)
	}
	defer func() { _ = src.Close() }()
	if len(src.Sheets) < 10 {
		t.Errorf("sheets: %q", src.Sheets)
	}
	o.Open(o.base + "/exports")
	o.Await(`document.querySelector("#exports .row")`)
	o.looks("exports-after")
}
