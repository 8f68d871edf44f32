package xlsform

import (
	"regexp"
	"slices"
	"strings"
)

// table is a sheet with its header understood.
type table struct {
	name string
	cols []column
	rows []record
}

// record is one row of a table.
type record struct {
	row   int
	cols  []column
	cells []string
}

// wording is some words in some languages; "" is the language of columns that
// name none.
type wording []struct{ lang, words string }

// get returns the cell under a column without a language.
func (r record) get(base string) string {
	for i, c := range r.cols {
		if c.base == base && c.lang == "" && c.name == "" && i < len(r.cells) && r.cells[i] != "" {
			return r.cells[i]
		}
	}
	return ""
}

// words collects what stands under the columns of one base.
func (r record) words(base string) wording {
	var out wording
	for i, c := range r.cols {
		if c.base == base && c.name == "" && i < len(r.cells) && r.cells[i] != "" {
			out = append(out, struct{ lang, words string }{c.lang, r.cells[i]})
		}
	}
	return out
}

// attributes collects bind::x, body::x or instance::x.
func (r record) attributes(base string) []attr {
	var out []attr
	for i, c := range r.cols {
		if c.base == base && c.name != "" && i < len(r.cells) && r.cells[i] != "" {
			out = append(out, attr{c.name, r.cells[i]})
		}
	}
	return out
}

// has reports whether a table has a column of that base.
func (t *table) has(base string) bool {
	return t != nil && slices.ContainsFunc(t.cols, func(c column) bool { return c.base == base })
}

// qualified is an XML attribute's name, with or without a prefix.
var qualified = regexp.MustCompile(`^` + ncName + `(:` + ncName + `)?$`)

// read understands a sheet's header and cleans its cells. needs are columns
// that must be there. nil: there is no such sheet, or it cannot be used.
func (f *form) read(s *Sheet, name string, aliases map[string]string, keepCase bool, needs ...string) *table {
	if s == nil {
		return nil
	}
	t := &table{name: name}
	seen := map[column]string{}
	good := true
	for _, h := range s.Header {
		c := parseHead(h, aliases, keepCase)
		t.cols = append(t.cols, c)
		if c.base == "" {
			continue
		}
		if c.name != "" && !qualified.MatchString(c.name) {
			f.plain(name, 1, clip(c.head), "The heading '%s' names no XML attribute: correct what stands after the colons.", clip(c.head))
			good = false
		}
		key := column{base: c.base, lang: c.lang, name: c.name}
		if other, ok := seen[key]; ok && name != "settings" {
			f.plain(name, 1, "", "Invalid headers provided for sheet: '%s'. Headers that are different names for the same column were found: '%s', '%s'. Rename or remove one of these columns.",
				name, clip(other), clip(c.head))
			good = false
		}
		seen[key] = c.head
	}
	for _, need := range needs {
		if !t.has(need) && len(s.Rows) > 0 {
			f.missing(name, need, t)
			good = false
		}
	}
	if !good {
		return nil
	}
	for _, row := range s.Rows {
		if row.blank() {
			continue
		}
		r := record{row: row.Number, cols: t.cols, cells: make([]string, len(row.Cells))}
		for i, cell := range row.Cells {
			r.cells[i] = clean(cell)
		}
		t.rows = append(t.rows, r)
	}
	return t
}

// missing reports a column that is not there.
func (f *form) missing(sheet, need string, t *table) {
	if sheet == "survey" && need == "type" && !t.has("name") {
		f.plain(sheet, 1, "", "Invalid headers provided for sheet: '%s'. For XLSForms, this may be due a missing header row, in which case add a header row as per the reference template https://xlsform.org/en/ref-table/.", sheet)
		return
	}
	f.plain(sheet, 1, "", "Invalid headers provided for sheet: '%s'. One or more required column headers were not found: '%s'. Learn more: https://xlsform.org/en/#setting-up-your-worksheets", sheet, need)
}

// clean trims a cell and makes several spaces one. Line breaks stay.
func clean(s string) string {
	s = strings.TrimSpace(s)
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return strings.ToValidUTF8(strings.Map(xmlRune, s), "")
}

// xmlRune drops what XML 1.0 cannot hold.
func xmlRune(r rune) rune {
	if r < 0x20 && r != '\t' && r != '\n' || r == 0xfffe || r == 0xffff {
		return -1
	}
	return r
}
