package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/xuri/excelize/v2"
)

// maxParts bounds the files in a workbook, maxRatio what one may unpack to for
// each packed byte: real ones stay below 50.
const (
	maxParts = 2000
	maxRatio = 200
)

func damaged(words string, args ...any) *Fault {
	return fault("damaged", 0, "open it in your office program and save it again", "the workbook cannot be read: "+words, args...)
}

func openWorkbook(src []byte, sheetName string, l Limits) (*Source, error) {
	if f := checkZip(src, l); f != nil {
		return nil, f
	}
	x, err := openExcel(src, l)
	if err != nil {
		return nil, damaged("%s", clip(err.Error()))
	}
	names := x.GetSheetList()
	s := &Source{Sheets: names, close: x.Close, Sheet: sheetName}
	switch {
	case sheetName != "" && !slices.Contains(names, sheetName):
		return nil, errors.Join(fault("no_sheet", 0, "choose one of its sheets", "the workbook has no sheet %q", clip(sheetName)), x.Close())
	case sheetName == "":
		for _, n := range names {
			if firstRow(x, n, l) {
				s.Sheet = n
				break
			}
		}
	}
	if s.Sheet == "" {
		return nil, errors.Join(fault("empty", 0, "choose another file", "no sheet of the workbook has anything in it"), x.Close())
	}
	s.rows = func(yield func(Row, error) bool) {
		err := eachRow(x, s.Sheet, l, func(r Row) bool { return yield(r, nil) })
		if err != nil {
			yield(Row{}, err)
		}
	}
	return s, nil
}

// checkZip looks at a workbook's table of contents before anything is unpacked.
// A part that is larger than it claims is stopped by the library's own limit.
func checkZip(src []byte, l Limits) *Fault {
	z, err := zip.NewReader(bytes.NewReader(src), int64(len(src)))
	if err != nil {
		return damaged("it is no whole zip archive")
	}
	if len(z.File) > maxParts {
		return damaged("it has %d parts, at most %d are read", len(z.File), maxParts)
	}
	var unpacked uint64
	for _, f := range z.File {
		unpacked += f.UncompressedSize64
		if f.UncompressedSize64 > uint64(l.Unpacked) || unpacked > uint64(l.Unpacked) || //nolint:gosec // a positive limit
			f.UncompressedSize64 > 1<<20 && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
			return fault("too_large", 0, "save only the list itself as a new workbook", "the workbook would unpack to far more than a list needs")
		}
	}
	return nil
}

// recovered turns a panic of the library into an error: a malformed workbook
// must not stop the program.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("its parts contradict one another (%v)", r)
	}
}

// maxInMemory is how much of one sheet stays in memory; more goes to a temporary file.
const maxInMemory = 16 << 20

func openExcel(src []byte, l Limits) (x *excelize.File, err error) {
	defer recovered(&err)
	return excelize.OpenReader(bytes.NewReader(src), excelize.Options{UnzipSizeLimit: l.Unpacked, UnzipXMLSizeLimit: min(maxInMemory, l.Unpacked)})
}

// firstRow reports whether a sheet has anything in it.
func firstRow(x *excelize.File, name string, l Limits) bool {
	found := false
	_ = eachRow(x, name, l, func(Row) bool { found = true; return false })
	return found
}

// eachRow reads the rows of a sheet one by one.
func eachRow(x *excelize.File, name string, l Limits, do func(Row) bool) (err error) {
	n, count := 0, 0
	defer func() {
		if r := recover(); r != nil {
			err = fault("damaged", n, "open the workbook in your office program and save it again", "the row cannot be read")
		}
	}()
	rows, err := x.Rows(name)
	if err != nil {
		return damaged("sheet %s: %s", clip(name), clip(err.Error()))
	}
	defer func() { _ = rows.Close() }() // only read
	for rows.Next() {
		n++
		// As the cell holds it, not as it is shown: a number in a narrow
		// column, or one with a format of its own, is shown as something else.
		cells, err := rows.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return fault("damaged", n, "open the workbook in your office program and save it again", "the row cannot be read")
		}
		if empty(cells) {
			if n > 4*l.Rows {
				return fault("too_many_rows", n, "remove the empty rows", "the sheet goes on without an end")
			}
			continue
		}
		count++
		r := Row{Number: n, Cells: cells}
		if f := l.fits(r, count); f != nil {
			return f
		}
		if !do(r) {
			return nil
		}
	}
	if err := rows.Error(); err != nil {
		return fault("damaged", n, "open the workbook in your office program and save it again", "the sheet ends in the middle")
	}
	return nil
}

// clip keeps foreign text short in words for a person.
func clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
