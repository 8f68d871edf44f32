package server

import (
	"testing"

	"otor/internal/form"
)

// Lists and tables in an answer are read as words, not as JSON.
func TestAnswersAsText(t *testing.T) {
	label := func(zh, en string) form.Labels { return form.Labels{"zh": zh, "en": en} }
	chosen := &form.Field{Name: "c", Kind: form.SelectMultiple, Choices: []form.Choice{{Name: "sheep", Label: label("绵羊", "sheep (f)")}, {Name: "goat", Label: label("山羊", "goats")}}}
	people := &form.Field{Name: "p", Kind: form.Repeat, Fields: []form.Field{
		{Name: "who", Kind: form.Text, Label: label("姓名", "Name")}, {Name: "n", Kind: form.Integer, Label: label("数", "Count")}, {Name: "h", Kind: form.Hidden},
	}}
	for _, c := range []struct {
		field  *form.Field
		v      any
		zh, en string
	}{
		{chosen, []any{"sheep", "goat", "camel"}, "绵羊、山羊、camel", "sheep (f), goats, camel"},
		{people, []any{map[string]any{"who": "巴图", "n": int64(3), "h": "x"}, map[string]any{"who": "娜仁"}}, "（姓名：巴图；数：3）、（姓名：娜仁）", "(Name: 巴图; Count: 3), (Name: 娜仁)"},
		{&form.Field{Kind: form.Text}, []any{"a", 1.5, true}, "a、1.5、true", "a, 1.5, true"},
		{&form.Field{Kind: form.Text}, map[string]any{"lat": 1.5, "lon": 2.5}, "lat：1.5；lon：2.5", "lat: 1.5; lon: 2.5"},
		{&form.Field{Kind: form.Text}, "=1+1", "=1+1", "=1+1"},
		{&form.Field{Kind: form.Text}, nil, "", ""},
	} {
		if got := answerText(c.field, c.v, "zh"); got != c.zh {
			t.Errorf("zh: %q, want %q", got, c.zh)
		}
		if got := answerText(c.field, c.v, "en"); got != c.en {
			t.Errorf("en: %q, want %q", got, c.en)
		}
	}
}
