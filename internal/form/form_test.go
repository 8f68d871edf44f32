package form_test

import (
	"strings"
	"testing"

	"otor/internal/dot"
	"otor/internal/form"
)

// yesNo are the choices of a question that is stored as a boolean.
var yesNo = []form.Choice{{Name: "true"}, {Name: "false"}}

// sample is a form with every kind of question.
func sample(t testing.TB) *form.Form {
	t.Helper()
	species := []form.Choice{{Name: "goat"}, {Name: "camel"}}
	f, err := form.New(form.Form{
		ID: "sample", Version: 2, Lane: dot.Record, Entity: "household",
		Fields: []form.Field{
			{Name: "name", Kind: form.Text, Required: true},
			{Name: "count", Kind: form.Integer, RequiredUnless: "rows", Required: true},
			{Name: "weight", Kind: form.Decimal, Unit: "kg"},
			{Name: "species", Kind: form.SelectOne, Choices: species},
			{Name: "passable", Kind: form.SelectOne, Choices: species, Open: true},
			{Name: "severity", Kind: form.SelectOne, Stored: form.AsInteger, Choices: []form.Choice{{Name: "1"}, {Name: "4"}}},
			{Name: "ready", Kind: form.SelectOne, Stored: form.AsBoolean, Choices: yesNo},
			{Name: "signs", Kind: form.SelectMultiple, Choices: species},
			{Name: "day", Kind: form.DateOnly},
			{Name: "clock", Kind: form.Time},
			{Name: "at", Kind: form.DateTime},
			{Name: "where", Kind: form.Geopoint},
			{Name: "photos", Kind: form.Image, Many: true},
			{Name: "remark", Kind: form.Note},
			{Name: "sum", Kind: form.Calculate},
			{Name: "agreed", Kind: form.Acknowledge},
			{Name: "number", Kind: form.Text, Rule: form.ResidentID},
			{Name: "phone", Kind: form.Text, Rule: form.Phone},
			{Name: "died_on", Kind: form.DateOnly, Required: true, Relevant: "${ready} = 'false'"},
			{Name: "set", Kind: form.Group, Fields: []form.Field{
				{Name: "phone", Kind: form.Text, Rule: form.Phone},
				{Name: "needs", Kind: form.SelectMultiple, Choices: species},
			}},
			{Name: "rows", Kind: form.Repeat, Fields: []form.Field{
				{Name: "species", Kind: form.SelectOne, Choices: species, Required: true},
				{Name: "count", Kind: form.Integer, Required: true},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNewRefuses(t *testing.T) {
	deep := form.Field{Name: "x", Kind: form.Text}
	for range form.MaxDepth {
		deep = form.Field{Name: "g", Kind: form.Group, Fields: []form.Field{deep}}
	}
	for name, tc := range map[string]struct {
		f    form.Form
		want string
	}{
		"no id":     {form.Form{Version: 1, Lane: dot.Record}, "no id"},
		"version 0": {form.Form{ID: "a", Lane: dot.Record}, "count from 1"},
		"no lane":   {form.Form{ID: "a", Version: 1}, "unknown lane"},
		"twice":     {with(form.Field{Name: "x", Kind: form.Text}, form.Field{Name: "x", Kind: form.Text}), "be used once"},
		"no kind":   {with(form.Field{Name: "x"}), "unknown type"},
		"no choice": {with(form.Field{Name: "x", Kind: form.SelectOne}), "no choices"},
		"unless":    {with(form.Field{Name: "x", Kind: form.Text, RequiredUnless: "y"}), "no field y"},
		"stored": {with(form.Field{
			Name: "x", Kind: form.SelectOne, Stored: form.AsInteger,
			Choices: []form.Choice{{Name: "one"}},
		}), "cannot be stored as integer"},
		"deep": {with(deep), "more than 8 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := form.New(tc.f)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New = %v, want words with %q", err, tc.want)
			}
		})
	}
}

func with(fields ...form.Field) form.Form {
	return form.Form{ID: "a", Version: 1, Lane: dot.Record, Fields: fields}
}

func TestKindsByName(t *testing.T) {
	for _, n := range form.KindNames() {
		k, ok := form.ParseKind(n)
		if !ok || k.String() != n {
			t.Errorf("ParseKind(%q) = %s, %t", n, k, ok)
		}
	}
	if _, ok := form.ParseKind(""); ok {
		t.Error("the empty type is known")
	}
}

func TestLabels(t *testing.T) {
	l := form.Labels{"zh": "羊", "en": "sheep"}
	for lang, want := range map[string]string{"zh": "羊", "mn": "sheep"} {
		if got := l.In(lang); got != want {
			t.Errorf("In(%s) = %q, want %q", lang, got, want)
		}
	}
	if got := form.Labels(nil).In("zh"); got != "" {
		t.Errorf("no labels give %q", got)
	}
}
