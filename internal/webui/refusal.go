package webui

import (
	"encoding/json"
	"net/http"
)

// Refusal turns down a request or a record in words that a person can act on.
// Its JSON is that of page "contracts": {"code","what","which","do"}.
type Refusal struct {
	Code  string `json:"code"`            // a stable word for programs
	What  string `json:"what"`            // what happened
	Which string `json:"which,omitempty"` // to which thing
	Do    string `json:"do,omitempty"`    // what to do now
}

// Error puts the parts into one line.
func (r *Refusal) Error() string {
	s := r.What
	if r.Which != "" {
		s = r.Which + ": " + s
	}
	if r.Do != "" {
		s += "; " + r.Do
	}
	return s
}

// WriteJSON answers with v. What cannot be encoded is a programming error and
// answers 500.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		b = []byte(`{"error":{"code":"internal","what":"the answer could not be written as JSON"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client is gone if this fails
}

// WriteRefusal answers with {"error": r}.
func WriteRefusal(w http.ResponseWriter, status int, r *Refusal) {
	WriteJSON(w, status, map[string]*Refusal{"error": r})
}
