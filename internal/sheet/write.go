package sheet

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Column is one column of a table.
type Column struct {
	Title string
	// Number: its cells are counts or amounts; all others are texts, also those
	// that consist of digits.
	Number bool
	Width  float64 // of characters; 0: 14
}

// Table is what is written.
type Table struct {
	Name    string // of the sheet
	Notes   []string
	Columns []Column
	// Rows gives the rows; their cells are string, int, int64, float64 or nil.
	Rows func(yield func([]any) bool)
}

// WriteXLSX writes tables as the sheets of a workbook. Notes stand above the
// header. Texts are texts: no cell is a formula.
func WriteXLSX(w io.Writer, tables ...Table) (err error) {
	x := excelize.NewFile()
	defer func() { _ = x.Close() }() // nothing of it is on the disk but temporary files
	text, err := x.NewStyle(&excelize.Style{NumFmt: 49})
	if err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	head, err := x.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, NumFmt: 49})
	if err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	for i, t := range tables {
		name := sheetName(t.Name, i)
		if i == 0 {
			err = x.SetSheetName(x.GetSheetName(0), name)
		} else {
			_, err = x.NewSheet(name)
		}
		if err == nil {
			err = writeSheet(x, name, t, text, head)
		}
		if err != nil {
			return fmt.Errorf("write sheet %s: %w", name, err)
		}
	}
	return x.Write(w)
}

// sheetName makes a name that office programs take.
func sheetName(s string, i int) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:\/?*[]'`, r) {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 31 {
		s = string(r[:31])
	}
	if strings.TrimSpace(s) == "" {
		return fmt.Sprintf("Sheet%d", i+1)
	}
	return s
}

func writeSheet(x *excelize.File, name string, t Table, text, head int) error {
	s, err := x.NewStreamWriter(name)
	if err != nil {
		return err
	}
	for i, c := range t.Columns {
		w := c.Width
		if w == 0 {
			w = 14
		}
		if err := s.SetColWidth(i+1, i+1, w); err != nil {
			return err
		}
	}
	row := 0
	put := func(cells []any) error {
		row++
		at, err := excelize.CoordinatesToCellName(1, row)
		if err != nil {
			return err
		}
		return s.SetRow(at, cells)
	}
	for _, n := range t.Notes {
		if err := put([]any{excelize.Cell{StyleID: text, Value: xmlText(n)}}); err != nil {
			return err
		}
	}
	titles := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		titles[i] = excelize.Cell{StyleID: head, Value: xmlText(c.Title)}
	}
	if err := put(titles); err != nil {
		return err
	}
	var failed error
	t.Rows(func(cells []any) bool {
		out := make([]any, len(cells))
		for i, c := range cells {
			if v, ok := c.(string); ok {
				c = excelize.Cell{StyleID: text, Value: xmlText(v)}
			}
			out[i] = c
		}
		failed = put(out)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return s.Flush()
}

// xmlText leaves out what no XML can hold, and cuts what no cell can.
func xmlText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > excelize.TotalCellChars {
		s = string(r[:excelize.TotalCellChars])
	}
	return s
}

// WriteCSV writes a table as CSV with a byte order mark, by which office
// programs know it for UTF-8. A text that would be taken for a formula gets an
// apostrophe in front, as OWASP advises ("CSV Injection"); [Unescape] takes it
// away again.
func WriteCSV(w io.Writer, t Table) error {
	b := bufio.NewWriter(w)
	if _, err := b.WriteString("\uFEFF"); err != nil {
		return err
	}
	c := csv.NewWriter(b)
	c.UseCRLF = true
	for _, n := range t.Notes {
		if err := c.Write([]string{escape(n)}); err != nil {
			return err
		}
	}
	titles := make([]string, len(t.Columns))
	for i, col := range t.Columns {
		titles[i] = escape(col.Title)
	}
	if err := c.Write(titles); err != nil {
		return err
	}
	var failed error
	t.Rows(func(cells []any) bool {
		out := make([]string, len(cells))
		for i, v := range cells {
			switch v := v.(type) {
			case nil:
			case string:
				out[i] = escape(v)
			default:
				out[i] = fmt.Sprint(v)
			}
		}
		failed = c.Write(out)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return err
	}
	return b.Flush()
}

// formulaStarts are what a formula begins with, or what programs pass over before one;
// full-width signs count as well.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

func formula(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return strings.ContainsRune(formulaStarts, r)
}

func escape(s string) string {
	if s != "" && (formula(s) || s[0] == '\'') {
		return "'" + s
	}
	return s
}

// Unescape takes away the apostrophe that [WriteCSV] puts in front of a text.
func Unescape(s string) string {
	if len(s) > 1 && s[0] == '\'' && (formula(s[1:]) || s[1] == '\'') {
		return s[1:]
	}
	return s
}
