package capture

import (
	"strings"

	"otor/internal/form"
)

// Refusal says that a record was not saved and what to correct. errors.As finds
// its problems one by one as [form.Problem], the grave ones first.
type Refusal struct {
	Form     string // id and version
	Problems []form.Problem
}

func (r *Refusal) Error() string {
	words := make([]string, 0, len(r.Problems))
	for _, p := range r.Problems {
		if p.Grave {
			words = append(words, p.Words)
		}
	}
	return "form " + r.Form + ": not saved: " + strings.Join(words, "; ")
}

// Unwrap gives the problems to errors.As.
func (r *Refusal) Unwrap() []error {
	var grave, mild []error
	for _, p := range r.Problems {
		if p.Grave {
			grave = append(grave, p)
		} else {
			mild = append(mild, p)
		}
	}
	return append(grave, mild...)
}
