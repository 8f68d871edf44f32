package gauge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknown marks a figure's name that is not known.
var ErrUnknown = errors.New("no such figure")

// Select gives those of all that only names, in the order of all; everything
// when only is empty. Letters' case does not matter. It wraps [ErrUnknown].
func Select(all, only []string) ([]string, error) {
	if len(only) == 0 {
		return all, nil
	}
	for _, want := range only {
		if !slices.ContainsFunc(all, func(id string) bool { return strings.EqualFold(id, want) }) {
			return nil, fmt.Errorf("%w: %q; say %s", ErrUnknown, want, strings.Join(all, " or "))
		}
	}
	var out []string
	for _, id := range all {
		if slices.ContainsFunc(only, func(want string) bool { return strings.EqualFold(id, want) }) {
			out = append(out, id)
		}
	}
	return out, nil
}
