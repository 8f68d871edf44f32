package form_test

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"

	"otor/internal/form"
)

var today = form.Env{Today: form.Date{Year: 2025, Month: 9, Day: 18}, DemoMode: true}

// full is a sheet that answers everything.
func full() map[string]any {
	return map[string]any{
		"name": "查干", "count": int64(3), "weight": 2.5, "species": "goat", "passable": "detour_300m_north",
		"severity": int64(4), "ready": true, "signs": []any{"goat", "camel"}, "day": "2024-02-29",
		"clock": "14:05:00.000+08:00", "at": "2025-09-18T14:05:00+08:00",
		"where":  map[string]any{"lon": 101.7, "lat": int64(39), "acc_m": 8.0, "datum": "WGS84", "source": "gnss"},
		"photos": []any{"ph-1", "ph-2"}, "sum": 3.5, "agreed": true,
		"number": "999922198706272034", "phone": "15400001266", "died_on": nil,
		"set":  map[string]any{"phone": "15400001266", "needs": []any{"goat"}},
		"rows": []any{map[string]any{"species": "goat", "count": int64(186)}},
	}
}

func TestCheckTakesEveryKind(t *testing.T) {
	if ps := sample(t).Check(full(), today); ps != nil {
		t.Fatal(ps)
	}
}

func TestCheckFinds(t *testing.T) {
	many := make([]any, form.MaxRows+1)
	for i := range many {
		many[i] = map[string]any{"species": "goat", "count": int64(1)}
	}
	for _, tc := range []struct {
		field string // the answer that is replaced
		value any
		at    string // the path reported
		code  form.Code
	}{
		{"name", nil, "name", form.Missing},
		{"name", "", "name", form.Missing},
		{"name", int64(1), "name", form.BadType},
		{"name", strings.Repeat("x", form.MaxText+1), "name", form.TooLong},
		{"count", "many", "count", form.BadType},
		{"count", 3.5, "count", form.BadType},
		{"count", uint8(1), "count", form.BadType},
		{"weight", math.NaN(), "weight", form.OutOfRange},
		{"weight", math.Inf(1), "weight", form.OutOfRange},
		{"weight", "2", "weight", form.BadType},
		{"species", "yak", "species", form.BadChoice},
		{"species", "", "species", form.BadChoice},
		{"species", true, "species", form.BadType},
		{"passable", strings.Repeat("x", form.MaxText+1), "passable", form.TooLong},
		{"severity", int64(2), "severity", form.BadChoice},
		{"severity", "4", "severity", form.BadType},
		{"ready", "true", "ready", form.BadType},
		{"signs", "goat", "signs", form.BadType},
		{"signs", []any{"goat", "yak"}, "signs[1]", form.BadChoice},
		{"signs", []any{nil}, "signs[0]", form.BadType},
		{"day", "2025-02-29", "day", form.BadType},
		{"day", "18.09.2025", "day", form.BadType},
		{"clock", "14:05", "clock", form.BadType},
		{"at", "2025-09-18", "at", form.BadType},
		{"where", "here", "where", form.BadType},
		{"where", map[string]any{"lon": 101.7}, "where", form.BadType},
		{"where", map[string]any{"lon": 181.0, "lat": 39.0}, "where", form.OutOfRange},
		{"where", map[string]any{"lon": 101.0, "lat": 39.0, "datum": "GCJ-02"}, "where", form.BadType},
		{"where", map[string]any{"lon": 101.0, "lat": 39.0, "acc_m": "good"}, "where", form.OutOfRange},
		{"where", map[string]any{"lon": 101.0, "lat": 39.0, "z": 1.0}, "where", form.UnknownField},
		{"photos", "ph-1", "photos", form.BadType},
		{"photos", []any{"ph-1", int64(2)}, "photos[1]", form.BadType},
		{"remark", "x", "remark", form.UnknownField},
		{"sum", []any{}, "sum", form.BadType},
		{"agreed", "OK", "agreed", form.BadType},
		{"set", []any{}, "set", form.BadType},
		{"set", map[string]any{"hump": "HG1"}, "set.hump", form.UnknownField},
		{"rows", many, "rows", form.TooMany},
		{"rows", []any{"x"}, "rows[0]", form.BadType},
		{"rows", []any{many[0], many[0], map[string]any{"species": "goat"}}, "rows[2].count", form.Missing},
		{"rows", map[string]any{}, "rows", form.BadType},
		{"extra", "x", "extra", form.UnknownField},
	} {
		t.Run(fmt.Sprintf("%s=%.20v", tc.field, tc.value), func(t *testing.T) {
			sheet := full()
			sheet[tc.field] = tc.value
			ps := sample(t).Check(sheet, today)
			if len(ps) != 1 {
				t.Fatalf("%d problems, want 1: %v", len(ps), ps)
			}
			p := ps[0]
			if p.Field != tc.at || p.Code != tc.code || !p.Grave {
				t.Errorf("got %+v, want %s at %s", p, tc.code, tc.at)
			}
			if !strings.HasPrefix(p.Words, "field "+tc.at+": ") || len(p.Words) > 400 {
				t.Errorf("words %q", p.Words)
			}
		})
	}
}

func TestCheckWarnsWithoutTheNumber(t *testing.T) {
	for _, tc := range []struct {
		field, value string
		code         form.Code
	}{
		{"number", "999922200802332120", form.IDChecksum},
		{"number", "12345", form.IDShape},
		{"phone", "0478123456", form.PhoneShape},
	} {
		sheet := full()
		sheet[tc.field] = tc.value
		ps := sample(t).Check(sheet, today)
		if len(ps) != 1 || ps[0].Code != tc.code || ps[0].Grave {
			t.Errorf("%s: got %v, want the warning %s", tc.field, ps, tc.code)
			continue
		}
		if strings.Contains(ps[0].Words, tc.value) {
			t.Errorf("the words repeat the number: %s", ps[0].Words)
		}
	}
	sheet := full()
	sheet["number"] = int64(999922198706272034)
	ps := sample(t).Check(sheet, today)
	if len(ps) != 1 || strings.Contains(ps[0].Words, "9999") {
		t.Errorf("the words repeat the number: %v", ps)
	}
}

func TestRequiredUnless(t *testing.T) {
	f := sample(t)
	rows := []any{map[string]any{"species": "goat", "count": int64(1)}}
	if ps := f.Check(map[string]any{"name": "x", "rows": rows}, today); ps != nil {
		t.Errorf("with rows: %v", ps)
	}
	for _, none := range []any{nil, []any{}} {
		ps := f.Check(map[string]any{"name": "x", "rows": none}, today)
		if len(ps) != 1 || ps[0].Field != "count" || ps[0].Code != form.Missing {
			t.Errorf("without either: %v", ps)
		}
	}
}

// Two hubs that check the same sheet must name the same first problem.
func TestCheckOrderIsTheForms(t *testing.T) {
	f := sample(t)
	bad := map[string]any{
		"phone": "1", "number": "1", "zz": int64(1), "aa": int64(1), "species": "yak", "count": "x",
		"rows": []any{map[string]any{}},
	}
	var want []string
	for range 50 {
		var got []string
		for _, p := range f.Check(maps.Clone(bad), today) {
			got = append(got, p.Field+" "+string(p.Code))
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("order changed:\n%v\n%v", got, want)
		}
	}
	expected := []string{
		"name missing", "count bad_type", "species bad_choice", "rows[0].species missing", "rows[0].count missing",
		"aa unknown_field", "zz unknown_field", "number id_shape", "phone phone_shape",
	}
	if !reflect.DeepEqual(want, expected) {
		t.Errorf("got %v", want)
	}
}

func TestCheckIsBounded(t *testing.T) {
	sheet := map[string]any{}
	for i := range 5000 {
		sheet[fmt.Sprint("x", i)] = int64(i)
	}
	rows := make([]any, form.MaxRows)
	for i := range rows {
		rows[i] = map[string]any{"species": "yak"}
	}
	sheet["rows"] = rows
	if n := len(sample(t).Check(sheet, today)); n == 0 || n > 32 {
		t.Errorf("%d problems", n)
	}
}

func TestMissingInsideAnAbsentGroup(t *testing.T) {
	f, err := form.New(with(form.Field{Name: "g", Kind: form.Group, Fields: []form.Field{
		{Name: "x", Kind: form.Text, Required: true},
		{Name: "ok", Kind: form.Acknowledge, Required: true},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	if ps := f.Check(nil, today); len(ps) != 2 || ps[0].Field != "g.x" || ps[1].Field != "g.ok" {
		t.Errorf("got %v", ps)
	}
	ps := f.Check(map[string]any{"g": map[string]any{"x": "a", "ok": false}}, today)
	if len(ps) != 1 || ps[0].Code != form.Missing {
		t.Errorf("an unticked confirmation passed: %v", ps)
	}
}

func TestCheckOfAGoodSheetAllocatesNothing(t *testing.T) {
	f, sheet := sample(t), full()
	if n := testing.AllocsPerRun(100, func() { f.Check(sheet, today) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	f, sheet := sample(b), full()
	b.ReportAllocs()
	for b.Loop() {
		if ps := f.Check(sheet, today); ps != nil {
			b.Fatal(ps)
		}
	}
}
