package pack

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"otor/internal/form"
)

// sheet is one CSV file of a form: rows of cells under headed columns.
type sheet struct {
	file    string
	columns []column
	rows    []row
}

// column is one headed column: "label::中文 (zh)" has base label and language zh.
type column struct {
	base, lang string
}

// row is one row of cells. Missing cells read as "".
type row struct {
	sheet *sheet
	line  int
	cells []string
}

// cell returns the cell under a column without a language.
func (r row) cell(base string) string { return r.in(base, "") }

func (r row) in(base, lang string) string {
	for i, c := range r.sheet.columns {
		if c.base == base && c.lang == lang && i < len(r.cells) {
			return r.cells[i]
		}
	}
	return ""
}

// labels collects the words under the columns of one base. nil: none.
func (r row) labels(base string) form.Labels {
	var out form.Labels
	for i, c := range r.sheet.columns {
		if c.base == base && c.lang != "" && i < len(r.cells) && r.cells[i] != "" {
			if out == nil {
				out = form.Labels{}
			}
			out[c.lang] = r.cells[i]
		}
	}
	return out
}

// layout says which columns a kind of sheet may have.
type layout struct {
	plain  []string // columns without a language
	worded []string // columns with one
	needs  []string // columns that must be there
	free   bool     // further columns of any id are kept
}

// readSheet reads a CSV file by its layout. nil: it cannot be used; faults say why.
func (l *loader) readSheet(file string, lay layout) *sheet {
	src := l.read(file)
	if src == nil {
		return nil
	}
	if !utf8.Valid(src) {
		l.fault(file, 0, "is not UTF-8 text: save it as CSV UTF-8")
		return nil
	}
	r := csv.NewReader(bytes.NewReader(src))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		l.csvFault(file, err)
		return nil
	}
	line, _ := r.FieldPos(0)
	s := &sheet{file: file}
	if !l.header(s, line, header, lay) {
		return nil
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			l.csvFault(file, err)
			return nil
		}
		line, _ := r.FieldPos(0)
		if len(s.rows) == maxRows {
			l.fault(file, line, "more than %d rows: split the form", maxRows)
			return nil
		}
		if !l.cells(s, line, cells) {
			s.rows = append(s.rows, row{sheet: s, line: line, cells: cells})
		}
	}
}

// cells trims a row's cells and reports whether the row is blank.
func (l *loader) cells(s *sheet, line int, cells []string) (blank bool) {
	blank = true
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
		if cells[i] == "" {
			continue
		}
		blank = false
		if i >= len(s.columns) || s.columns[i].base == "" {
			l.fault(s.file, line, "%q stands outside the headed columns: check the commas and quotes of this row", clip(cells[i]))
			return blank
		}
	}
	return blank
}

func (l *loader) csvFault(file string, err error) {
	if errors.Is(err, io.EOF) {
		l.fault(file, 0, "is empty: the first row names the columns")
		return
	}
	if p, ok := errors.AsType[*csv.ParseError](err); ok {
		l.fault(file, p.Line, "not valid CSV: %v; put text with commas or quotes in double quotes", p.Err)
		return
	}
	l.fault(file, 0, "not valid CSV: %v", err)
}

// header reads the first row.
func (l *loader) header(s *sheet, line int, cells []string, lay layout) bool {
	good := true
	refuse := func(format string, args ...any) {
		l.fault(s.file, line, format, args...)
		good = false
	}
	seen := map[column]bool{}
	for _, h := range cells {
		h = strings.TrimSpace(h)
		if h == "" {
			s.columns = append(s.columns, column{})
			continue
		}
		base, words, worded := strings.Cut(h, "::")
		c := column{base: strings.TrimSpace(base), lang: languageOf(words)}
		switch {
		case slices.Contains(lay.worded, c.base):
			if !worded {
				refuse("column %q: say the language, such as %s::中文 (zh)", clip(h), c.base)
			} else if !l.language(c.lang) {
				refuse("column %q: its language is not among those of %s (%s)", clip(h), manifestFile, strings.Join(l.pack.Languages, ", "))
			}
		case worded:
			refuse("column %q: only %s have a language", clip(h), strings.Join(lay.worded, ", "))
		case !slices.Contains(lay.plain, c.base) && (!lay.free || !idPattern.MatchString(c.base)):
			refuse("unknown column %q: write one of %s", clip(h), strings.Join(append(slices.Clone(lay.plain), lay.worded...), ", "))
		}
		if seen[c] {
			refuse("column %q stands twice: keep one", clip(h))
		}
		seen[c] = true
		s.columns = append(s.columns, c)
	}
	for _, need := range lay.needs {
		if !seen[column{base: need}] {
			refuse("column %s is missing: add it", need)
		}
	}
	return good
}

// languageOf reads the code of "中文 (zh)", or of a bare "zh".
func languageOf(words string) string {
	words = strings.TrimSpace(words)
	if open := strings.LastIndexByte(words, '('); open >= 0 && strings.HasSuffix(words, ")") {
		return strings.TrimSpace(words[open+1 : len(words)-1])
	}
	return words
}

// readBounded reads a file of at most maxFile bytes, without its byte order mark.
func readBounded(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("is larger than %d MiB: no file of a pack is", maxFile>>20)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// clip keeps hostile input out of messages.
func clip(s string) string {
	const longest = 60
	if len(s) <= longest {
		return s
	}
	n := longest
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
