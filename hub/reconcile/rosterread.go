package reconcile

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"

	"otor/internal/find"
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

// check refuses a column before the first one. Error: a [*sheet.Fault], bad_column.
func (m Mapping) check() error {
	for _, f := range slices.Sorted(maps.Keys(m)) {
		if m[f] < 0 {
			return &sheet.Fault{
				Code: "bad_column", Words: fmt.Sprintf("there is no column %d for the %s of a person", m[f], f),
				Do: "give the number of a column, from 0 on, or leave the field out",
			}
		}
	}
	return nil
}

// headerWithin is how many rows may stand above the header: titles, who made it, notes.
const headerWithin = 20

// Roster is a list that was read.
type Roster struct {
	Header    []string
	HeaderRow int // as the office program counts it
	Mapping   Mapping
	Rows      []Listed
	// Sample are the first rows as they stand in the list, for whoever confirms the columns.
	Sample [][]string
}

// maxSample bounds Sample.
const maxSample = 5

// Reading says how a list is to be read.
type Reading struct {
	// Chosen, when it is not nil, says which columns are which, under the header in row
	// HeaderRow.
	Chosen    Mapping
	HeaderRow int
	// Titles are those under which fields stood the last time; where a row has all of
	// them it is the header. Else that is the first row whose titles are understood.
	Titles map[Field]string
	Today  form.Date
	Demo   bool // numbers of the fictional area are in order
	// Progress, which may be nil, is told of each thousandth row.
	Progress func(rows int)
}

// Titles are the titles of the columns in use, to be remembered.
func (r Roster) Titles() map[Field]string {
	out := make(map[Field]string, len(r.Mapping))
	for f, i := range r.Mapping {
		if i < len(r.Header) && titleOf(r.Header[i]) != "" {
			out[f] = titleOf(r.Header[i])
		}
	}
	return out
}

// remembered finds the columns by the titles of last time; nil when one is not there.
func (g Reading) remembered(header []string) Mapping {
	if len(g.Titles) == 0 {
		return nil
	}
	m := Mapping{}
	for f, title := range g.Titles {
		i := slices.IndexFunc(header, func(cell string) bool { return titleOf(cell) == title })
		if i < 0 {
			return nil
		}
		m[f] = i
	}
	return m
}

// columns says which columns are which, should a row be the header.
func (g Reading) columns(r sheet.Row) (Mapping, bool) {
	if g.Chosen != nil {
		return g.Chosen, r.Number == g.HeaderRow
	}
	if m := g.remembered(r.Cells); m.Good() {
		return m, true
	}
	m := GuessMapping(r.Cells)
	return m, m.Good()
}

// ReadRoster reads a list. Errors: a [*sheet.Fault]; bad_column before anything was read; with no_header the Roster has the
// row that looks most like a header, and a sample, so that somebody can choose.
func ReadRoster(rows iter.Seq2[sheet.Row, error], g Reading) (Roster, error) {
	if err := g.Chosen.check(); err != nil {
		return Roster{}, err
	}
	var out Roster
	var above []sheet.Row
	for r, err := range rows {
		if err != nil {
			return Roster{}, err
		}
		if out.Header == nil {
			m, ok := g.columns(r)
			if ok {
				out.Header, out.HeaderRow, out.Mapping = r.Cells, r.Number, m
				continue
			}
			if above = append(above, r); len(above) >= headerWithin && g.Chosen == nil {
				break
			}
			continue
		}
		if sameHeader(r.Cells, out.Header) {
			continue // printed again on each page
		}
		if len(out.Sample) < maxSample {
			out.Sample = append(out.Sample, r.Cells)
		}
		if g.Chosen != nil && !g.Chosen.Good() {
			continue // it is looked at, and not taken
		}
		out.Rows = append(out.Rows, read(r, out.Mapping, form.Env{Today: g.Today, DemoMode: g.Demo}))
		if n := len(out.Rows); n%1000 == 0 && g.Progress != nil {
			g.Progress(n)
		}
	}
	switch {
	case out.Header == nil:
		return unheaded(above), &sheet.Fault{
			Code: "no_header", Words: "no row names the columns", Row: firstOf(above),
			Do: "a list needs a row with titles such as 姓名 and 身份证号 (name and resident id), or two of name, resident id, birth and phone",
		}
	case !out.Mapping.Good():
		return out, &sheet.Fault{
			Code: "few_columns", Words: "the columns that were chosen do not tell people apart",
			Do: "choose two or more of name, resident id, birth and phone, name or resident id among them",
		}
	case len(out.Rows) == 0:
		return out, &sheet.Fault{Code: "empty", Words: "the list has titles and no people", Do: "choose another file or sheet"}
	}
	return out, nil
}

// unheaded presents a list whose header was not found: the first of the fullest rows
// stands for it.
func unheaded(rows []sheet.Row) (out Roster) {
	best, at := 0, -1
	for i, r := range rows {
		n := 0
		for _, c := range r.Cells {
			if sheet.Clean(c) != "" {
				n++
			}
		}
		if n > best {
			best, at = n, i
		}
	}
	if at < 0 {
		return out
	}
	out.Header, out.HeaderRow, out.Mapping = rows[at].Cells, rows[at].Number, GuessMapping(rows[at].Cells)
	for _, r := range rows[at+1:] {
		if len(out.Sample) < maxSample {
			out.Sample = append(out.Sample, r.Cells)
		}
	}
	return out
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
	problem := func(f Field, code, value, words string) {
		column, ok := m[f]
		if !ok {
			column = -1
		}
		l.Problems = append(l.Problems, Problem{Column: column, Code: code, Value: value, Words: words})
	}
	l.Name, l.Place = sheet.Clean(cell(FieldName)), sheet.Clean(cell(FieldPlace))
	id, lost := sheet.Number(cell(FieldID))
	if id != "" {
		code, words := form.CheckResidentID(id, env)
		switch {
		case code == "":
			l.ID = id
		case lost:
			problem(FieldID, "number_lost", "", "the resident number lost its last digits: the column was taken for a number; ask for the list with that column as text")
		default:
			problem(FieldID, string(code), "", "resident number: "+words)
		}
	}
	if s := cell(FieldBirth); sheet.Clean(s) != "" {
		if d, ok := sheet.Date(s); ok {
			l.Birth = form.DateOf(d)
		} else {
			v := clip(find.Hide(sheet.Clean(s))) // the column may be another
			problem(FieldBirth, "birth", v, fmt.Sprintf("the birth date %q cannot be read", v))
		}
	}
	l.Phone, _ = sheet.Number(cell(FieldPhone))
	if l.Birth.IsZero() && l.ID != "" {
		l.Birth, _ = form.ParseDate(l.ID[6:10] + "-" + l.ID[10:12] + "-" + l.ID[12:14])
	}
	if l.Name == "" {
		problem(FieldName, "no_name", "", "there is no name")
	}
	return l
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
