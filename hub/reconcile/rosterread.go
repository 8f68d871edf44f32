package reconcile

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"

	"otor/internal/form"
	"otor/internal/sheet"
)

// Mapping says in which column, from 0, a list has a field.
type Mapping map[Field]int

// titles are the words over the columns, as offices write them, cleaned and in
// lower case. A title that only begins with one of them counts too.
var titles = map[Field][]string{
	FieldName:  {"姓名", "名字", "人员姓名", "参保人姓名", "name"},
	FieldID:    {"身份证号", "身份证", "公民身份号码", "证件号", "居民身份证", "resident id", "resident_id", "id number", "id card"},
	FieldBirth: {"出生日期", "出生年月", "生日", "birth", "born", "date of birth"},
	FieldPhone: {"电话", "手机", "联系电话", "联系方式", "phone", "mobile", "telephone"},
	FieldPlace: {"嘎查", "住址", "地址", "居住地", "村", "户籍", "gacha", "address", "place"},
}

// GuessMapping finds the columns by their titles.
func GuessMapping(header []string) Mapping {
	m := Mapping{}
	for _, exact := range []bool{true, false} {
		for i, cell := range header {
			title := titleOf(cell)
			for _, f := range Fields {
				if _, done := m[f]; done || title == "" || slices.Contains(values(m), i) {
					continue
				}
				if slices.ContainsFunc(titles[f], func(t string) bool { return title == t || !exact && strings.Contains(title, t) }) {
					m[f] = i
				}
			}
		}
	}
	return m
}

// titleOf makes a title comparable; 姓　名 is spaced out to look well.
func titleOf(cell string) string {
	s := strings.ToLower(sheet.Clean(cell))
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		s = strings.ReplaceAll(s, " ", "")
	}
	return s
}

func values(m Mapping) []int {
	var out []int
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// Good reports whether a list with these columns can be compared: two facts
// must be there to agree, and one of them tells people apart.
func (m Mapping) Good() bool {
	n := 0
	for _, f := range []Field{FieldName, FieldID, FieldBirth, FieldPhone} {
		if _, ok := m[f]; ok {
			n++
		}
	}
	_, name := m[FieldName]
	_, id := m[FieldID]
	return n >= 2 && (name || id)
}

// headerWithin is how many rows may stand above the header: titles, who made it, notes.
const headerWithin = 20

// maxRowProblems bounds the words on one row.
const maxRowProblems = 8

// Roster is a list that was read.
type Roster struct {
	Header  []string
	Mapping Mapping
	Rows    []Listed
}

// ReadRoster reads a list. chosen, when it is not nil, says which columns are
// which, for the header that was read before; else the first row whose titles
// are understood is the header. demo accepts numbers of the fictional area.
// Errors: a [*sheet.Fault].
func ReadRoster(rows iter.Seq2[sheet.Row, error], chosen Mapping, today form.Date, demo bool) (Roster, error) {
	var out Roster
	var above []sheet.Row
	for r, err := range rows {
		if err != nil {
			return Roster{}, err
		}
		if out.Header == nil {
			m := GuessMapping(r.Cells)
			if chosen != nil && len(m) > 0 {
				m = chosen
			}
			if m.Good() {
				out.Header, out.Mapping = r.Cells, m
				continue
			}
			if above = append(above, r); len(above) >= headerWithin {
				break
			}
			continue
		}
		if sameHeader(r.Cells, out.Header) {
			continue // printed again on each page
		}
		out.Rows = append(out.Rows, read(r, out.Mapping, form.Env{Today: today, DemoMode: demo}))
	}
	if out.Header == nil {
		return Roster{}, &sheet.Fault{
			Code: "no_header", Words: "no row names the columns", Row: firstOf(above),
			Do: "a list needs a row with titles such as 姓名 and 身份证号 (name and resident id), or two of name, resident id, birth and phone",
		}
	}
	if len(out.Rows) == 0 {
		return Roster{}, &sheet.Fault{Code: "empty", Words: "the list has titles and no people", Do: "choose another file or sheet"}
	}
	return out, nil
}

func firstOf(rows []sheet.Row) int {
	if len(rows) == 0 {
		return 0
	}
	return rows[0].Number
}

func sameHeader(cells, header []string) bool {
	return slices.EqualFunc(cells, header, func(a, b string) bool { return sheet.Clean(a) == sheet.Clean(b) })
}

// read cleans one row.
func read(r sheet.Row, m Mapping, env form.Env) Listed {
	l := Listed{Row: r.Number}
	cell := func(f Field) string {
		if i, ok := m[f]; ok && i < len(r.Cells) {
			return r.Cells[i]
		}
		return ""
	}
	problem := func(format string, args ...any) {
		if len(l.Problems) < maxRowProblems {
			l.Problems = append(l.Problems, fmt.Sprintf(format, args...))
		}
	}
	l.Name, l.Place = sheet.Clean(cell(FieldName)), sheet.Clean(cell(FieldPlace))
	id, lost := sheet.Number(cell(FieldID))
	if id != "" {
		code, words := form.CheckResidentID(id, env)
		switch {
		case code == "":
			l.ID = id
		case lost:
			problem("the resident number lost its last digits: the column was taken for a number; ask for the list with that column as text")
		default:
			problem("resident number: %s", words)
		}
	}
	if s := cell(FieldBirth); sheet.Clean(s) != "" {
		if d, ok := sheet.Date(s); ok {
			l.Birth = form.DateOf(d)
		} else {
			problem("the birth date %q cannot be read", clip(sheet.Clean(s)))
		}
	}
	l.Phone, _ = sheet.Number(cell(FieldPhone))
	if l.Birth.IsZero() && l.ID != "" {
		l.Birth, _ = form.ParseDate(l.ID[6:10] + "-" + l.ID[10:12] + "-" + l.ID[12:14])
	}
	if l.Name == "" {
		problem("there is no name")
	}
	return l
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
