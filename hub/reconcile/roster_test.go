package reconcile_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/form"
	"otor/internal/sheet"
)

var today = form.Date{Year: 2025, Month: 9, Day: 18}

func date(s string) form.Date { d, _ := form.ParseDate(s); return d }

// TestRoster plays the transcripts of testdata/roster: who the hub knows, and
// what becomes of a list.
func TestRoster(t *testing.T) {
	datadriven.Walk(t, "testdata/roster", func(t *testing.T, path string) {
		var known []reconcile.Known
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "known": // ref | name | number | birth | phone | seen
				known = nil
				for line := range strings.SplitSeq(d.Input, "\n") {
					f := strings.Split(line, "|")
					for i := range f {
						f[i] = strings.TrimSpace(f[i])
					}
					k := reconcile.Known{Ref: f[0], Name: f[1], ID: f[2], Birth: date(f[3]), Phone: f[4]}
					if f[5] != "" {
						k.Seen = []reconcile.Evidence{{Dot: f[5], What: "pension_check"}}
					}
					known = append(known, k)
				}
				return ""
			case "list":
				return matchText(t, []byte(d.Input), known)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func readList(t *testing.T, src []byte) (reconcile.Roster, error) {
	t.Helper()
	s, err := sheet.Open(bytes.NewReader(src), "", sheet.Usual)
	if err != nil {
		return reconcile.Roster{}, err
	}
	defer func() { _ = s.Close() }()
	return reconcile.ReadRoster(s.Rows(), reconcile.Reading{Today: today, Demo: true})
}

func matchText(t *testing.T, src []byte, known []reconcile.Known) string {
	t.Helper()
	r, err := readList(t, src)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return describe(reconcile.MatchRoster(r.Rows, known, nil))
}

func describe(ms []reconcile.Match) string {
	var b strings.Builder
	for _, m := range ms {
		if m.Row != nil {
			fmt.Fprintf(&b, "row %d %s: ", m.Row.Row, m.Row.Name)
		}
		b.WriteString(string(m.Standing))
		if m.Person != nil {
			fmt.Fprintf(&b, " %s", m.Person.Ref)
		}
		if len(m.Agree) > 0 {
			fmt.Fprintf(&b, ", agree in %v", m.Agree)
		}
		for _, d := range m.Differences {
			fmt.Fprintf(&b, ", %s %s here %s", d.Field, d.Listed, d.Known)
		}
		if len(m.Candidates) > 0 {
			fmt.Fprintf(&b, ", perhaps %v", m.Candidates)
		}
		if m.With > 0 {
			fmt.Fprintf(&b, ", as row %d", m.With)
		}
		if m.Row != nil {
			for _, p := range m.Row.Problems {
				fmt.Fprintf(&b, "; %s", p)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// dirty is a workbook as it comes from a bureau: a merged title, a merged
// header cell, full-width digits, blanks, a small x, a repeated row.
func dirty(t *testing.T) []byte {
	t.Helper()
	x := excelize.NewFile()
	name := x.GetSheetName(0)
	rows := [][]any{
		{"二〇二五年城乡居民养老保险资格认证名单"},
		{"序号", "姓　名", "身份证号码", nil, "联系电话"},
		{1, " 巴图 ", "99992219500307103x", nil, "13800000001"},
		{2, "萨日娜", "９９９９２２１９４８１２０１１２２７", nil, "'13800000002"},
		{3, "巴图", "99992219500307103X", nil, ""},
		{4, "青格勒", float64(9.9992219450102118e+17), nil, ""},
	}
	for i, r := range rows {
		for j, v := range r {
			at, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err != nil {
				t.Fatal(err)
			}
			if f, ok := v.(float64); ok { // as an office program stores a number of 18 digits
				err = x.SetCellDefault(name, at, fmt.Sprintf("%.16E", f))
			} else {
				err = x.SetCellValue(name, at, v)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range [][2]string{{"A1", "E1"}, {"C2", "D2"}} {
		if err := x.MergeCell(name, m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestADirtyWorkbook(t *testing.T) {
	r, err := readList(t, dirty(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 4 {
		t.Fatalf("%d rows: %+v", len(r.Rows), r.Rows)
	}
	if got := r.Rows[0]; got.Name != "巴图" || got.Phone != "13800000001" || got.Row != 3 {
		t.Errorf("row 3: %+v", got)
	}
	if got := r.Rows[3]; got.ID != "" || len(got.Problems) == 0 || !strings.Contains(got.Problems[0].Words, "lost its last digits") {
		t.Errorf("a number that lost its digits: %+v", got)
	}
}

func TestAListInGB18030(t *testing.T) {
	src, err := simplifiedchinese.GB18030.NewEncoder().String("姓名,出生日期\n巴图,1950年3月7日\n")
	if err != nil {
		t.Fatal(err)
	}
	r, err := readList(t, []byte(src))
	if err != nil || len(r.Rows) != 1 || r.Rows[0].Name != "巴图" || r.Rows[0].Birth != date("1950-03-07") {
		t.Errorf("%+v, %v", r, err)
	}
}

// The order of the persons changes nothing; no person is given twice; nobody is
// matched with fewer than two fields.
func TestMatchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"", "巴图", "萨日娜", "青格勒", "巴 图"})
		ids := rapid.SampledFrom([]string{"", "A", "B", "C"})
		births := rapid.SampledFrom([]string{"", "1950-03-07", "1948-12-01"})
		phones := rapid.SampledFrom([]string{"", "1", "2"})
		var known []reconcile.Known
		for i := range rapid.IntRange(0, 6).Draw(t, "persons") {
			known = append(known, reconcile.Known{
				Ref: fmt.Sprintf("P%d", i), Name: names.Draw(t, "name"), ID: ids.Draw(t, "id"), Birth: date(births.Draw(t, "birth")), Phone: phones.Draw(t, "phone"),
			})
		}
		var rows []reconcile.Listed
		for i := range rapid.IntRange(0, 6).Draw(t, "rows") {
			rows = append(rows, reconcile.Listed{
				Row: i + 2, Name: names.Draw(t, "name"), ID: ids.Draw(t, "id"), Birth: date(births.Draw(t, "birth")), Phone: phones.Draw(t, "phone"),
			})
		}
		got := reconcile.MatchRoster(rows, known, nil)
		shuffled := slices.Clone(known)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := reconcile.MatchRoster(rows, shuffled, nil); !reflect.DeepEqual(got, again) {
			t.Fatalf("another order of persons: %s\n%s", describe(got), describe(again))
		}
		given := map[string]bool{}
		for i, m := range got {
			if i < len(rows) && (m.Row == nil || m.Row.Row != rows[i].Row) {
				t.Fatalf("match %d is not of row %d", i, rows[i].Row)
			}
			switch m.Standing {
			case reconcile.Confirmed, reconcile.Unseen, reconcile.Differs:
				if len(m.Agree) < 2 || given[m.Person.Ref] {
					t.Fatalf("%s", describe(got))
				}
				given[m.Person.Ref] = true
			case reconcile.NotListed:
				if given[m.Person.Ref] {
					t.Fatalf("%s is listed and not listed:\n%s", m.Person.Ref, describe(got))
				}
			}
		}
	})
}

// What was decided holds in every list: a row that is somebody is them, unless another row
// was first, a row that is not somebody is not, and nobody is given twice.
func TestRuledMatchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"", "巴图", "萨日娜", "青格勒"})
		ids := rapid.SampledFrom([]string{"", "A", "B", "C"})
		births := rapid.SampledFrom([]string{"", "1950-03-07", "1948-12-01"})
		var known []reconcile.Known
		for i := range rapid.IntRange(1, 5).Draw(t, "persons") {
			known = append(known, reconcile.Known{Ref: fmt.Sprintf("P%d", i), Name: names.Draw(t, "name"), ID: ids.Draw(t, "id"), Birth: date(births.Draw(t, "birth"))})
		}
		refs := rapid.SampledFrom([]string{"", "P0", "P1", "P2", "P9"})
		var rows []reconcile.Listed
		var ruled []reconcile.Ruled
		for i := range rapid.IntRange(0, 6).Draw(t, "rows") {
			rows = append(rows, reconcile.Listed{Row: i + 2, Name: names.Draw(t, "name"), ID: ids.Draw(t, "id"), Birth: date(births.Draw(t, "birth"))})
			r := reconcile.Ruled{Same: refs.Draw(t, "same")}
			if not := refs.Draw(t, "not"); not != "" && not != r.Same {
				r.Not = []string{not}
			}
			ruled = append(ruled, r)
		}
		got := reconcile.MatchRoster(rows, known, func(i int) reconcile.Ruled { return ruled[i] })
		given := map[string]bool{}
		for i, m := range got[:len(rows)] {
			if m.Person != nil && slices.Contains(ruled[i].Not, m.Person.Ref) || slices.ContainsFunc(m.Candidates, func(c string) bool { return slices.Contains(ruled[i].Not, c) }) {
				t.Fatalf("row %d is not %v:\n%s", m.Row.Row, ruled[i].Not, describe(got))
			}
			switch m.Standing {
			case reconcile.Confirmed, reconcile.Unseen, reconcile.Differs:
				if given[m.Person.Ref] {
					t.Fatalf("%s is given twice:\n%s", m.Person.Ref, describe(got))
				}
				given[m.Person.Ref] = true
				there := slices.ContainsFunc(known, func(k reconcile.Known) bool { return k.Ref == ruled[i].Same })
				if there && m.Person.Ref != ruled[i].Same {
					t.Fatalf("row %d is %s:\n%s", m.Row.Row, ruled[i].Same, describe(got))
				}
			}
		}
	})
}

// A row has the same key in the next list, wherever it stands there, and no two have one.
func TestRowKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.Custom(func(t *rapid.T) reconcile.Listed {
			return reconcile.Listed{Name: rapid.SampledFrom([]string{"", "巴图", "巴 图", "萨日娜"}).Draw(t, "name"), ID: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "id")}
		})).Draw(t, "rows")
		keys := reconcile.RowKeys(rows)
		seen := map[string]bool{}
		for i, k := range keys {
			if seen[k] || strings.Contains(k, "A") || len(k) != 21 {
				t.Fatalf("key %d, %q: %v", i, k, keys)
			}
			seen[k] = true
		}
		shuffled := slices.Clone(rows)
		rand.New(rand.NewPCG(3, 4)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for _, k := range reconcile.RowKeys(shuffled) {
			if !seen[k] {
				t.Fatalf("%q is in one order alone", k)
			}
		}
	})
}

// A row that is kept comes back as it was read, and its match with what it rests on.
func TestKept(t *testing.T) {
	r, err := readList(t, dirty(t))
	if err != nil {
		t.Fatal(err)
	}
	known := []reconcile.Known{{Ref: "P1", Name: "巴图", ID: "99992219500307103X", Phone: "1", Seen: []reconcile.Evidence{{Dot: "D-1/1/record/1", What: "2025-09-18"}}}}
	for i, m := range reconcile.MatchRoster(r.Rows, known, nil)[:len(r.Rows)] {
		back, err := reconcile.Read(reconcile.Kept("k", r.Rows[i]))
		if err != nil || !reflect.DeepEqual(back, r.Rows[i]) {
			t.Errorf("row %d came back as %+v, %v; want %+v", r.Rows[i].Row, back, err, r.Rows[i])
		}
		kept := reconcile.KeptMatch("k", m, store.RosterRuling{})
		read, err := reconcile.ReadMatch(kept)
		read.Row = m.Row
		if err != nil || read.Seen() != m.Seen() || kept.Open != m.Standing.Asks() {
			t.Errorf("match of row %d: %+v, %v", r.Rows[i].Row, read, err)
		}
	}
}
