package console

import (
	"errors"
	"net/http"
	"strings"

	"otor/internal/webui"
)

// trouble says in words why something was turned down: what, which, and what to do.
func (s *site) trouble(r *http.Request, err error) (string, int) {
	words := s.words(r)
	no, ok := errors.AsType[*webui.Refusal](err)
	if !ok {
		s.Log.Error("page: not done", "path", r.URL.Path, "err", err)
		return words.T("door.broken"), http.StatusInternalServerError
	}
	status := http.StatusUnprocessableEntity
	switch no.Code {
	case "throttled":
		status = http.StatusTooManyRequests
	case "bad_sign_in", "factor_needed", "link_over", "not_allowed":
		status = http.StatusForbidden
	}
	return refusalWords(words, no), status
}

// refusalWords says a refusal in the reader's language. The words of its code tell what to
// do; a code that stands for many things, bad_request, has words for each of them, by what
// the hub calls it in English. What has no words comes in the hub's own, behind a sentence
// that says so: half of an advice helps nobody.
func refusalWords(words *webui.Words, no *webui.Refusal) string {
	which := ""
	if no.Which != "" {
		which = words.T("refusal.which", "which", no.Which)
	}
	if key := "refusal." + no.What; words.Has(key) {
		return which + words.T(key)
	}
	if key := "door." + no.Code; words.Has(key) {
		return words.T(key, "which", no.Which)
	}
	if key := "code." + no.Code; words.Lang != "en" && words.Has(key) { // what is wrong with an answer
		return strings.TrimPrefix(no.Which+": ", ": ") + words.T(key)
	}
	return words.T("refusal.own_words", "words", no.Error())
}
