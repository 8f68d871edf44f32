package reconcile_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"otor/hub/reconcile"
	"otor/internal/sheet"
)

// workbook is a workbook of one sheet of a name, whose XML write writes. claims, when it
// is not 0, is the size that the archive's table of contents gives for the sheet.
func workbook(t *testing.T, name string, method uint16, claims uint64, write func(io.Writer)) []byte {
	t.Helper()
	var whole, b bytes.Buffer
	if err := sheet.WriteXLSX(&whole, sheet.Table{Name: name, Columns: []sheet.Column{{Title: "x"}}, Rows: func(func([]any) bool) {}}); err != nil {
		t.Fatal(err)
	}
	was, err := zip.NewReader(bytes.NewReader(whole.Bytes()), int64(whole.Len()))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	const part = "xl/worksheets/sheet1.xml"
	for _, f := range was.File {
		if f.Name != part {
			if err := z.Copy(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if claims == 0 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: part, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		write(w)
	} else {
		var packed bytes.Buffer
		f, err := flate.NewWriter(&packed, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		sum := crc32.NewIEEE()
		write(io.MultiWriter(f, sum))
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		w, err := z.CreateRaw(&zip.FileHeader{
			Name: part, Method: zip.Deflate, CRC32: sum.Sum32(), CompressedSize64: uint64(packed.Len()), UncompressedSize64: claims,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(packed.Bytes())
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sheetRows writes a sheet of rows of one cell each.
func sheetRows(n int, cell func(i int) string) func(io.Writer) {
	return func(w io.Writer) {
		_, _ = io.WriteString(w, `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
		for i := range n {
			_, _ = fmt.Fprintf(w, `<row r="%d"><c r="A%d" t="inlineStr"><is><t>%s</t></is></c></row>`, i+1, i+1, cell(i))
		}
		_, _ = io.WriteString(w, `</sheetData></worksheet>`)
	}
}

// A workbook that swells up is no statement, and is refused before it has taken more
// than a statement may: at its table of contents, where that lies as it is unpacked, and
// where it is full of text, at the row that is one too many.
func TestABombedStatement(t *testing.T) {
	spaces := strings.Repeat(" ", 1<<20)
	swell := func(w io.Writer) {
		for range 200 {
			_, _ = io.WriteString(w, spaces)
		}
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	noise := make([]string, 64) // so that it is packed no better than text is
	for i := range noise {
		var b strings.Builder
		for range 1500 {
			_, _ = fmt.Fprintf(&b, "%016x", rnd.Uint64())
		}
		noise[i] = b.String()
	}
	const most = 600 << 20
	for what, file := range map[string][]byte{
		"it says so":        workbook(t, "signed", zip.Deflate, 0, swell),
		"it says 1 KiB":     workbook(t, "signed", zip.Deflate, 1<<10, swell),
		"full of text":      workbook(t, "signed", zip.Deflate, 0, sheetRows(1500, func(i int) string { return noise[i%64] })),
		"an endless cell":   workbook(t, "signed", zip.Store, 0, sheetRows(1, func(int) string { return strings.Join(noise, "") })),
		"another workbook":  workbook(t, "list", zip.Store, 0, sheetRows(2, func(int) string { return "x" })),
		"no signed content": workbook(t, "signed", zip.Store, 0, sheetRows(2, func(int) string { return "x" })),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := reconcile.Verify(file, nil)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, reconcile.ErrNotSigned) || len(err.Error()) > 400 {
			t.Errorf("%s: %.500v", what, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s: %d MB were allocated for a file of %d KB", what, took>>20, len(file)>>10)
		} else {
			t.Logf("%s: %d MB for a file of %d KB: %v", what, took>>20, len(file)>>10, err)
		}
	}
}
