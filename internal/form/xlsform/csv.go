package xlsform

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"
)

// ReadCSV reads one sheet from a CSV file (RFC 4180, UTF-8, with or without a
// byte order mark). Row numbers count records, which is how a spreadsheet
// shows the file. The error is a [*Fault].
func ReadCSV(name string, src []byte) (Sheet, error) {
	bad := func(row int, words string) (Sheet, error) {
		return Sheet{}, &Fault{Sheet: name, Row: row, Words: words, plain: true}
	}
	if len(src) > MaxFile {
		return bad(0, "The file is larger than 8 MiB: no sheet of a form is.")
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if !utf8.Valid(src) {
		return bad(0, "The file is not UTF-8 text: save it as CSV UTF-8.")
	}
	r := csv.NewReader(bytes.NewReader(src))
	r.FieldsPerRecord = -1
	s := Sheet{Name: name}
	cells := 0
	for n := 1; ; n++ {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return bad(n, "The row is not valid CSV: put text with commas, quotes or line breaks in double quotes.")
		}
		cells += len(rec)
		if words := tooMuch(n, rec, cells); words != "" {
			return bad(n, words)
		}
		if n == 1 {
			s.Header = rec
			continue
		}
		s.Rows = append(s.Rows, Row{Number: n, Cells: rec})
	}
}

// tooMuch says why a row is not read. "" when it is.
func tooMuch(n int, cells []string, total int) string {
	switch {
	case n > MaxRows:
		return "The sheet has more than 20,000 rows: split the form, or put long lists in a file for select_one_from_file."
	case len(cells) > MaxColumns:
		return "The row has more than 512 cells: remove what stands to the right of the last column."
	case total > MaxCells:
		return "The form has more than a million filled cells: put long lists in a file for select_one_from_file."
	}
	for _, c := range cells {
		if len(c) > MaxCell {
			return "A cell holds more than 32 kB of text: shorten it."
		}
	}
	return ""
}
