package server_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/webui"
)

// numbered is a resident number of the fictional area with its check digit.
func numbered(birth string, n int) string {
	s := fmt.Sprintf("999922%s%03d", strings.ReplaceAll(birth, "-", ""), n)
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * w
	}
	return s + string("10X98765432"[sum%11])
}

// pensioners are persons whom the hub knows; the first was checked today.
var pensioners = []struct{ name, birth string }{
	{"吉雅都楞", "1950-03-07"}, {"珠拉高娃", "1948-12-01"}, {"通拉塔娜", "1945-01-02"}, {"巴图孟和", "1939-05-05"}, {"青格勒", "1952-02-02"},
}

// rosterHub is a hub that knows five pensioners and somebody who draws no pension.
func rosterHub(t *testing.T, dir, story string) *server.Server {
	t.Helper()
	cfg := packed(t, dir, story)
	cfg.Demo, cfg.Zone = true, time.UTC
	s, err := server.Open(t.Context(), cfg)
	check(t, err)
	var list []ingest.Fixture
	add := func(typ, id string, f map[string]any) {
		list = append(list, ingest.Fixture{Ref: entry.Ref{Type: typ, ID: id}, Fields: f})
	}
	add("household", "H-NB-01", map[string]any{"gacha": "NB", "phone": "15400001000"})
	for i, p := range pensioners {
		id := fmt.Sprintf("P%03d", i+1)
		add("person", id, map[string]any{"household": "H-NB-01", "name_zh": p.name, "birth": p.birth, "resident_id": numbered(p.birth, i)})
		f := map[string]any{"person": id}
		if i == 0 {
			f["checks"] = []any{time.Now().UTC().Format(time.DateOnly)}
		}
		add("pension", id, f)
	}
	add("person", "P100", map[string]any{"household": "H-NB-01", "name_zh": "那仁", "birth": "1990-01-01", "resident_id": numbered("1990-01-01", 9)})
	check(t, s.Author().Import(t.Context(), "office", list))
	return s
}

// fullWidth writes digits as people type them into Chinese forms.
func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r - '0' + '０'
		}
		return r
	}, s)
}

// dirtyCSV is a list with a byte order mark, a title, full-width digits, blanks, a small
// x, a repeated row, a mistyped number and somebody whom nobody knows.
func dirtyCSV() []byte {
	return []byte("\ufeff二〇二五年认证名单,,\n姓　名,身份证号码,联系电话\n" +
		" 吉雅都楞 ," + strings.ToLower(numbered("1950-03-07", 0)) + " ,\n" +
		"珠拉高娃," + fullWidth(numbered("1948-12-01", 1)) + ",\n" +
		"通拉塔那," + numbered("1945-01-02", 2) + "," + fullWidth("15400001000") + "\n" + // another name
		"吉雅都楞," + numbered("1950-03-07", 0) + ",\n" + // again
		"乌云," + numbered("1960-06-06", 3) + ",\n" + // nobody
		"青格勒,999922195202020001,\n") // mistyped: the name alone is nobody
}

func imported(t *testing.T, s *server.Server, file string, body []byte) server.RosterImported {
	t.Helper()
	out, err := s.Office().ImportRoster(t.Context(), server.RosterUpload{Kind: "pension_list", File: file, Body: body})
	check(t, err)
	return out
}

// lines are the lines of the list, by what names them for a person.
func lines(t *testing.T, s *server.Server) map[string]server.RosterLine {
	t.Helper()
	out := map[string]server.RosterLine{}
	for l, err := range s.Office().RosterLines(t.Context(), store.RosterQuery{Kind: "pension_list", AfterLine: -1}) {
		check(t, err)
		name := fmt.Sprint(l.Row)
		if l.Listed == nil {
			name = l.Person.Ref
		}
		out[name] = l
	}
	return out
}

func standings(t *testing.T, s *server.Server) string {
	t.Helper()
	var out []string
	for name, l := range lines(t, s) {
		text := name + " " + string(l.Standing)
		if l.Listed != nil && l.Person != nil {
			text += " " + l.Person.Ref
		}
		if l.Open {
			text += " open"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

const afterImport = `3 confirmed P001
4 unseen P002
5 differs P003 open
6 repeated open
7 missing open
8 missing open
P004 not_listed open
P005 not_listed open`

// A dirty list is checked without a trace, imported, and compared; the next one changes
// it and erases nothing; a hub that is restored has all of it.
func TestRosterImport(t *testing.T) {
	root := t.TempDir()
	dir, story := filepath.Join(root, "hub"), filepath.Join(root, "journal")
	s := rosterHub(t, dir, story)
	ctx := t.Context()
	preview, err := s.Office().CheckRoster(ctx, server.RosterUpload{Kind: "pension_list", File: "名单.csv", Body: dirtyCSV()})
	check(t, err)
	if preview.Rows != 6 || preview.Added != 6 || preview.ProblemCount != 1 || preview.Problems[0].Row != 8 || preview.Problems[0].Column != "B" || preview.Problems[0].Code != "id_checksum" ||
		preview.HeaderRow != 2 || preview.Standings[reconcile.Confirmed] != 1 {
		t.Errorf("preview: %+v", preview)
	}
	if b, _ := json.Marshal(preview); bytes.Contains(b, []byte(numbered("1948-12-01", 1))) {
		t.Errorf("the preview shows a number: %s", b)
	}
	if all, err := s.Office().Rosters(ctx); err != nil || len(all) != 1 || all[0].Import != 0 {
		t.Errorf("after looking: %+v, %v", all, err)
	}
	made, err := s.Office().Backup(ctx, filepath.Join(root, "backups"), 2)
	check(t, err)
	first := imported(t, s, "名单.csv", dirtyCSV())
	if first.Import != 1 || first.Added != 6 || first.Standings[reconcile.NotListed] != 2 {
		t.Errorf("imported: %+v", first)
	}
	if got := standings(t, s); got != afterImport {
		t.Errorf("after the import:\n%s", got)
	}
	row := lines(t, s)["5"]
	if len(row.Differ) != 1 || row.Differ[0] != (server.RosterDifference{Field: "name", Listed: "通拉塔那", Known: "通拉塔娜"}) || row.Person.Number == "" || strings.Contains(row.Person.Number, "9999") {
		t.Errorf("a row that differs: %+v", row)
	}
	if c := lines(t, s)["3"]; len(c.Checked) != 1 || c.Checked[0].Dot == "" {
		t.Errorf("the evidence of a check: %+v", c.Checked)
	}

	// The same columns under other titles are not guessed any more: they are remembered.
	second := bytes.Replace(dirtyCSV(), []byte("通拉塔那"), []byte("通拉塔娜"), 1)
	second = bytes.Replace(second, []byte("乌云,"+numbered("1960-06-06", 3)), []byte("巴图孟和,"+numbered("1939-05-05", 3)), 1)
	again := imported(t, s, "名单2.csv", second)
	if again.Import != 2 || again.Added != 1 || again.Changed != 1 || again.Gone != 1 || again.Same != 4 {
		t.Errorf("imported again: %+v", again.RosterCounts)
	}
	want := strings.NewReplacer("5 differs P003 open", "5 unseen P003", "7 missing open", "7 unseen P004", "P004 not_listed open\n", "").Replace(afterImport)
	if got := standings(t, s); got != want {
		t.Errorf("after the second import:\n%s", got)
	}
	history, err := s.Store().RosterHistory(ctx, "pension_list", row.Key)
	check(t, err)
	if len(history) != 2 || history[0].Name != "通拉塔那" || history[0].Until != 2 || history[1].Name != "通拉塔娜" {
		t.Errorf("what the row said: %+v", history)
	}
	kept := whole(t, s)
	check(t, s.Close())

	// The backup is from before: the journal brings the lists back.
	other := filepath.Join(root, "other")
	cfg := packed(t, other, story)
	_, err = server.Restore(ctx, made.Path, cfg, false)
	check(t, err)
	r, err := server.Open(ctx, cfg)
	check(t, err)
	check(t, r.Office().MatchRosters(ctx))
	if got := whole(t, r); got != kept {
		t.Errorf("restored:\n%s\nwant\n%s", got, kept)
	}
	check(t, r.Close())
}

// whole is all that the hub keeps of lists, as JSON.
func whole(t *testing.T, s *server.Server) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for r, err := range s.Store().RosterRows(t.Context(), "pension_list") {
		check(t, err)
		check(t, enc.Encode(r))
	}
	for r, err := range s.Store().RosterRulings(t.Context(), "pension_list") {
		check(t, err)
		check(t, enc.Encode(r))
	}
	for m, err := range s.Store().RosterMatches(t.Context(), "pension_list") {
		check(t, err)
		check(t, enc.Encode(m))
	}
	return b.String()
}

func refused(t *testing.T, what, code string, err error) {
	t.Helper()
	if r, ok := errors.AsType[*webui.Refusal](err); !ok || r.Code != code || r.What == "" {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// What is asked about a row is decided once, on what was in view; it is taken back within
// a day, comes up again when the row changes, and a restored hub has it.
func TestRosterRulings(t *testing.T) {
	root := t.TempDir()
	story := filepath.Join(root, "journal")
	s := rosterHub(t, filepath.Join(root, "hub"), story)
	ctx := t.Context()
	made, err := s.Office().Backup(ctx, filepath.Join(root, "backups"), 2)
	check(t, err)
	imported(t, s, "名单.csv", dirtyCSV())
	was := lines(t, s)
	rule := func(line, choice, reason string) (server.RosterLine, error) {
		l := was[line]
		return s.Office().RuleRoster(ctx, "pension_list", server.RosterChoice{Key: l.Key, Choice: choice, Seen: l.Seen, Reason: reason})
	}
	_, err = rule("5", "confirm", " ")
	refused(t, "without a reason", "reason_missing", err)
	_, err = rule("5", "note", "why")
	refused(t, "a choice that is not offered", "bad_choice", err)
	_, err = rule("nobody", "note", "why")
	refused(t, "no line", "not_found", err)
	_, err = s.Office().RuleRoster(ctx, "other", server.RosterChoice{Reason: "why"})
	refused(t, "no list", "no_roster", err)
	_, err = s.Office().RuleRoster(ctx, "pension_list", server.RosterChoice{Key: was["5"].Key, Choice: "confirm", Seen: was["5"].Seen, Person: "P005", Reason: "why"})
	refused(t, "somebody else", "bad_choice", err)
	got, err := rule("5", "confirm", "the clerk wrote it otherwise")
	check(t, err)
	if got.Open || got.Standing != reconcile.Differs || got.Decided == nil || got.Decided.Person != "P003" || !got.Decided.Undo {
		t.Errorf("confirmed: %+v", got)
	}
	_, err = rule("7", "note", "moved away in spring")
	check(t, err)
	_, err = rule("P005", "note", "draws from elsewhere")
	check(t, err)
	// Refused: it is nobody, and who was meant by it is not on the list.
	_, err = rule("4", "refuse", "her cousin of the same name")
	check(t, err)
	want := strings.NewReplacer("5 differs P003 open", "5 differs P003", "7 missing open", "7 missing", "P005 not_listed open", "P005 not_listed", "4 unseen P002", "4 missing").Replace(afterImport) + ""
	want = strings.Replace(want, "P004 not_listed open", "P002 not_listed open\nP004 not_listed open", 1)
	if got := standings(t, s); got != want {
		t.Errorf("after deciding:\n%s\nwant\n%s", got, want)
	}
	_, err = rule("4", "confirm", "on what it was before")
	refused(t, "on what it was before", "item_changed", err)

	// Another list: the row that was noted says something else now, the others stay decided.
	second := bytes.Replace(dirtyCSV(), []byte("乌云,"), []byte("乌云格日勒,"), 1)
	imported(t, s, "名单2.csv", second)
	if got := standings(t, s); got != strings.Replace(want, "7 missing", "7 missing open", 1) {
		t.Errorf("after the second list:\n%s", got)
	}
	was = lines(t, s)
	got, err = rule("4", "undo", "it is her after all")
	check(t, err)
	if got.Standing != reconcile.Unseen || got.Person == nil || got.Person.Ref != "P002" || got.Decided != nil {
		t.Errorf("taken back: %+v", got)
	}
	_, err = rule("4", "undo", "once more")
	refused(t, "nothing to take back", "bad_choice", err)
	if facts := factsOf(t, s, "roster_ruling"); len(facts) != 5 || strings.Contains(strings.Join(facts, ""), "999922") {
		t.Errorf("the ledger: %q", facts)
	}
	for _, f := range factsOf(t, s, "roster_piece") {
		if len(f) > 40 {
			t.Errorf("the ledger shows rows of people: %.100s", f)
		}
	}
	kept := whole(t, s)
	check(t, s.Close())
	cfg := packed(t, filepath.Join(root, "other"), story)
	_, err = server.Restore(ctx, made.Path, cfg, false)
	check(t, err)
	r, err := server.Open(ctx, cfg)
	check(t, err)
	check(t, r.Office().MatchRosters(ctx))
	if got := whole(t, r); got != kept {
		t.Errorf("restored:\n%s\nwant\n%s", got, kept)
	}
	check(t, r.Close())
}

func factsOf(t *testing.T, s *server.Server, kind string) (out []string) {
	t.Helper()
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: kind}, false) {
		check(t, err)
		out = append(out, string(f.Body))
	}
	return out
}

// Files that are no lists, lists without the columns, and workbooks that are locked or
// swell up are refused in words, and nothing of them is kept.
func TestRosterRefuses(t *testing.T) {
	root := t.TempDir()
	s := rosterHub(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	defer func() { check(t, s.Close()) }()
	locked := []byte("\xd0\xcf\x11\xe0E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00") // as an office program wraps it
	for what, f := range map[string]struct {
		body []byte
		code string
	}{
		"nothing":         {nil, "roster_empty"},
		"a PDF":           {[]byte("%PDF-1.4"), "roster_not_a_list"},
		"no columns":      {[]byte("甲,乙\n1,2\n"), "roster_no_header"},
		"no people":       {[]byte("姓名,身份证号\n"), "roster_empty"},
		"a locked one":    {locked, "roster_protected"},
		"a damaged one":   {[]byte("PK\x03\x04 and no more"), "roster_damaged"},
		"a wide row":      {[]byte("姓名,身份证号\n" + strings.Repeat(",", 300) + "x\n"), "roster_too_wide"},
		"an endless cell": {[]byte("姓名,身份证号\n" + strings.Repeat("x", 9000) + "\n"), "roster_cell_too_long"},
		"a swollen one":   {bomb(t, 16<<20), "roster_too_large"},
	} {
		_, err := s.Office().ImportRoster(t.Context(), server.RosterUpload{Kind: "pension_list", File: what, Body: f.body})
		refused(t, what, f.code, err)
	}
	if all, err := s.Office().Rosters(t.Context()); err != nil || all[0].Import != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if n := len(factsOf(t, s, "roster")) + len(factsOf(t, s, "roster_piece")); n != 0 {
		t.Errorf("%d facts of lists", n)
	}
	// Who cannot find the columns chooses them, and they are found the next time.
	odd := []byte("名单\n甲,乙,丙\n吉雅都楞," + numbered("1950-03-07", 0) + ",x\n")
	preview, err := s.Office().CheckRoster(t.Context(), server.RosterUpload{Kind: "pension_list", Body: odd})
	check(t, err)
	if preview.Trouble == nil || preview.Trouble.Code != "roster_no_header" || preview.HeaderRow != 2 || len(preview.Sample) != 1 || strings.Contains(fmt.Sprint(preview.Sample), "1950") {
		t.Fatalf("%+v", preview)
	}
	columns := &server.RosterColumns{HeaderRow: 2, Fields: reconcile.Mapping{reconcile.FieldName: 0}}
	_, err = s.Office().ImportRoster(t.Context(), server.RosterUpload{Kind: "pension_list", Body: odd, Columns: columns})
	refused(t, "a name alone", "roster_few_columns", err)
	columns.Fields[reconcile.FieldID] = -1
	_, err = s.Office().ImportRoster(t.Context(), server.RosterUpload{Kind: "pension_list", Body: odd, Columns: columns})
	refused(t, "a column before the first", "roster_bad_column", err)
	columns.Fields[reconcile.FieldID] = 99
	_, err = s.Office().CheckRoster(t.Context(), server.RosterUpload{Kind: "pension_list", Body: odd, Columns: columns})
	check(t, err)
	columns.Fields[reconcile.FieldID] = 1
	_, err = s.Office().ImportRoster(t.Context(), server.RosterUpload{Kind: "pension_list", Body: odd, Columns: columns})
	check(t, err)
	if out := imported(t, s, "again", odd); out.Import != 2 || out.Same != 1 {
		t.Errorf("%+v", out)
	}
}

// bomb is a workbook whose sheet unpacks to size bytes of nothing.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("xl/worksheets/sheet1.xml")
	check(t, err)
	_, err = w.Write(bytes.Repeat([]byte(" "), size))
	check(t, err)
	check(t, z.Close())
	return b.Bytes()
}

// The desk's own ways: over HTTP with steps, and only for those who may.
func TestRosterOverHTTP(t *testing.T) {
	root := t.TempDir()
	s := rosterHub(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	}()
	c := dialed(t, filepath.Join(root, "hub"))
	var stages []string
	u := server.RosterUpload{Kind: "pension_list", File: "名单.csv", Body: dirtyCSV(), Progress: func(stage string, _ int) { stages = append(stages, stage) }}
	preview, err := c.CheckRoster(t.Context(), u)
	check(t, err)
	if preview.Added != 6 || len(stages) == 0 {
		t.Errorf("%+v, steps %v", preview, stages)
	}
	out, err := c.ImportRoster(t.Context(), u)
	check(t, err)
	if out.Import != 1 || out.At.IsZero() {
		t.Errorf("%+v", out)
	}
	var open []server.RosterLine
	for l, err := range c.RosterLines(t.Context(), store.RosterQuery{Kind: "pension_list", Open: true, AfterLine: -1}) {
		check(t, err)
		open = append(open, l)
	}
	if len(open) != 6 {
		t.Fatalf("%d open lines", len(open))
	}
	got, err := c.RuleRoster(t.Context(), "pension_list", server.RosterChoice{Key: open[0].Key, Choice: "note", Seen: open[0].Seen, Reason: "draws elsewhere"})
	check(t, err)
	if got.Open || got.Decided == nil {
		t.Errorf("%+v", got)
	}
	u.Body = []byte("%PDF")
	_, err = c.ImportRoster(t.Context(), u)
	refused(t, "a PDF", "roster_not_a_list", err)
	sums, err := c.Rosters(t.Context())
	check(t, err)
	if len(sums) != 1 || sums[0].Import != 1 || sums[0].Stale || sums[0].Open[reconcile.NotListed] != 1 {
		t.Errorf("%+v", sums)
	}
	// What was done stands in the ledger, and is read over HTTP as it was written.
	var kinds []string
	for f, err := range c.Facts(t.Context(), store.FactQuery{}, false) {
		check(t, err)
		kinds = append(kinds, f.Kind)
		if f.Hash == (store.FactHash{}) || f.Number > 1 && f.Before == (store.FactHash{}) {
			t.Errorf("fact %d lacks a hash", f.Number)
		}
	}
	if !slices.Contains(kinds, "roster") || !slices.Contains(kinds, "roster_ruling") {
		t.Errorf("the ledger: %v", kinds)
	}
	// Whoever sees one gacha alone has no part in it.
	aida := joined(t, s, "aida", "reconciler", "gacha:aa")
	status, body, _ := send(t, aida, "GET", "http://"+s.HTTPAddr()+"/api/v1/office/rosters/pension_list?"+url.Values{"open": {"true"}}.Encode(), "", false)
	if status != 403 || strings.Contains(body, "乌云") {
		t.Errorf("aida: %d %s", status, body)
	}
}

func dialed(t *testing.T, dir string) *server.Client {
	t.Helper()
	var c *server.Client
	deadline := time.Now().Add(time.Minute)
	for c == nil {
		found, ok, err := server.Dial(t.Context(), dir)
		check(t, err)
		if ok {
			c = found
		} else if time.Now().After(deadline) {
			t.Fatal("the hub does not answer")
		}
	}
	return c
}
