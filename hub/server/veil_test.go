package server

import (
	"strings"
	"testing"

	"otor/hub/console"
	"otor/internal/form"
)

// masking is a pack that masks telephones and knows nothing else.
type masking struct{ worded }

func (masking) Mask(_, field string) string {
	return map[string]string{"phone": "last4"}[field]
}
func (masking) ValueWords(_, _, _, _ string) string  { return "" }
func (masking) FieldWords(_, field, _ string) string { return field }
func (masking) Unit(_, _ string) string              { return "" }

// A masked field is masked whatever kind of value somebody wrote there.
func TestMaskedWhateverItIs(t *testing.T) {
	for _, v := range []any{"13904831234", int64(13904831234), 13904831234.0, []any{13904831234.0}} {
		if got := textOf(maskedValue(masking{}, "household", "phone", v)); strings.Contains(got, "1390483") || !strings.Contains(got, "1234") {
			t.Errorf("%v is shown as %s", v, got)
		}
	}
	if got := maskedValue(masking{}, "household", "sheep", 1200.0); got != 1200.0 {
		t.Errorf("a number that nobody masks is %v", got)
	}
	n := &naming{says: masking{}, words: console.Words("en")}
	veiled := func(typ, field, s string) string { return shown(s, n.mask(typ, field)) }
	for _, v := range []any{int64(13904831234), 13904831234.0, map[string]any{"phone": int64(13904831234)}} {
		if got := n.said("household", "phone", v, veiled); strings.Contains(got, "1390483") {
			t.Errorf("%v is said as %s", v, got)
		}
	}
	x := &form.Field{Name: "contact"}
	for _, v := range []any{13904831234.0, map[string]any{"who": "13904831234"}} {
		if got := n.answer(nil, x, v, "", true); strings.Contains(got, "1390483") {
			t.Errorf("the answer %v is shown as %s", v, got)
		}
		if got := n.answer(nil, x, v, "", false); !strings.Contains(got, "13904831234") {
			t.Errorf("the answer %v is revealed as %s", v, got)
		}
	}
	if got := textOf(maskedValue(masking{}, "household", "home", map[string]any{"phone": 13904831234.0, "sheep": 3.0})); !strings.Contains(got, "sheep") || strings.Contains(got, "1390483") {
		t.Errorf("a group is shown as %s", got)
	}
}
