package form_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/internal/dot"
	"otor/internal/form"
)

func mustExpr(t testing.TB, s string) *form.Expr {
	t.Helper()
	e, err := form.ParseExpr(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return e
}

func saving(t *testing.T) *form.Form {
	t.Helper()
	f, err := form.New(form.Form{
		ID: "count", Version: 1, Lane: dot.Record, Entity: "household",
		Saves: []form.Save{
			{Type: "household", Edit: true},
			{Type: "herd", ID: mustExpr(t, "concat(${entity}, '/', ${species})"), Repeat: "rows"},
			{Type: "pension", ID: mustExpr(t, "${who}"), When: mustExpr(t, "${alive} = 'true' and ${who} != ''")},
		},
		Fields: []form.Field{
			{Name: "method", Kind: form.Text},
			{Name: "who", Kind: form.Text, SaveTo: "pension#person"},
			{Name: "alive", Kind: form.Acknowledge},
			{Name: "set", Kind: form.Group, Fields: []form.Field{
				{Name: "phone", Kind: form.Text, SaveTo: "household#phone"},
				{Name: "needs", Kind: form.Text, Many: true, SaveTo: "household#needs"},
			}},
			{Name: "rows", Kind: form.Repeat, Fields: []form.Field{
				{Name: "species", Kind: form.Text, SaveTo: "herd#species"},
				{Name: "count", Kind: form.Integer, SaveTo: "herd#count"},
				{Name: "how", Kind: form.Calculate, Calculation: "${method}", Worked: mustExpr(t, "${method}"), SaveTo: "herd#method"},
				{Name: "less", Kind: form.Calculate, Worked: mustExpr(t, "-${count}"), SaveTo: "herd#moved"},
			}},
			{Name: "day", Kind: form.Calculate, Worked: mustExpr(t, "today()"), SaveTo: "pension#checks"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What writes a property is found with its rules, and judged by itself.
func TestWriters(t *testing.T) {
	f := saving(t)
	for property, want := range map[string]string{"household#phone": "phone", "herd#species": "species", "herd#method": "", "pension#phone": "", "household#other": ""} {
		typ, name, _ := strings.Cut(property, "#")
		var got []string
		for _, x := range f.Writers(typ, name) {
			got = append(got, x.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %q", property, got, want)
		}
	}
	if got := f.Askers("herd", "method"); len(got) != 1 || got[0].Name != "method" {
		t.Errorf("who asks for the method: %v", got)
	}
	for _, c := range []struct {
		rule  form.Rule
		value any
		code  form.Code
	}{
		{form.Phone, "13904830007", ""},
		{form.Phone, "1390483000", form.PhoneShape},
		{form.Phone, int64(1), form.BadType},
		{form.ResidentID, "110105194912310021", form.IDChecksum},
	} {
		x := form.Field{Name: "x", Kind: form.Text, Rule: c.rule}
		code := form.Code("")
		if problems := x.Check(c.value, form.Env{}); len(problems) > 0 {
			code = problems[0].Code
		}
		if code != c.code {
			t.Errorf("%v by %v: %q, want %q", c.value, c.rule, code, c.code)
		}
	}
}

var moment = form.MomentOf(time.Date(2025, 9, 18, 9, 12, 3, 0, time.FixedZone("", 8*3600)))

func TestSaved(t *testing.T) {
	sheet := map[string]any{
		"method": "enumerated", "who": "P007", "alive": true,
		"set": map[string]any{"needs": []any{"voice"}},
		"rows": []any{
			map[string]any{"species": "goat", "count": int64(179)},
			map[string]any{"species": "camel", "count": int64(7), "how": "estimated"},
		},
	}
	got, err := saving(t).Saved("H-1", sheet, moment)
	if err != nil {
		t.Fatal(err)
	}
	want := []form.Saved{
		{Type: "household", ID: "H-1", Property: "needs", Value: []any{"voice"}, Edit: true},
		{Type: "herd", ID: "H-1/goat", Property: "species", Value: "goat"},
		{Type: "herd", ID: "H-1/goat", Property: "count", Value: int64(179)},
		{Type: "herd", ID: "H-1/goat", Property: "method", Value: "enumerated"},
		{Type: "herd", ID: "H-1/goat", Property: "moved", Value: int64(-179)},
		{Type: "herd", ID: "H-1/camel", Property: "species", Value: "camel"},
		{Type: "herd", ID: "H-1/camel", Property: "count", Value: int64(7)},
		{Type: "herd", ID: "H-1/camel", Property: "method", Value: "estimated"}, // the sheet's own answer
		{Type: "herd", ID: "H-1/camel", Property: "moved", Value: int64(-7)},
		{Type: "pension", ID: "P007", Property: "person", Value: "P007"},
		{Type: "pension", ID: "P007", Property: "checks", Value: "2025-09-18"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	sheet["alive"] = false
	if got, _ = saving(t).Saved("H-1", sheet, moment); len(got) != len(want)-2 {
		t.Errorf("a condition that does not hold: %v", got)
	}
	if got, err = saving(t).Saved("H-1", nil, moment); len(got) != 0 || err != nil {
		t.Errorf("nothing answered: %v, %v", got, err)
	}
	sheet["alive"], sheet["who"] = true, ""
	if got, _ = saving(t).Saved("H-1", map[string]any{"alive": true, "method": "x"}, moment); len(got) != 0 {
		t.Errorf("calculations alone: %v", got)
	}
	sheet["rows"] = []any{map[string]any{"species": "two words", "count": int64(1)}}
	if _, err = saving(t).Saved("H-1", sheet, moment); err == nil || !strings.Contains(err.Error(), "the id of the herd") {
		t.Errorf("an id that cannot be one: %v", err)
	}
}

func TestExpr(t *testing.T) {
	for text, want := range map[string]any{
		"1 + 2 * 3":                       int64(7),
		"(1 + 2) * -3":                    int64(-9),
		"1 - 2 - 3":                       int64(-4),
		"2.5 * 2":                         5.0,
		"concat('a', 1, true(), ${none})": "a1true",
		"'1' = 1":                         true,
		"'a' != \"b\" and not(false())":   true,
		"false() or '' = ${none}":         true,
		"now()":                           "2025-09-18T09:12:03+08:00",
		"${entity}":                       "H-9",
		"${none} + 1":                     nil,
		"4000000000 * 4":                  16000000000.0,
		"-'x'":                            "error",
		"if(1 = 1, 'a', -'x')":            "error",
		"if('' = ${none}, 'a', 'b')":      "a",
	} {
		f, err := form.New(form.Form{ID: "x", Version: 1, Lane: dot.Record, Saves: []form.Save{{Type: "t"}}, Fields: []form.Field{
			{Name: "none", Kind: form.Text},
			{Name: "some", Kind: form.Text, SaveTo: "some"},
			{Name: "v", Kind: form.Calculate, Worked: mustExpr(t, text), SaveTo: "v"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Saved("H-9", map[string]any{"some": "answer"}, moment)
		switch {
		case want == "error":
			if err == nil {
				t.Errorf("%s: %v, want an error", text, got)
			}
		case err != nil:
			t.Errorf("%s: %v", text, err)
		case want == nil:
			if len(got) != 1 {
				t.Errorf("%s: %v", text, got)
			}
		case len(got) != 2 || got[1].Value != want:
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{
		"", "1 +", "(1", "${", "${}", "'x", "1 2", "count(1)", "today(1)", "not()", "if(1, 2)", "concat(1", "@", "1..2",
		strings.Repeat("(", 40) + "1" + strings.Repeat(")", 40), strings.Repeat(" ", 2000),
	} {
		if _, err := form.ParseExpr(text); err == nil {
			t.Errorf("%.40q is taken", text)
		}
	}
}

// Texts are compared as texts, and answers are texts, as on the page: the last digit of a
// resident number counts, and so does a zero in front. A number that is written or reckoned
// makes a comparison one of numbers.
func TestComparisons(t *testing.T) {
	fields := []form.Field{
		{Name: "a", Kind: form.Text},
		{Name: "b", Kind: form.Text},
		{Name: "n", Kind: form.Integer},
		{Name: "m", Kind: form.Integer},
		{Name: "d", Kind: form.Decimal},
		{Name: "none", Kind: form.Integer},
		{Name: "yes", Kind: form.Text},
		{Name: "some", Kind: form.Text, SaveTo: "some"},
	}
	sheet := map[string]any{
		"a": "152921194812011234", "b": "152921194812011235", "n": int64(7), "m": int64(900719925474099301), "d": 1.50, "yes": "true", "some": "answer",
	}
	for text, want := range map[string]bool{
		"${a} = ${b}":                  false,
		"${a} != ${b}":                 true,
		"${a} = '152921194812011234'":  true,
		"${m} = '900719925474099302'":  false,
		"'007' = '7'":                  false,
		"'1e3' = '1000'":               false,
		"concat('0', 7) = '7'":         false,
		"concat(${n}) = '7'":           true,
		"${n} = '7'":                   true,
		"'07' = ${n}":                  false, // as the page has it
		"${n} = 7":                     true,
		"${n} = 7.0":                   true,
		"'07' = 7":                     true,
		"'07' = 3 + 4":                 true,
		"${n} + 0 = ${n}":              true,
		"${d} = 1.5":                   true,
		"${d} = '1.5'":                 true,
		"${none} = ''":                 true,
		"${none} = 0":                  false,
		"${none} != 0":                 true,
		"${yes} = 'true'":              true,
		"today() = '2025-09-18'":       true,
		"not(${a} = ${b} or ${n} = 8)": true,
	} {
		f, err := form.New(form.Form{ID: "x", Version: 1, Lane: dot.Record, Saves: []form.Save{{Type: "t"}}, Fields: append(slices.Clone(fields),
			form.Field{Name: "v", Kind: form.Calculate, Worked: mustExpr(t, text), SaveTo: "v"})})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Saved("H-9", sheet, moment)
		if err != nil || len(got) != 2 || got[1].Value != want {
			t.Errorf("%s: %v, %v, want %t", text, got, err, want)
		}
	}
}

// A name that stands in two groups, which no sheet may refer to, means the first of them,
// and not now this one and now that.
func TestANameInTwoGroups(t *testing.T) {
	groups := make([]form.Field, 12)
	sheet := map[string]any{"some": "answer"}
	for i := range groups {
		name := fmt.Sprintf("g%d", (i*7)%12)
		groups[i] = form.Field{Name: name, Kind: form.Group, Fields: []form.Field{{Name: "q", Kind: form.Text}}}
		sheet[name] = map[string]any{"q": name}
	}
	f, err := form.New(form.Form{ID: "x", Version: 1, Lane: dot.Record, Saves: []form.Save{{Type: "t"}}, Fields: append(groups,
		form.Field{Name: "some", Kind: form.Text, SaveTo: "some"}, form.Field{Name: "v", Kind: form.Calculate, Worked: mustExpr(t, "${q}"), SaveTo: "v"})})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got, err := f.Saved("H-9", sheet, moment); err != nil || len(got) != 2 || got[1].Value != "g0" {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

func FuzzParseExpr(f *testing.F) {
	f.Add("concat(${entity}, '/', ${a}) = 'x' or not(1 + -2 * 3 != today())")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := form.ParseExpr(text)
		if err != nil {
			return
		}
		if again, err := form.ParseExpr(e.String()); err != nil || !reflect.DeepEqual(again.Names(), e.Names()) {
			t.Errorf("%q reads differently the second time: %v", text, err)
		}
		e.Names()
		x := form.Form{ID: "x", Version: 1, Lane: dot.Record, Saves: []form.Save{{Type: "t", ID: e}}}
		if g, err := form.New(x); err == nil {
			_, _ = g.Saved("m", nil, moment)
		}
	})
}
