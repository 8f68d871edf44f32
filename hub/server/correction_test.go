package server

import (
	"encoding/json"
	"reflect"
	"testing"

	"otor/internal/form"
)

// What an operator types of a correction becomes what its question takes; what the
// question does not take stays as it is, so that it is refused and never read as no.
func TestCorrectionsAreTyped(t *testing.T) {
	asked := []form.Field{
		{Name: "alive", Kind: form.SelectOne, Stored: form.AsBoolean, Choices: []form.Choice{
			{Name: "true", Label: form.Labels{"zh": "是", "en": "Yes", "mn": "Тийм"}}, {Name: "false", Label: form.Labels{"zh": "否", "en": "No", "mn": "Үгүй"}},
		}},
		{Name: "ok", Kind: form.Acknowledge},
		{Name: "sheep", Kind: form.Integer},
		{Name: "level", Kind: form.SelectOne, Stored: form.AsInteger},
		{Name: "home", Kind: form.Group, Fields: []form.Field{{Name: "herd", Kind: form.Integer}}},
	}
	got := typed(asked, map[string]string{
		"alive": "是", "ok": " true ", "sheep": "12", "level": "3", "home.herd": "7", "nobody": "x",
	})
	want := map[string]any{
		"alive": true, "ok": true, "sheep": json.Number("12"), "level": json.Number("3"), "home": map[string]any{"herd": json.Number("7")}, "nobody": "x",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for said, want := range map[string]any{
		"true": true, "Yes": true, "yes": true, "Тийм": true, "false": false, "否": false, "no": false,
		"1": "1", "maybe": "maybe", "是的": "是的", "": "",
	} {
		if got := typed(asked, map[string]string{"alive": said})["alive"]; got != want {
			t.Errorf("%q is read as %v, want %v", said, got, want)
		}
	}
	if got := typed(asked, map[string]string{"ok": "yes", "sheep": "a dozen"}); got["ok"] != "yes" || got["sheep"] != "a dozen" {
		t.Errorf("%v: what cannot be read is to stay as it was typed", got)
	}
}
