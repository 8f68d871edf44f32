package form

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// FromJSON turns what a JSON decoder with UseNumber gave into a sheet for f:
// numbers become int64 or float64 by the type of their field, resident numbers
// get their upper-case X, everything else stays. It reports only the numbers
// that cannot be kept and text where a number belongs; [Form.Check] judges the
// rest. Raw is left as it is.
func FromJSON(f *Form, raw map[string]any) (map[string]any, []Problem) {
	var r reader
	out := r.level(f.byName, raw)
	if r.grave == nil {
		return out, nil
	}
	found := r.problems()
	slices.SortStableFunc(found, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return out, found
}

type reader struct{ trail }

func (r *reader) level(byName map[string]*Field, raw map[string]any) map[string]any {
	out := make(map[string]any, len(raw))
	for name, v := range raw {
		f := byName[name]
		if f == nil {
			out[name] = r.plain(name, v)
			continue
		}
		r.down(name)
		out[name] = r.field(f, v)
		r.up()
	}
	return out
}

func (r *reader) field(f *Field, v any) any {
	switch x := v.(type) {
	case map[string]any:
		if f.Kind.Nests() {
			return r.level(f.byName, x)
		}
		return plainMap(r, x)
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			r.row(i)
			out[i] = r.field(f, item)
		}
		r.row(-1)
		return out
	case string:
		if f.wantsWhole() || f.Kind == Decimal || f.Kind == Range {
			r.refuse(BadType, expected(f, wanted(f), v))
		}
		if f.Rule == ResidentID {
			return StoredResidentID(x)
		}
		return x
	case json.Number:
		return r.number(f, x.String())
	case float64:
		return r.number(f, strconv.FormatFloat(x, 'g', -1, 64))
	default:
		return v
	}
}

func (f *Field) wantsWhole() bool {
	return f.Kind == Integer || f.Kind == SelectOne && f.Stored == AsInteger
}

func wanted(f *Field) string {
	if f.wantsWhole() {
		return "a whole number"
	}
	return "a number"
}

// number reads a JSON number for field f.
func (r *reader) number(f *Field, s string) any {
	switch {
	case f.wantsWhole():
		n, code := whole(s)
		if code == OutOfRange {
			r.refuse(code, "the number "+clip(s)+" is too large to be kept")
		} else if code != "" {
			r.refuse(code, "expected a whole number, got "+clip(s))
		}
		return n
	case f.Kind == Decimal || f.Kind == Range:
		return r.float(s)
	default:
		return r.free(s)
	}
}

// whole reads an integer, also one that is written as 3.0 or 3e2.
func whole(s string) (int64, Code) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return n, ""
	}
	x, err := strconv.ParseFloat(s, 64)
	const exact = 1 << 53 // from here on a float no longer names one integer
	switch {
	case err != nil || math.IsNaN(x) || math.Abs(x) >= exact:
		return 0, OutOfRange
	case x != math.Trunc(x):
		return 0, BadType
	}
	return int64(x), ""
}

func (r *reader) float(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		r.refuse(OutOfRange, "the number "+clip(s)+" is too large to be kept")
		return 0
	}
	return x
}

// free reads a number of no stated type: an int64 when it is written as one.
func (r *reader) free(s string) any {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
	}
	return r.float(s)
}

// plain converts an answer that no field asks for, so that [Form.Check] can
// name it. Deeper levels of it are dropped: the sheet is refused anyway.
func (r *reader) plain(name string, v any) any {
	r.down(clip(name))
	defer r.up()
	switch x := v.(type) {
	case json.Number:
		return r.free(x.String())
	case map[string]any, []any:
		return ""
	default:
		return v
	}
}

// plainMap converts the parts of a place.
func plainMap(r *reader, m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		switch x := v.(type) {
		case json.Number:
			out[k] = r.free(x.String())
		case map[string]any:
			out[k] = map[string]any{}
		case []any:
			out[k] = []any{}
		default:
			out[k] = v
		}
	}
	return out
}
