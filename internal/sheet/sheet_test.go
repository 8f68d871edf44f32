package sheet_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"otor/internal/sheet"
)

func read(t testing.TB, src []byte, l sheet.Limits) ([]sheet.Row, *sheet.Source, error) {
	t.Helper()
	s, err := sheet.Open(bytes.NewReader(src), "", l)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = s.Close() }()
	var out []sheet.Row
	for r, err := range s.Rows() {
		if err != nil {
			return out, s, err
		}
		out = append(out, r)
	}
	return out, s, nil
}

const list = "姓名,身份证号,备注\r\n\r\n巴图,15292219500307123X,\"a, b\"\r\n萨日娜,152922194811201228,\r\n"

func TestTextInWhateverEncoding(t *testing.T) {
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(list)
	if err != nil {
		t.Fatal(err)
	}
	u16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(list)
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]string{
		"UTF-8": list, "UTF-8 ": "\uFEFF" + list, "GB18030": gb, "UTF-16": u16,
		"UTF-8  ": strings.ReplaceAll(list, ",", "\t"), "UTF-8   ": strings.ReplaceAll(list, ",", ";"),
	} {
		rows, s, err := read(t, []byte(src), sheet.Usual)
		if err != nil || s.Encoding != strings.TrimSpace(name) {
			t.Errorf("%s: %v %+v", name, err, s)
			continue
		}
		if len(rows) != 3 || rows[0].Cells[0] != "姓名" || rows[1].Number != 3 || rows[1].Cells[1] != "15292219500307123X" || rows[2].Cells[0] != "萨日娜" {
			t.Errorf("%s: %v", name, rows)
		}
	}
}

func TestWhatIsWrittenComesBack(t *testing.T) {
	texts := []string{"15292219500307123X", "152922194811201228", "=1+1", "+86", "-5", "@x", "'quoted", "a\"b,c", "两行\n字", " spaced ", "007", "1e5", ""}
	table := sheet.Table{
		Name: "养老金/名单:1", Notes: []string{"=NOTE"}, Columns: []sheet.Column{{Title: "text"}, {Title: "n", Number: true}},
		Rows: func(yield func([]any) bool) {
			for i, s := range texts {
				if !yield([]any{s, i}) {
					return
				}
			}
		},
	}
	var x, c bytes.Buffer
	if err := sheet.WriteXLSX(&x, table); err != nil {
		t.Fatal(err)
	}
	if err := sheet.WriteCSV(&c, table); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string][]byte{"xlsx": x.Bytes(), "csv": c.Bytes()} {
		rows, _, err := read(t, src, sheet.Usual)
		if err != nil || len(rows) != len(texts)+2 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
			continue
		}
		for i, want := range texts {
			got := rows[i+2].Cells[0]
			if name == "csv" {
				got = sheet.Unescape(got)
			}
			if got != want || rows[i+2].Cells[1] != fmt.Sprint(i) {
				t.Errorf("%s: %q came back as %q", name, want, rows[i+2].Cells)
			}
		}
	}
	if z, err := zip.NewReader(bytes.NewReader(x.Bytes()), int64(x.Len())); err != nil {
		t.Error(err)
	} else {
		for _, f := range z.File {
			r, _ := f.Open()
			var b bytes.Buffer
			_, _ = b.ReadFrom(r)
			if bytes.Contains(b.Bytes(), []byte("<f>")) {
				t.Errorf("%s holds a formula", f.Name)
			}
		}
	}
}

func TestEscapeIsUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ReplaceAll(rapid.StringMatching(`['=+\-@a1 ]{0,6}`).Draw(t, "text"), "\r", "")
		var b bytes.Buffer
		err := sheet.WriteCSV(&b, sheet.Table{Columns: []sheet.Column{{Title: "h"}, {Title: "i"}}, Rows: func(yield func([]any) bool) { yield([]any{s, "end"}) }})
		if err != nil {
			t.Fatal(err)
		}
		src, err := sheet.Open(&b, "", sheet.Usual)
		if err != nil {
			t.Fatal(err)
		}
		var last sheet.Row
		for r, err := range src.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			last = r
		}
		if got := sheet.Unescape(last.Cells[0]); got != s {
			t.Fatalf("%q came back as %q by way of %q", s, got, last.Cells[0])
		}
	})
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"　巴 图　": "巴 图", "１５２９Ｘ": "1529X", "a\u200bb\u00a0 c": "ab c", "\ufeffx\t": "x", "e\u200b\u0301": "é", "": "",
	} {
		if got := sheet.Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"'15292219500307123x ": "15292219500307123X", "１５２９２２１９５００３０７１２３ｘ": "15292219500307123X", "152922 19500307 1228": "152922195003071228",
	} {
		if got, lost := sheet.Number(in); got != want || lost {
			t.Errorf("%q: %q %v, want %q", in, got, lost, want)
		}
	}
	for _, in := range []string{"1.52922195003071E+17", "152922195003071000"} {
		if _, lost := sheet.Number(in); !lost {
			t.Errorf("%q is not seen to have lost its digits", in)
		}
	}
	want := time.Date(1950, 3, 7, 0, 0, 0, 0, time.UTC)
	for _, in := range []string{"1950-3-7", "1950/03/07", "1950.3.7", "1950年3月7日", "19500307", "18329", "1950-03-07 00:00:00", " １９５０-３-７"} {
		if got, ok := sheet.Date(in); !ok || !got.Equal(want) {
			t.Errorf("%q: %v %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "1950-2-30", "x", "60", "1950", "19501399"} {
		if got, ok := sheet.Date(in); ok && in != "1950" {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
}

// bomb is a workbook whose sheet unpacks to size bytes of nothing.
func bomb(t testing.TB, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"[Content_Types].xml":        `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"xl/workbook.xml":            `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheets><sheet name="a" sheetId="1" r:id="rId1" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
	}
	w, err := z.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for i := range zeros {
		zeros[i] = ' '
	}
	for range size >> 20 {
		_, _ = w.Write(zeros)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatCannotBeRead(t *testing.T) {
	small := sheet.Limits{File: 1 << 20, Unpacked: 8 << 20, Rows: 3, Columns: 4, Cell: 40}
	old := append([]byte{0xD0, 0xCF, 0x11, 0xE0}, make([]byte, 600)...)
	locked := append(append([]byte{}, old...), []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00")...)
	for name, c := range map[string]struct {
		src  []byte
		code string
	}{
		"a file too large":    {bytes.Repeat([]byte("a,b\n"), 1<<19), "too_large"},
		"nothing":             {[]byte(" \r\n"), "empty"},
		"a bomb":              {bomb(t, 200<<20), "too_large"},
		"a protected one":     {locked, "protected"},
		"an old one":          {old, "old_format"},
		"a PDF":               {[]byte("%PDF-1.7 ..."), "not_a_list"},
		"a picture":           {append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{0, 1, 2, 0xFF}, 100)...), "not_a_list"},
		"a cut archive":       {[]byte("PK\x03\x04garbage"), "damaged"},
		"too many rows":       {[]byte("a\nb\nc\nd\ne\n"), "too_many_rows"},
		"too many columns":    {[]byte("a,b,c,d,e\n"), "too_wide"},
		"a cell that is long": {[]byte("a," + strings.Repeat("x", 50) + "\n"), "cell_too_long"},
	} {
		_, _, err := read(t, c.src, small)
		f, ok := errors.AsType[*sheet.Fault](err)
		if !ok || f.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
			continue
		}
		if f.Words == "" || f.Do == "" {
			t.Errorf("%s: %+v does not say what to do", name, f)
		}
	}
}

// A list of 200,000 people is read without keeping it.
func TestMemoryIsBounded(t *testing.T) {
	var b bytes.Buffer
	err := sheet.WriteXLSX(&b, sheet.Table{Columns: []sheet.Column{{Title: "姓名"}, {Title: "身份证号"}, {Title: "电话"}}, Rows: func(yield func([]any) bool) {
		for i := range 100_000 {
			if !yield([]any{fmt.Sprintf("某人%d", i), fmt.Sprintf("15292219500307%04d", i%10000), "13800000000"}) {
				return
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sheet.Open(&b, "", sheet.Usual)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	n, most := 0, uint64(0)
	var m runtime.MemStats
	for _, err := range s.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if n != 100_001 {
		t.Errorf("%d rows", n)
	}
	t.Logf("%d rows, at most %d MB in use", n, most>>20)
	if most > 150<<20 {
		t.Errorf("%d MB in use while reading", most>>20)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(list))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\xff\xfea\x00"))
	var b bytes.Buffer
	_ = sheet.WriteXLSX(&b, sheet.Table{Columns: []sheet.Column{{Title: "a"}}, Rows: func(yield func([]any) bool) { yield([]any{"b"}) }})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, src []byte) {
		l := sheet.Limits{File: 1 << 16, Unpacked: 1 << 20, Rows: 50, Columns: 20, Cell: 200}
		rows, _, err := read(t, src, l)
		if _, ok := errors.AsType[*sheet.Fault](err); err != nil && !ok {
			t.Fatalf("not a fault: %v", err)
		}
		for _, r := range rows {
			for _, c := range r.Cells {
				if once := sheet.Clean(c); sheet.Clean(once) != once {
					t.Fatalf("clean twice: %q", c)
				}
				sheet.Number(c)
				sheet.Date(c)
			}
		}
	})
}
