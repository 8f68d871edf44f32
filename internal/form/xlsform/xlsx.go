package xlsform

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Limits of what a workbook may unpack to, in bytes: the library's own default
// is 16 GB.
const (
	maxUnpacked = 64 << 20
	maxSheetXML = 8 << 20 // beyond it the library works from a temporary file
)

// ReadXLSX reads the sheets of an Excel workbook. Cells read as Excel shows
// them. Sheets whose name begins with "_" are notes and are not read. The
// error is a [*Fault].
func ReadXLSX(src []byte) (*Workbook, error) {
	bad := func(sheet string, row int, format string, args ...any) (*Workbook, error) {
		return nil, &Fault{Sheet: sheet, Row: row, Words: fmt.Sprintf(format, args...), plain: true}
	}
	if len(src) > MaxFile {
		return bad("", 0, "The workbook is larger than 8 MiB: no form is. Remove pictures and sheets that do not belong to it.")
	}
	if err := checkZip(src); err != nil {
		return bad("", 0, "The file cannot be opened as an Excel workbook (.xlsx): %v. Open it in Excel and save it again.", err)
	}
	x, err := openXLSX(src)
	if err != nil {
		return bad("", 0, "The file cannot be opened as an Excel workbook (.xlsx): %s. Open it in Excel and save it again.", clip(err.Error()))
	}
	defer x.Close()
	names := x.GetSheetList()
	if len(names) > MaxSheets {
		return bad("", 0, "The workbook has %d sheets: a form has at most %d.", len(names), MaxSheets)
	}
	b := &Workbook{}
	total := 0
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		s, err := readSheet(x, name, &total)
		if err != nil {
			return nil, err
		}
		b.Sheets = append(b.Sheets, s)
	}
	return b, nil
}

// openXLSX opens a workbook; a malformed one must not stop the program.
func openXLSX(src []byte) (x *excelize.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("its parts contradict one another")
		}
	}()
	return excelize.OpenReader(bytes.NewReader(src), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxSheetXML})
}

// readSheet reads the rows of one sheet, each as it comes, so that a sheet
// that claims a million rows is left at the bound.
func readSheet(x *excelize.File, name string, total *int) (s Sheet, err error) {
	fault := func(row int, words string) error {
		return &Fault{Sheet: name, Row: row, Words: words, plain: true}
	}
	n := 0
	defer func() {
		if r := recover(); r != nil {
			err = fault(n, "The row cannot be read: open the workbook in Excel and save it again.")
		}
	}()
	rows, err := x.Rows(name)
	if err != nil {
		return Sheet{}, fault(0, "The sheet cannot be read: open the workbook in Excel and save it again.")
	}
	defer rows.Close()
	s.Name = name
	for rows.Next() {
		if n++; n > MaxRows {
			return Sheet{}, fault(n, tooMuch(n, nil, 0))
		}
		cells, err := rows.Columns()
		if err != nil {
			return Sheet{}, fault(n, "The row cannot be read: open the workbook in Excel and save it again.")
		}
		*total += len(cells)
		if words := tooMuch(n, cells, *total); words != "" {
			return Sheet{}, fault(n, words)
		}
		if n == 1 {
			s.Header = cells
		} else if len(cells) > 0 {
			s.Rows = append(s.Rows, Row{Number: n, Cells: cells})
		}
	}
	if rows.Error() != nil {
		return Sheet{}, fault(n, "The sheet ends in the middle: open the workbook in Excel and save it again.")
	}
	return s, nil
}
