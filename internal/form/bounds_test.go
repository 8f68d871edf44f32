package form_test

import (
	"testing"

	"otor/internal/form"
)

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		constraint string
		answer     any
		want       bool
	}{
		{"", int64(-1), true},
		{". >= 0 and . <= 5000", int64(5000), true},
		{". >= 0 and . <= 5000", int64(5001), false},
		{". >= 0 and . <= 5000", int64(-1), false},
		{". > 0", 0.0, false},
		{". < 1.5", 1.4, true},
		{"regex(., '^[0-9]{4}$')", "1234", true},
		{"regex(., '^[0-9]{4}$')", "123", false},
		{". >= 0 and . <= ${at_risk}", int64(9), true}, // what stands beside it is not known
		{". >= 0 and . <= ${at_risk}", int64(-9), false},
		{". >= 0", "text", true}, // its kind is looked at elsewhere
	} {
		f := form.Field{Constraint: c.constraint}
		if got := f.Within(c.answer); got != c.want {
			t.Errorf("%q, %v: %v", c.constraint, c.answer, got)
		}
	}
}
