package xlsform_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"otor/internal/form/xlsform"
)

// book writes a workbook as Excel would.
func book(t testing.TB, sheets map[string][][]string) []byte {
	t.Helper()
	x := excelize.NewFile()
	defer x.Close()
	for _, name := range slices.Sorted(maps.Keys(sheets)) {
		rows := sheets[name]
		if _, err := x.NewSheet(name); err != nil {
			t.Fatal(err)
		}
		for i, cells := range rows {
			for j, c := range cells {
				at, _ := excelize.CoordinatesToCellName(j+1, i+1)
				if err := x.SetCellValue(name, at, c); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := x.DeleteSheet("Sheet1"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var visit = map[string][][]string{
	"survey": {
		{"type", "name", "label::中文 (zh)", "label::English (en)"},
		{"select_one yn", "present", "在家吗", "At home?"},
		{},
		{"text", "note", "备注", "Note"},
	},
	"choices": {{"list_name", "name", "label::中文 (zh)", "label::English (en)"}, {"yn", "yes", "是", "Yes"}, {"yn", "no", "否", "No"}},
	"_notes":  {{"not read"}},
}

// The same form in a workbook and in CSV files gives the same bytes.
func TestReadersAgree(t *testing.T) {
	x, err := xlsform.ReadXLSX(book(t, visit))
	if err != nil {
		t.Fatal(err)
	}
	c := &xlsform.Workbook{}
	for name, rows := range visit {
		if strings.HasPrefix(name, "_") {
			continue
		}
		var src strings.Builder
		for _, r := range rows {
			src.WriteString(strings.Join(append(r, ""), ",") + "\n")
		}
		s, err := xlsform.ReadCSV(name, []byte("\ufeff"+src.String()))
		if err != nil {
			t.Fatal(err)
		}
		c.Sheets = append(c.Sheets, s)
	}
	a, errA := xlsform.Convert(x, xlsform.Options{})
	b, errB := xlsform.Convert(c, xlsform.Options{})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if !bytes.Equal(a.XForm, b.XForm) {
		t.Errorf("they differ:\n%s\n%s", a.XForm, b.XForm)
	}
	if !strings.Contains(string(a.XForm), "在家吗") {
		t.Errorf("the label is lost:\n%s", a.XForm)
	}
}

// A fault names the sheet, the row as Excel shows it, the column, and what to do.
func TestFaultWords(t *testing.T) {
	survey := func(rows ...string) string {
		return "type,name,label,relevant,parameters,trigger\n" + strings.Join(rows, "\n") + "\n"
	}
	for _, c := range []struct {
		csv, column string
		row         int
		words       []string
	}{
		{survey("text,1st,First,,,"), "name", 2, []string{"must begin with a letter"}},
		{survey("text,a,A,,,", `text,b,B,${c} = 'x',,`), "relevant", 3, []string{"Could not find the name 'c'"}},
		{survey("select_one,a,A,,,"), "type", 2, []string{"select_one and a list_name"}},
		{survey("select_one yn,a,A,,,"), "type", 2, []string{"List name not in choices sheet: yn"}},
		{survey("txt,a,A,,,"), "type", 2, []string{"Unknown question type 'txt'", "Write one of"}},
		{survey("begin_group,g,G,,,", "text,a,A,,,"), "type", 2, []string{"No matching 'end_group'"}},
		{survey("range,a,A,,start=x,"), "parameters", 2, []string{"'start' must be a number"}},
		{survey("text,a,,,,"), "label", 2, []string{"no label or hint"}},
	} {
		s, err := xlsform.ReadCSV("survey", []byte(c.csv))
		if err != nil {
			t.Fatal(err)
		}
		_, err = xlsform.Convert(&xlsform.Workbook{Sheets: []xlsform.Sheet{s}}, xlsform.Options{})
		f, ok := errors.AsType[*xlsform.Fault](err)
		if !ok {
			t.Errorf("%q: %v", c.csv, err)
			continue
		}
		if f.Sheet != "survey" || f.Row != c.row || f.Column != c.column {
			t.Errorf("%q: sheet %q row %d column %q, want row %d column %q", c.csv, f.Sheet, f.Row, f.Column, c.row, c.column)
		}
		for _, w := range append(c.words, "'survey'", fmt.Sprint("[row : ", c.row, "]")) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: lacks %q: %v", c.csv, w, err)
			}
		}
	}
}

// crafted is a workbook of which one sheet holds what write puts there.
func crafted(t *testing.T, write func(io.Writer)) []byte {
	t.Helper()
	src := book(t, visit)
	z, err := zip.NewReader(bytes.NewReader(src), int64(len(src)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range z.File {
		if f.Name != "xl/worksheets/sheet4.xml" {
			if err := w.Copy(f); err != nil {
				t.Fatal(err)
			}
			continue
		}
		p, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(p, `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
		write(p)
		fmt.Fprint(p, `</sheetData></worksheet>`)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bomb unpacks to size bytes of rows.
func bomb(size int) func(io.Writer) {
	return func(w io.Writer) {
		row := []byte(strings.Repeat(`<row><c t="inlineStr"><is><t>x</t></is></c></row>`, 1000))
		for n := 0; n < size; n += len(row) {
			_, _ = w.Write(row) // into memory
		}
	}
}

func cell(at string) func(io.Writer) {
	return func(w io.Writer) {
		fmt.Fprintf(w, `<row r="%s"><c r="%s" t="inlineStr"><is><t>far away</t></is></c></row>`, strings.TrimLeft(at, "AXFD"), at)
	}
}

// A small file that unpacks to much, or claims a huge sheet, is refused
// without the memory that it asks for.
func TestReadXLSXBounds(t *testing.T) {
	honest := book(t, visit)
	for name, src := range map[string][]byte{
		"a bomb of 80 MB":           crafted(t, bomb(80<<20)),
		"a cell in the last row":    crafted(t, cell("A1048576")),
		"a cell in the last column": crafted(t, cell("XFD1")),
		"not a zip":                 []byte("type,name,label\n"),
		"empty":                     {},
		"cut":                       honest[:len(honest)/2],
		"a large file":              make([]byte, xlsform.MaxFile+1),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := xlsform.ReadXLSX(src)
		runtime.ReadMemStats(&after)
		if _, ok := errors.AsType[*xlsform.Fault](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: took %d MB", name, used>>20)
		}
	}
	// The control: rows without the bomb's size are read.
	if _, err := xlsform.ReadXLSX(crafted(t, bomb(1<<10))); err != nil {
		t.Errorf("a small sheet of the same make: %v", err)
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("type,name,label\ntext,a,A\n"))
	f.Add([]byte("type,name,label::中文 (zh),relevant,trigger\nbegin_repeat,r,R,,\nselect_one ${a},b,B,${a}>1,${b}\nend_repeat,,,,\n"))
	f.Add([]byte("type,name,calculation,default,parameters,repeat_count\nrange,a,instance('x')/root/item[${a}],1 + 1,start=1 end=2,\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := xlsform.ReadCSV("survey", src)
		if err != nil {
			if _, ok := errors.AsType[*xlsform.Fault](err); !ok {
				t.Errorf("not a fault: %v", err)
			}
			return
		}
		convert(t, &xlsform.Workbook{Sheets: []xlsform.Sheet{s}})
	})
}

func FuzzReadXLSX(f *testing.F) {
	src := book(f, visit)
	f.Add(src)
	f.Add(src[:len(src)-30])
	f.Fuzz(func(t *testing.T, src []byte) {
		b, err := xlsform.ReadXLSX(src)
		if err != nil {
			if _, ok := errors.AsType[*xlsform.Fault](err); !ok {
				t.Errorf("not a fault: %v", err)
			}
			return
		}
		convert(t, b)
	})
}

// convert checks that a form is refused with faults or becomes well-formed XML.
func convert(t *testing.T, b *xlsform.Workbook) {
	t.Helper()
	res, err := xlsform.Convert(b, xlsform.Options{})
	if err != nil {
		if _, ok := errors.AsType[*xlsform.Fault](err); !ok {
			t.Errorf("not a fault: %v", err)
		}
		return
	}
	if err := wellFormed(res.XForm); err != nil {
		t.Errorf("%v:\n%s", err, res.XForm)
	}
}
