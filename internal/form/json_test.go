package form_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"otor/internal/form"
)

func decode(t testing.TB, s string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFromJSON(t *testing.T) {
	got, ps := form.FromJSON(sample(t), decode(t, `{
		"name":"x","count":9223372036854775807,"weight":3,"severity":4.0,"ready":false,"sum":3,"died_on":null,
		"signs":["goat"],"where":{"lon":101.7,"lat":39},"number":"11010519491231002x",
		"set":{"phone":"15400001266"},"rows":[{"species":"goat","count":1e2}],"extra":1.5}`))
	if ps != nil {
		t.Fatal(ps)
	}
	want := map[string]any{
		"name": "x", "count": int64(math.MaxInt64), "weight": 3.0, "severity": int64(4), "ready": false,
		"sum": int64(3), "died_on": nil, "signs": []any{"goat"},
		"where":  map[string]any{"lon": 101.7, "lat": int64(39)},
		"number": "11010519491231002X", "set": map[string]any{"phone": "15400001266"},
		"rows": []any{map[string]any{"species": "goat", "count": int64(100)}}, "extra": 1.5,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
}

func TestFromJSONRefuses(t *testing.T) {
	for _, tc := range []struct {
		in, field string
		code      form.Code
		words     string
	}{
		{`{"count":"many"}`, "count", form.BadType, `field count: expected a whole number, got text "many"`},
		{`{"count":3.5}`, "count", form.BadType, "field count: expected a whole number, got 3.5"},
		{`{"count":9223372036854775808}`, "count", form.OutOfRange, "too large"},
		{`{"count":1e400}`, "count", form.OutOfRange, "too large"},
		{`{"weight":1e400}`, "weight", form.OutOfRange, "too large"},
		{`{"weight":"3"}`, "weight", form.BadType, "expected a number"},
		{`{"severity":"3"}`, "severity", form.BadType, "expected a whole number"},
		{`{"extra":1e400}`, "extra", form.OutOfRange, "too large"},
		{`{"rows":[{},{},{"count":"x"}]}`, "rows[2].count", form.BadType, "expected a whole number"},
	} {
		_, ps := form.FromJSON(sample(t), decode(t, tc.in))
		if len(ps) != 1 || ps[0].Field != tc.field || ps[0].Code != tc.code || !ps[0].Grave ||
			!strings.Contains(ps[0].Words, tc.words) {
			t.Errorf("%s: got %+v", tc.in, ps)
		}
	}
}

// Whatever JSON holds, the sheet holds only what an entry can, and Check takes it.
func FuzzFromJSON(f *testing.F) {
	f.Add(`{"name":"x","count":1,"rows":[{"species":"goat","count":2}],"where":{"lon":1,"lat":[2]}}`)
	f.Add(`{"set":[[[1e999]]],"rows":{"a":{"b":[null]}},"x":{"y":1}}`)
	fm := sample(f)
	f.Fuzz(func(t *testing.T, s string) {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		var m map[string]any
		if d.Decode(&m) != nil {
			return
		}
		sheet, ps := form.FromJSON(fm, m)
		if ps == nil && len(sheet) != len(m) {
			t.Errorf("%d answers of %d", len(sheet), len(m))
		}
		plain(t, sheet)
		fm.Check(sheet, today)
	})
}

func plain(t *testing.T, v any) {
	switch v := v.(type) {
	case nil, bool, int64, string:
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("the number %v", v)
		}
	case []any:
		for _, x := range v {
			plain(t, x)
		}
	case map[string]any:
		for _, x := range v {
			plain(t, x)
		}
	default:
		t.Errorf("a %T", v)
	}
}
