package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"otor/internal/dot"
	"otor/internal/webui"
)

// Drafts keeps forms that are being filled in. It is safe for concurrent use.
type Drafts interface {
	// SaveDraft keeps content, a JSON object, durably under an id of the page's
	// choice. What a person can mend is a *Refusal; one of code "completed" says
	// that the form was submitted already.
	SaveDraft(ctx context.Context, id string, content json.RawMessage) error
	// Draft returns one; one that is not there, or completed, is a *Refusal.
	Draft(ctx context.Context, id string) (Draft, error)
	// Drafts lists the unfinished ones, the latest first.
	Drafts(ctx context.Context) ([]Draft, error)
	// DropDraft forgets an unfinished one.
	DropDraft(ctx context.Context, id string) error
}

// Draft is a form that is being filled in.
type Draft struct {
	ID      string          `json:"id"`
	SavedAt time.Time       `json:"saved_at"`
	Content json.RawMessage `json:"content"`
}

// draftHead is what the page itself looks at in a draft.
type draftHead struct {
	Form     string `json:"form"`
	Version  uint32 `json:"version"`
	Entity   string `json:"entity"`
	Corrects string `json:"corrects"`
}

func (d Draft) head() draftHead {
	var h draftHead
	_ = json.Unmarshal(d.Content, &h) // a draft of an unknown shape matches nothing
	return h
}

// takeUp loads the draft that a page is to go on with, and asks for its form,
// version and entity.
func (s *site) takeUp(ctx context.Context, id string, q *StartQuery) (*Draft, error) {
	d, err := s.Drafts.Draft(ctx, id)
	if err != nil {
		return nil, err
	}
	h := d.head()
	if h.Form != q.Form {
		return nil, &Refusal{Code: "draft_other_form", What: "this draft belongs to another form", Which: h.Form, Do: "open it from the list of drafts"}
	}
	q.Version, q.Entity = h.Version, h.Entity
	if c, err := dot.Parse(h.Corrects); err == nil {
		q.Corrects = c
	}
	return &d, nil
}

// unfinished finds the drafts of the same form about the same entity.
func (s *site) unfinished(ctx context.Context, st Start) ([]Draft, error) {
	all, err := s.Drafts.Drafts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Draft
	for _, d := range all {
		if h := d.head(); h.Form == st.Form && h.Entity == st.Entity && h.Corrects == "" {
			out = append(out, d)
		}
	}
	return out, nil
}

// maxDraft bounds a draft's body in bytes; the store keeps less.
const maxDraft = 128 << 10

// putDraft answers 204 once the draft is durable.
func (s *site) putDraft(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDraft))
	if err != nil || len(b) == 0 || b[0] != '{' || !json.Valid(b) {
		webui.WriteRefusal(w, http.StatusBadRequest, &Refusal{Code: "bad_draft", What: "the draft is not a JSON object of at most 128 kB", Do: "shorten the texts, or submit the form"})
		return
	}
	if err := s.Drafts.SaveDraft(r.Context(), r.PathValue("id"), b); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *site) getDraft(w http.ResponseWriter, r *http.Request) {
	d, err := s.Drafts.Draft(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, d)
}

func (s *site) listDrafts(w http.ResponseWriter, r *http.Request) {
	all, err := s.Drafts.Drafts(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if all == nil {
		all = []Draft{}
	}
	webui.WriteJSON(w, http.StatusOK, map[string][]Draft{"drafts": all})
}

func (s *site) dropDraft(w http.ResponseWriter, r *http.Request) {
	if err := s.Drafts.DropDraft(r.Context(), r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
