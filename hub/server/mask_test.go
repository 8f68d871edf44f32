package server

import (
	"encoding/json"
	"strings"
	"testing"

	"otor/internal/form"
)

// The number and the telephone are nowhere in what is shown, however deep they lie.
func TestMaskedHoweverDeep(t *testing.T) {
	const number, phone = "999922196001010018", "13904831234"
	f := &form.Form{Fields: []form.Field{
		{Name: "spoken", Kind: form.SelectMultiple},
		{Name: "people", Kind: form.Repeat, Fields: []form.Field{
			{Name: "of", Kind: form.Group, Fields: []form.Field{{Name: "phone", Kind: form.Text}, {Name: "told", Kind: form.Text}}},
			{Name: "heard", Kind: form.SelectMultiple},
			{Name: "kin", Kind: form.Repeat, Fields: []form.Field{{Name: "phone", Kind: form.Text}}},
		}},
	}}
	answers := map[string]any{
		"spoken": []any{"call " + phone},
		"people": []any{map[string]any{
			"of":    map[string]any{"phone": phone, "told": "his number is " + number},
			"heard": []any{number},
			"kin":   []any{map[string]any{"phone": phone}},
			"extra": []any{number}, // nobody asked for it
		}},
		"typed":   int64(13904831234),
		"scanned": float64(13904831234),
		"parts":   map[string]any{"said": []any{"it is " + number}},
	}
	mask := func(x *form.Field) string {
		if x.Name == "phone" {
			return "phone"
		}
		return ""
	}
	shows := func(v any) bool {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), number) || strings.Contains(string(b), phone)
	}
	if !shows(answers) {
		t.Fatal("nothing is to be masked")
	}
	for what, got := range map[string]any{
		"a list":   maskedAnswer(answers["spoken"], ""),
		"a number": maskedAnswer(answers["typed"], ""),
		"another":  maskedAnswer(answers["scanned"], ""),
		"a map":    maskedAnswer(answers["parts"], ""),
		"a table":  maskedRows(&f.Fields[1], answers["people"].([]any), mask),
	} {
		if shows(got) {
			t.Errorf("%s shows: %v", what, got)
		}
	}
	whole := func(*form.Field) string { return wholeMask }
	for _, got := range []any{maskedAnswer(answers["spoken"], wholeMask), maskedAnswer(answers["typed"], wholeMask), maskedAnswer(answers["parts"], wholeMask), maskedRows(&f.Fields[1], answers["people"].([]any), whole)} {
		if !shows(got) {
			t.Errorf("a whole export hides: %v", got)
		}
	}
	for _, plain := range []any{int64(120), 1.5, 13904831.234, true, nil} {
		if got := maskedAnswer(plain, ""); got != plain {
			t.Errorf("%v becomes %v", plain, got)
		}
	}
	fact, err := json.Marshal(leaveOut("", map[string]any{"former": number, "reason": "asked by " + phone, "list": []any{map[string]any{"former": phone}}}))
	if err != nil || shows(string(fact)) {
		t.Errorf("a fact shows: %s, %v", fact, err)
	}
}
