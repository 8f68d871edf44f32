package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

// Entities is what the device knows of long-lived things.
type Entities interface {
	// Show shows one, named "household/H-NB-07" or by its id alone. What is not here is a *Refusal.
	Show(ctx context.Context, entity string) (EntityView, error)
	// Find lists entities whose id or names hold all of the words.
	Find(ctx context.Context, words string, limit int) ([]Found, error)
}

// EntityView is one entity as the device shows it; its JSON is that of `agent show`.
type EntityView struct {
	Type    string      `json:"type"`
	ID      string      `json:"id"`
	Deleted bool        `json:"deleted"`
	Fields  []FieldView `json:"fields"`
	// Conflicts lists the fields in conflict, "/deleted" for the deletion.
	Conflicts []string `json:"conflicts"`
	Scope     string   `json:"scope"` // whose rows it is shown from; empty: of this device alone
	// AsOf is when the device last had all that the hub had of that scope; nil: never.
	AsOf *time.Time `json:"as_of"`
	Own  []dot.Dot  `json:"own"` // entries of this device that are shown and not settled
}

// FieldView is one field, or group of fields.
type FieldView struct {
	Name     string `json:"name"`
	Rule     string `json:"rule"`
	Value    any    `json:"value"` // nil: none
	Conflict bool   `json:"conflict"`
	Sides    []any  `json:"sides,omitempty"` // the values that stand in the conflict
}

// Found is a line of a search.
type Found struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Words string `json:"words"` // the values that were looked through
}

// MaxFound bounds what one search lists.
const MaxFound = 200

func (s *site) apiShow(w http.ResponseWriter, r *http.Request) {
	v, err := s.Entities.Show(r.Context(), r.FormValue("entity"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, v)
}

func (s *site) apiFind(w http.ResponseWriter, r *http.Request) {
	limit := 20
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > MaxFound {
			s.fail(w, r, &Refusal{Code: "bad_limit", What: "the limit is no number from 1 to " + strconv.Itoa(MaxFound), Which: text, Do: "leave it out, or give such a number"})
			return
		}
		limit = n
	}
	v, err := s.Entities.Find(r.Context(), r.FormValue("words"), limit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, v)
}
