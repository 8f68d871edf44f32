package xlsform

import "strings"

// Bounds of what is read, against a file that is no form.
const (
	MaxFile    = 8 << 20 // bytes of a CSV file or a workbook
	MaxRows    = 20_000  // of one sheet
	MaxColumns = 512     // of one sheet
	MaxCell    = 32 << 10
	MaxSheets  = 64
	MaxCells   = 1 << 20 // of all sheets, filled ones
)

// Workbook is a form as it was written: its sheets, in order.
type Workbook struct{ Sheets []Sheet }

// Sheet is one sheet: rows of cells under a header. Missing cells read as "".
type Sheet struct {
	Name   string
	Header []string
	Rows   []Row
}

// Row is one row of cells.
type Row struct {
	Number int // as Excel numbers it, the header is 1
	Cells  []string
}

// sheet finds a sheet by its name, in any case.
func (b *Workbook) sheet(name string) *Sheet {
	for i := range b.Sheets {
		if strings.EqualFold(strings.TrimSpace(b.Sheets[i].Name), name) {
			return &b.Sheets[i]
		}
	}
	return nil
}

// blank reports whether a row holds nothing.
func (r Row) blank() bool {
	for _, c := range r.Cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}
