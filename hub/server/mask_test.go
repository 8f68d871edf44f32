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
		}},
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
		"a list":  maskedAnswer(answers["spoken"], ""),
		"a table": maskedRows(&f.Fields[1], answers["people"].([]any), mask),
	} {
		if shows(got) {
			t.Errorf("%s shows: %v", what, got)
		}
	}
	if got := maskedAnswer(answers["spoken"], wholeMask); !shows(got) {
		t.Errorf("a whole export hides: %v", got)
	}
	fact, err := json.Marshal(leaveOut("", map[string]any{"former": number, "reason": "asked by " + phone, "list": []any{map[string]any{"former": phone}}}))
	if err != nil || shows(string(fact)) {
		t.Errorf("a fact shows: %s, %v", fact, err)
	}
}
