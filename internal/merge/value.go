package merge

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// A value is nil, a bool, an int64, a finite float64, a text, or a list or a map by
// texts of such. CBOR has more (byte strings, other simple values, numbers that are
// none), and whoever signs an entry may put any of it there: a state that held it could
// not be read, or what is made of it could not be written as JSON, by whoever comes next.

// maxValueDepth is how deep lists and maps may lie in one another, so that a value can be read
// again where it stands in a state.
const maxValueDepth = maxDepth - 1

var rawNull = []byte{0xf6}

// encodeValue writes a value as deterministic CBOR, and refuses what is none.
func encodeValue(v any) ([]byte, error) {
	if err := checkValue(v, 0); err != nil {
		return nil, err
	}
	return encMode.Marshal(v)
}

func checkValue(v any, depth int) error {
	switch x := v.(type) {
	case nil, bool, int64:
		return nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("a number that is not finite is no value")
		}
		return nil
	case string:
		if !utf8.ValidString(x) {
			return errors.New("a text that is not UTF-8 is no value")
		}
		return nil
	}
	if depth == maxValueDepth {
		return fmt.Errorf("a value is nested deeper than %d", maxValueDepth)
	}
	switch x := v.(type) {
	case []any:
		for _, item := range x {
			if err := checkValue(item, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, item := range x {
			if !utf8.ValidString(name) {
				return errors.New("a name that is not UTF-8 is none of a value's")
			}
			if err := checkValue(item, depth+1); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("a %T is no value", v)
	}
	return nil
}

// decodeValue gives nil for bytes that are no value: states from before all values were
// checked may have such.
func decodeValue(raw []byte) any {
	var v any
	if err := decMode.Unmarshal(raw, &v); err != nil || checkValue(v, 0) != nil {
		return nil
	}
	return v
}
