// Package sheet reads the lists that offices keep, and writes lists that
// offices open.
//
// Lists come as Excel workbooks or as CSV from whatever program was at hand:
// with or without a byte order mark, in UTF-8, UTF-16 or GB18030, separated by
// commas, semicolons or tabs. They come with titles above the header, full-width
// digits, blanks around everything, and identity numbers that a program took
// for numbers. A reader gives the cells as text, row by row, within bounds; what
// [Clean] makes of them is for whoever compares them. A list that cannot be read
// is a [Fault] in words for a person.
//
// What is written opens in any office program with the same content: texts stay
// texts, an identity number keeps its eighteen digits, and nothing that begins
// like a formula is one.
//
//   - [Open] gives a [Source]; its rows are [Row]s.
//   - [Limits] bound a source: bytes, rows, columns, what it may unpack to.
//   - [Table] is what [WriteXLSX] and [WriteCSV] write.
package sheet

import (
	"fmt"
	"iter"
	"strings"
)

// Limits bound what is read of one list.
type Limits struct {
	File     int64 // bytes as it comes
	Unpacked int64 // bytes of a workbook, all parts together
	Rows     int
	Columns  int
	Cell     int // bytes
}

// Usual are the limits for lists of people.
var Usual = Limits{File: 64 << 20, Unpacked: 512 << 20, Rows: 300_000, Columns: 200, Cell: 4 << 10}

// Row is one row that has something in it.
type Row struct {
	Number int // as an office program counts, from 1
	Cells  []string
}

// Source is a list that was opened. It is read once, by one goroutine.
type Source struct {
	// Sheet is the sheet that is read; empty for CSV.
	Sheet string
	// Sheets are all that the workbook has.
	Sheets []string
	// Encoding says how a CSV was written: UTF-8, UTF-16 or GB18030.
	Encoding string

	rows  iter.Seq2[Row, error]
	close func() error
}

// Rows gives the rows in order. An error, a [*Fault], comes last.
func (s *Source) Rows() iter.Seq2[Row, error] { return s.rows }

// Close releases what Open acquired.
func (s *Source) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Fault says why a list cannot be read.
type Fault struct {
	Code  string // too_large, too_many_rows, too_wide, cell_too_long, protected, old_format, not_a_list, damaged, no_sheet, empty
	Words string
	Row   int // 0: the whole file
	Do    string
}

func (f *Fault) Error() string {
	s := f.Words
	if f.Row > 0 {
		s = fmt.Sprintf("row %d: %s", f.Row, s)
	}
	if f.Do != "" {
		s += ": " + f.Do
	}
	return s
}

func fault(code string, row int, do, words string, args ...any) *Fault {
	return &Fault{Code: code, Row: row, Do: do, Words: fmt.Sprintf(words, args...)}
}

// fits checks one row against the limits.
func (l Limits) fits(r Row, rows int) *Fault {
	switch {
	case rows > l.Rows:
		return fault("too_many_rows", r.Number, "split the list", "the list has more than %d rows", l.Rows)
	case len(r.Cells) > l.Columns:
		return fault("too_wide", r.Number, "remove what does not belong to the list", "the row has more than %d columns", l.Columns)
	}
	for i, c := range r.Cells {
		if len(c) > l.Cell {
			return fault("cell_too_long", r.Number, "shorten it", "column %d holds %d bytes, at most %d are read", i+1, len(c), l.Cell)
		}
	}
	return nil
}

func empty(cells []string) bool {
	for _, c := range cells {
		if c != "" {
			return false
		}
	}
	return true
}

// ColumnName is what office programs call a column, counted from 0: A, B, ..., Z, AA.
func ColumnName(i int) string {
	if i < 0 {
		return ""
	}
	name := ""
	const letters = 26
	for i++; i > 0; i = (i - 1) / letters {
		name = string(rune('A'+(i-1)%letters)) + name
	}
	return name
}

// ColumnIndex is the column that a name stands for, from 0; -1 for what is no name.
func ColumnIndex(name string) int {
	i := 0
	const letters, most = 26, 3
	for _, r := range strings.ToUpper(name) {
		if r < 'A' || r > 'Z' || len(name) > most {
			return -1
		}
		i = i*letters + int(r-'A') + 1
	}
	return i - 1
}
