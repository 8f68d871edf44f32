package export_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"otor/internal/sheet"
)

// office finds LibreOffice, or skips the test.
func office(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("soffice")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), "office") {
			t.Fatalf("LibreOffice is required here: %v", err)
		}
		t.Skipf("skipped: %v; install libreoffice-calc to have exports opened", err)
	}
	return path
}

// converted opens a file in LibreOffice and has it written in another format: all sheets
// of a workbook, in the order of their names.
func converted(t *testing.T, soffice, name string, content []byte, to string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, soffice, "-env:UserInstallation=file://"+filepath.Join(dir, "profile"), "--headless", "--norestore",
		"--infilter=CSV:44,34,76,1", "--convert-to", to, "--outdir", out, file)
	if !strings.HasSuffix(name, ".csv") {
		cmd.Args = slices.DeleteFunc(cmd.Args, func(a string) bool { return strings.HasPrefix(a, "--infilter") })
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, text)
	}
	files := map[string][]byte{}
	list, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join(out, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name()] = b
	}
	return files
}

// cellsOf are the cells of a workbook's sheet, as they hold them; no cell may be a formula.
func cellsOf(t *testing.T, content []byte, name string) (out [][]string) {
	t.Helper()
	x, err := excelize.OpenReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	if name == "" {
		name = x.GetSheetName(0)
	}
	rows, err := x.GetRows(name, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, cells := range rows {
		for j := range cells {
			at, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := x.GetCellFormula(name, at); err != nil || f != "" {
				t.Errorf("%s of %s is the formula %q, %v", at, name, f, err)
			}
		}
	}
	return rows
}

// An export opens in LibreOffice, comes back with every cell equal, numbers of eighteen
// digits among them, and nothing in it runs.
func TestOffice(t *testing.T) {
	soffice := office(t)
	texts := slices.DeleteFunc(slices.Clone(nasty), func(s string) bool { return strings.Contains(s, "\r") }) // a cell knows one kind of line end
	s := spool(t, texts)
	workbook := written(t, "xlsx", "zh", s)
	sheets := []string{"记录导出", "表单 count", "表单 visit"}

	// Opened and saved again as a workbook.
	again := converted(t, soffice, "records.xlsx", workbook, "xlsx")["records.xlsx"]
	for _, name := range sheets {
		same(t, name, cellsOf(t, again, name), cellsOf(t, workbook, name))
	}
	// Opened and written as text, as it is shown.
	texted := converted(t, soffice, "records.xlsx", workbook, `csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1`)
	for _, name := range sheets {
		b := texted["records-"+name+".csv"]
		got, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
		if err != nil || len(got) == 0 {
			t.Fatalf("%s as text: %v; there is %d files", name, err, len(texted))
		}
		same(t, name+" as text", got, cellsOf(t, workbook, name))
	}
	// The CSV, opened as an office opens it, holds no formula, and the texts that begin
	// like one are the same but for the apostrophe.
	plain := written(t, "csv", "zh", s)
	opened := cellsOf(t, converted(t, soffice, "records.csv", plain, "xlsx")["records.xlsx"], "")
	want := csvOf(t, plain)
	if len(opened) != len(want) {
		t.Fatalf("the CSV: %d rows, want %d", len(opened), len(want))
	}
	for i, cells := range want {
		for j, c := range cells {
			if sheet.Unescape(c) != c && opened[i][j] != c && opened[i][j] != sheet.Unescape(c) {
				t.Errorf("row %d column %d: %q came back as %q", i, j, c, opened[i][j])
			}
		}
	}
}

// The control: what an export guards against happens to a file that does not.
func TestOfficeControl(t *testing.T) {
	soffice := office(t)
	content := converted(t, soffice, "plain.csv", []byte("\ufeffid,sum\r\n999922194812011227,=1+2\r\n"), "xlsx")["plain.xlsx"]
	x, err := excelize.OpenReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	id, err := x.GetCellValue(x.GetSheetName(0), "A2", excelize.Options{RawCellValue: true})
	formula, ferr := x.GetCellFormula(x.GetSheetName(0), "B2")
	if err != nil || ferr != nil {
		t.Fatal(err, ferr)
	}
	if id == "999922194812011227" || formula == "" {
		t.Errorf("the number came back as %s and the sum as %q: nothing would be noticed", id, formula)
	}
}

func same(t *testing.T, what string, got, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		for j := range max(len(want[i]), len(got[i])) {
			w, g := "", ""
			if j < len(want[i]) {
				w = want[i][j]
			}
			if j < len(got[i]) {
				g = got[i][j]
			}
			if g != w {
				t.Errorf("%s, row %d column %s: %q came back as %q", what, i+1, sheet.ColumnName(j), w, g)
			}
		}
	}
}
