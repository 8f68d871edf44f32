package form_test

import (
	"reflect"
	"strings"
	"testing"

	"otor/internal/dot"
	"otor/internal/form"
)

// every is a form with a question of each kind.
func every(t testing.TB) *form.Form {
	t.Helper()
	yn := []form.Choice{{Name: "yes"}, {Name: "no"}}
	f, err := form.New(form.Form{ID: "every", Version: 1, Lane: dot.Record, Fields: []form.Field{
		{Name: "text", Kind: form.Text},
		{Name: "names", Kind: form.Text, Many: true},
		{Name: "whole", Kind: form.Integer},
		{Name: "part", Kind: form.Decimal},
		{Name: "range", Kind: form.Range},
		{Name: "one", Kind: form.SelectOne, Choices: yn},
		{Name: "several", Kind: form.SelectMultiple, Choices: yn},
		{Name: "truth", Kind: form.SelectOne, Stored: form.AsBoolean, Choices: []form.Choice{{Name: "true"}, {Name: "false"}}},
		{Name: "digit", Kind: form.SelectOne, Stored: form.AsInteger, Choices: []form.Choice{{Name: "1"}, {Name: "2"}}},
		{Name: "order", Kind: form.Rank, Choices: yn},
		{Name: "day", Kind: form.DateOnly},
		{Name: "time", Kind: form.Time},
		{Name: "moment", Kind: form.DateTime},
		{Name: "place", Kind: form.Geopoint},
		{Name: "photo", Kind: form.Image},
		{Name: "note", Kind: form.Note},
		{Name: "sum", Kind: form.Calculate, Unit: "head"},
		{Name: "ok", Kind: form.Acknowledge},
		{Name: "group", Kind: form.Group, Fields: []form.Field{{Name: "inner", Kind: form.Text}}},
		{Name: "rows", Kind: form.Repeat, Fields: []form.Field{{Name: "n", Kind: form.Integer}, {Name: "t", Kind: form.Text}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const everyXML = `<data xmlns="http://www.w3.org/2002/xforms" xmlns:orx="http://openrosa.org/xforms" id="every" version="1">
<text> Бат &amp; 巴特 </text><names>one
 two
</names><whole>12</whole><part>1.5</part><range>3</range><one>yes</one><several>yes no</several><truth>false</truth><digit>2</digit>
<order>no yes</order><day>2025-09-18</day><time>14:05:00.000+08:00</time><moment>2025-09-18T14:05:00.000+08:00</moment>
<place>39.5 101.25 0 12</place><photo>ab.jpg</photo><note/><sum>7</sum><ok>OK</ok><group><inner/></group>
<rows><n>1</n><t/></rows><rows><n/><t/></rows><rows><n/><t>x</t></rows><rows_count>3</rows_count>
<orx:meta><orx:instanceID>uuid:1</orx:instanceID></orx:meta></data>`

func TestFromXML(t *testing.T) {
	f := every(t)
	got, problems := form.FromXML(f, []byte(everyXML))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]any{
		"text": "Бат & 巴特", "names": []any{"one", "two"}, "whole": int64(12), "part": 1.5, "range": 3.0, "one": "yes",
		"several": []any{"yes", "no"}, "truth": false, "digit": int64(2), "order": []any{"no", "yes"}, "day": "2025-09-18", "time": "14:05:00",
		"moment": "2025-09-18T14:05:00+08:00", "place": map[string]any{"lat": 39.5, "lon": 101.25, "acc_m": int64(12), "datum": "WGS84"},
		"photo": "ab.jpg", "sum": int64(7), "ok": true, "rows": []any{map[string]any{"n": int64(1)}, map[string]any{"t": "x"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if p := f.Check(got, form.Env{}); len(p) > 0 {
		t.Errorf("the sheet is refused: %v", p)
	}
}

func TestFromXMLRefuses(t *testing.T) {
	f := every(t)
	for xml, want := range map[string]string{
		"":                                  "there are none",
		"<data>":                            "not well-formed",
		"<data id='other'/>":                "answers to form other",
		"<data><nothing>1</nothing></data>": "no such question",
		"<data><whole>many</whole></data>":  "whole number",
		"<data><part>1,5</part></data>":     "number",
		"<data/><data/>":                    "more than one document",
		strings.Repeat("<a>", 50):           "too deep",
		"<data>" + strings.Repeat(" ", form.MaxXML) + "</data>": "at most",
	} {
		_, problems := form.FromXML(f, []byte(xml))
		if len(problems) == 0 || !problems[0].Grave || !strings.Contains(problems[0].Words, want) {
			t.Errorf("%.40q: %v, want %q", xml, problems, want)
		}
	}
}

func FuzzFromXML(f *testing.F) {
	f.Add([]byte(everyXML))
	f.Add([]byte("<data><rows><rows><rows/></rows></rows><place>1 2 3 4 5</place><place>a b</place></data>"))
	every := every(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		sheet, problems := form.FromXML(every, src)
		if len(problems) == 0 {
			every.Check(sheet, form.Env{})
		}
	})
}
