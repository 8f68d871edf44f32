package xlsform_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	"otor/internal/form/xlsform"
)

// sharedCase is one case of the reference converter's own tests.
type sharedCase struct {
	ID   string `json:"id"`
	MD   string `json:"md"`
	SS   map[string][]map[string]string
	Name string

	Match    []string          `json:"xml__xpath_match"`
	Exact    []json.RawMessage `json:"xml__xpath_exact"`
	Count    []json.RawMessage `json:"xml__xpath_count"`
	Contains []string          `json:"xml__contains"`
	Excludes []string          `json:"xml__excludes"`
	Model    []string          `json:"model__contains"`
	NoModel  []string          `json:"model__excludes"`
	Instance []string          `json:"instance__contains"`
	Itext    []string          `json:"itext__contains"`

	Errored bool     `json:"errored"`
	Errors  []string `json:"error__contains"`

	Warnings   []string `json:"warnings__contains"`
	NoWarnings []string `json:"warnings__not_contains"`
}

// group says which share a case counts in. "": it checks nothing.
func (c sharedCase) group() string {
	switch {
	case c.Errored || len(c.Errors) > 0:
		return "errors"
	case len(c.Match)+len(c.Exact)+len(c.Count) > 0:
		return "xpath"
	case len(c.Contains)+len(c.Excludes)+len(c.Model)+len(c.NoModel)+len(c.Instance)+len(c.Itext) > 0:
		return "text"
	case len(c.Warnings)+len(c.NoWarnings) > 0:
		return "warnings"
	default:
		return "converts"
	}
}

// least are the shares that must be reached, in percent.
var least = map[string]float64{"xpath": 85, "errors": 75, "text": 85, "converts": 85}

const passingList = "testdata/shared-passing.txt"

var rewriteList = flag.Bool("rewrite-shared", false, "write the list of shared cases that pass")

// readShared reads the cases, which are no part of this project. They carry
// the reference converter's licence.
func readShared(t *testing.T) []sharedCase {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash("../../../../shared/xlsform-cases.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if slices.Contains(strings.Split(os.Getenv("OTOR_REQUIRE"), ","), "shared") {
			t.Fatalf("the shared cases are required here: %v", err)
		}
		t.Skip("skipped: ../shared/xlsform-cases.json is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []sharedCase }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 500 {
		t.Fatalf("%d cases only", len(file.Cases))
	}
	return file.Cases
}

// TestShared measures the converter against the reference converter's cases.
// It prints the shares; it fails when one is below its least, or when a case
// of the committed list no longer passes.
func TestShared(t *testing.T) {
	cases := readShared(t)
	seen := map[string]int{}
	total, passed := map[string]int{}, map[string]int{}
	var passing, failing []string
	for _, c := range cases {
		seen[c.ID]++
		id := fmt.Sprintf("%s#%d", strings.TrimPrefix(c.ID, "tests."), seen[c.ID])
		g := c.group()
		total[g]++
		if why := c.run(); why != "" {
			failing = append(failing, id+" ("+g+"): "+why)
			continue
		}
		passed[g]++
		passing = append(passing, id)
	}
	for _, g := range []string{"xpath", "errors", "text", "converts", "warnings"} {
		share := 100 * float64(passed[g]) / float64(total[g])
		t.Logf("%-8s %3d of %3d pass: %.1f %%", g, passed[g], total[g], share)
		if share < least[g] {
			t.Errorf("%s: %.1f %% pass, at least %.0f must", g, share, least[g])
		}
	}
	slices.Sort(passing)
	if *rewriteList {
		if err := os.WriteFile(passingList, []byte(strings.Join(passing, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(passingList)
	if err != nil {
		t.Fatal(err)
	}
	for id := range strings.Lines(string(committed)) {
		if id = strings.TrimSpace(id); !slices.Contains(passing, id) {
			t.Errorf("%s passed before and does not now: %s", id, failing[slices.IndexFunc(failing, func(f string) bool { return strings.HasPrefix(f, id+" ") })])
		}
	}
	if os.Getenv("OTOR_SHARED_FAILING") != "" {
		t.Log(strings.Join(failing, "\n"))
	}
}

// The measure must be able to fail: a form that is not the case's own passes
// none of its checks.
func TestSharedControl(t *testing.T) {
	n := 0
	for _, c := range readShared(t) {
		if c.group() != "xpath" && c.group() != "errors" {
			continue
		}
		c.MD, c.SS = "| survey |\n| | type | name | label |\n| | text | no_such_name | nothing |\n", nil
		if c.run() == "" {
			n++
		}
	}
	if n > 30 { // some cases only say what must not be there
		t.Errorf("%d cases pass with a form that is not theirs", n)
	}
}

// emptied writes elements without content as the reference does.
var emptied = strings.NewReplacer("></instance>", "/>", "></output>", "/>")

// misprints of the reference's messages, which ours do not repeat, and the
// name of the program, which is not ours.
var misprints = strings.NewReplacer("sheetin the", "sheet in the", "onlymatch", "only match", "'unknown' choice values", "'tick_labelset' choice values",
	"'key1=value1 key2=value2.", "'key1=value1 key2=value2'.", "by this version of pyxform", "here", "column names, remove the columns, or update pyxform", "column names, or remove the columns",
	"For internal API usage, may be due to a missing mapping for 'unknown', in which case ensure that the full set of headers appear within the first 100 rows, or specify the header row in 'survey_header'.", "")

// run converts a case. "": all of its checks hold.
func (c sharedCase) run() string {
	root := c.Name
	if root == "" {
		root = "test_name"
	}
	id := "data"
	if c.Name != "" {
		id = c.Name
	}
	res, err := xlsform.Convert(c.workbook(), xlsform.Options{Root: root, ID: id})
	if c.group() == "errors" {
		if err == nil {
			return "no error"
		}
		for _, want := range c.Errors {
			if !strings.Contains(err.Error(), strings.TrimSpace(misprints.Replace(want))) {
				return "the error does not say " + want + "\n    but " + err.Error()
			}
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	return c.check(res)
}

func (c sharedCase) check(res *xlsform.Result) string {
	doc, err := xmlquery.Parse(strings.NewReader(string(res.XForm)))
	if err != nil {
		return err.Error()
	}
	for _, check := range []func(*xmlquery.Node) string{c.matches, c.exacts, c.counts} {
		if why := check(doc); why != "" {
			return why + "\n" + string(res.XForm)
		}
	}
	all := squeeze(string(res.XForm))
	for _, p := range []struct {
		want, not []string
		in        string
	}{
		{c.Contains, c.Excludes, all},
		{c.Model, c.NoModel, all},
		{c.Instance, nil, all},
		{c.Itext, nil, all},
	} {
		for _, w := range p.want {
			if !strings.Contains(p.in, squeeze(w)) {
				return "lacks " + w + "\n" + string(res.XForm)
			}
		}
		for _, w := range p.not {
			if strings.Contains(p.in, squeeze(w)) {
				return "has " + w
			}
		}
	}
	return c.warned(res.Warnings)
}

func (c sharedCase) warned(ws xlsform.Faults) string {
	var said []string
	for _, w := range ws {
		said = append(said, w.Error())
	}
	all := strings.Join(said, "\n")
	if c.group() != "warnings" {
		return ""
	}
	for _, w := range c.Warnings {
		if !strings.Contains(all, strings.TrimSpace(w)) {
			return "no warning " + w + "\n    but " + all
		}
	}
	for _, w := range c.NoWarnings {
		if strings.Contains(all, strings.TrimSpace(w)) {
			return "warns " + w
		}
	}
	return ""
}

var (
	between = regexp.MustCompile(`>\s+|\s+<`)
	spaces  = regexp.MustCompile(`\s+`)
)

// squeeze leaves out the white space that parts elements: the reference
// indents its output, and ours is one line.
func squeeze(s string) string {
	s = between.ReplaceAllStringFunc(s, strings.TrimSpace)
	return strings.TrimSpace(spaces.ReplaceAllString(s, " "))
}

var prefixes = map[string]string{
	"h": "http://www.w3.org/1999/xhtml", "x": "http://www.w3.org/2002/xforms", "jr": "http://openrosa.org/javarosa",
	"orx": "http://openrosa.org/xforms", "odk": "http://www.opendatakit.org/xforms", "entities": "http://www.opendatakit.org/xforms/entities",
	"ev": "http://www.w3.org/2001/xml-events", "xsd": "http://www.w3.org/2001/XMLSchema", "esri": "http://esri.com/xforms",
}

// query evaluates an XPath; the library stops the program on axes that it
// does not know.
func query(doc *xmlquery.Node, expr string) (nodes []*xmlquery.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	e, err := xpath.CompileWithNS(strings.TrimSpace(expr), prefixes)
	if err != nil {
		return nil, err
	}
	return xmlquery.QuerySelectorAll(doc, e), nil
}

func (c sharedCase) matches(doc *xmlquery.Node) string {
	for _, m := range c.Match {
		nodes, err := query(doc, m)
		if err != nil {
			return "cannot evaluate " + m + ": " + err.Error()
		}
		if len(nodes) == 0 {
			return "no match for " + spaces.ReplaceAllString(m, " ")
		}
	}
	return ""
}

func (c sharedCase) counts(doc *xmlquery.Node) string {
	for _, raw := range c.Count {
		var pair []any
		if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			return "bad case"
		}
		nodes, err := query(doc, pair[0].(string))
		if err != nil {
			return err.Error()
		}
		if float64(len(nodes)) != pair[1].(float64) {
			return fmt.Sprintf("%d of %s, want %v", len(nodes), pair[0], pair[1])
		}
	}
	return ""
}

func (c sharedCase) exacts(doc *xmlquery.Node) string {
	for _, raw := range c.Exact {
		var pair []json.RawMessage
		var expr string
		var want []string
		if err := errors.Join(json.Unmarshal(raw, &pair)); err != nil || len(pair) != 2 {
			return "bad case"
		}
		if err := errors.Join(json.Unmarshal(pair[0], &expr), json.Unmarshal(pair[1], &want)); err != nil {
			return err.Error()
		}
		nodes, err := query(doc, expr)
		if err != nil {
			return err.Error()
		}
		var got []string
		for _, n := range nodes {
			if n.Type == xmlquery.ElementNode {
				got = append(got, squeeze(emptied.Replace(n.OutputXML(true))))
			} else {
				got = append(got, squeeze(n.InnerText()))
			}
		}
		for i := range want {
			want[i] = squeeze(want[i])
			if !strings.HasPrefix(want[i], "<") {
				want[i] = squeeze(html.UnescapeString(want[i]))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Sprintf("%s gives %q, want %q", spaces.ReplaceAllString(expr, " "), got, want)
		}
	}
	return ""
}

// workbook reads a case's sheets.
func (c sharedCase) workbook() *xlsform.Workbook {
	b := &xlsform.Workbook{}
	if c.MD == "" {
		for name, rows := range c.SS {
			b.Sheets = append(b.Sheets, fromMaps(name, rows))
		}
		return b
	}
	for line := range strings.Lines(c.MD) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := splitCells(line)
		if name := strings.TrimSpace(cells[0]); name != "" {
			b.Sheets = append(b.Sheets, xlsform.Sheet{Name: name})
			continue
		}
		s := &b.Sheets[len(b.Sheets)-1]
		cells = cells[1:]
		if s.Header == nil {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			s.Header = cells
			continue
		}
		s.Rows = append(s.Rows, xlsform.Row{Number: len(s.Rows) + 2, Cells: cells})
	}
	return b
}

func fromMaps(name string, rows []map[string]string) xlsform.Sheet {
	s := xlsform.Sheet{Name: name}
	for _, r := range rows {
		for k := range r {
			if !slices.Contains(s.Header, k) {
				s.Header = append(s.Header, k)
			}
		}
	}
	slices.Sort(s.Header)
	for i, r := range rows {
		cells := make([]string, len(s.Header))
		for j, h := range s.Header {
			cells[j] = r[h]
		}
		s.Rows = append(s.Rows, xlsform.Row{Number: i + 2, Cells: cells})
	}
	return s
}

// splitCells splits a markdown row; "\|" is a bar in a cell.
func splitCells(line string) []string {
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	parts := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.TrimSpace(parts[i]), "\x00", "|")
	}
	return parts
}
