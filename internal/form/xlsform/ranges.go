package xlsform

import (
	"math/big"
	"slices"
	"strings"
)

var rangeParams = []string{"start", "end", "step", "tick_interval", "placeholder", "tick_labelset"}

// tickAppearances are those under which a range shows ticks and a placeholder.
var tickAppearances = []string{"", "vertical", "no-ticks", "vertical no-ticks", "no-ticks vertical"}

// span is a range question's numbers, exact: 0.1 is a tenth.
type span struct {
	start, end, step *big.Rat
	decimal          bool // one of them is not whole
}

func rat(s string) (*big.Rat, bool) {
	if len(s) > 40 || strings.ContainsAny(s, "/eEpPxX_") {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// defaults of a range, as the specification has them.
var spanDefaults = map[string]string{"start": "1", "end": "10", "step": "1"}

// rangeOf checks a range question and returns its attributes.
func (f *form) rangeOf(n *node) (attrs []attr, bind string) {
	var s span
	numbers := map[string]*big.Rat{}
	for _, key := range []string{"start", "end", "step", "tick_interval", "placeholder"} {
		v := n.params.get(key)
		if v == "" {
			v = spanDefaults[key]
		}
		if v == "" {
			continue
		}
		r, ok := rat(v)
		if !ok {
			f.badRange(n, "For the 'range' question type, the parameter '%s' must be a number.", key)
			continue
		}
		numbers[key] = r
		name := map[string]string{"tick_interval": "odk:tick-interval", "placeholder": "odk:placeholder"}[key]
		if name == "" {
			name = key
		}
		attrs = append(attrs, attr{name, v})
		s.decimal = s.decimal || strings.Contains(v, ".") && key != "tick_interval" && key != "placeholder"
	}
	s.start, s.end, s.step = numbers["start"], numbers["end"], numbers["step"]
	if s.start == nil || s.end == nil || s.step == nil {
		return attrs, "int"
	}
	f.checkSpan(n, s, numbers)
	if s.decimal {
		return attrs, "decimal"
	}
	return attrs, "int"
}

func (f *form) badRange(n *node, format string, args ...any) {
	f.at(surveySheet, n.row, "parameters", format, args...)
}

// checkSpan checks the numbers against one another.
func (f *form) checkSpan(n *node, s span, numbers map[string]*big.Rat) {
	const start = "For the 'range' question type, the parameter '%s' "
	appearance := n.rec.get("appearance")
	tick, place, labels := numbers["tick_interval"], numbers["placeholder"], n.params.get("tick_labelset")
	if (tick != nil || place != nil || labels != "") && !slices.Contains(tickAppearances, appearance) {
		f.badRange(n, "For the 'range' question type, the parameters 'tick_interval', 'placeholder', and 'tick_labelset' are only supported for the appearances 'vertical', 'no-ticks', 'vertical no-ticks', and the default (empty) horizontal.")
		return
	}
	length := new(big.Rat).Sub(s.end, s.start)
	length.Abs(length)
	for _, key := range []string{"step", "tick_interval"} {
		v := numbers[key]
		switch {
		case v == nil:
		case v.Sign() == 0:
			f.badRange(n, start+"must not be '0'.", key)
		case new(big.Rat).Abs(v).Cmp(length) > 0:
			f.badRange(n, start+"must be smaller than the range.", key)
		case key == "tick_interval" && s.step.Sign() != 0 && !new(big.Rat).Quo(v, s.step).IsInt():
			f.badRange(n, start+"must be a multiple of 'step'.", key)
		}
	}
	if place != nil && s.step.Sign() != 0 {
		switch {
		case !s.holds(place):
			f.badRange(n, start+"must be between the 'start' and 'end' values, inclusive).", "placeholder")
		case !new(big.Rat).Quo(new(big.Rat).Sub(place, s.start), s.step).IsInt():
			f.badRange(n, start+"must be a multiple of 'step'.", "placeholder")
		}
	}
	if labels != "" {
		f.tickLabels(n, s, labels, strings.Contains(appearance, "no-ticks"))
	}
}

// holds reports whether v lies within the span, whichever end is larger.
func (s span) holds(v *big.Rat) bool {
	low, high := s.start, s.end
	if low.Cmp(high) > 0 {
		low, high = high, low
	}
	return v.Cmp(low) >= 0 && v.Cmp(high) <= 0
}

// tickLabels checks the choices that label a range's ticks.
func (f *form) tickLabels(n *node, s span, list string, noTicks bool) {
	const start = "For the 'range' question type, the parameter 'tick_labelset' "
	l := f.lists[list]
	if l == nil {
		f.badRange(n, start+"must be a choices list_name; '%s' is none.", clip(list))
		return
	}
	for _, c := range l.choices {
		v, ok := rat(c.name)
		switch {
		case c.name == "":
			return // reported with the choices
		case !ok:
			f.badRange(n, start+"choice values must all be numbers.")
			return
		case !s.holds(v):
			f.badRange(n, start+"choices must be between the 'start' and 'end' values, inclusive.")
			return
		case noTicks && v.Cmp(s.start) != 0 && v.Cmp(s.end) != 0:
			f.badRange(n, start+"choice list values may only match the range 'start' and 'end' values when the 'appearance' is 'no-ticks'.")
			return
		case s.step.Sign() != 0 && !new(big.Rat).Quo(new(big.Rat).Sub(v, s.start), s.step).IsInt():
			f.badRange(n, start+"choices' values must be equal to the start of the range plus a multiple of 'step'.")
			return
		}
	}
}
