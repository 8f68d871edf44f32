package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tokens are for programs that ask the API in an operator's stead, with no more
// than the operator's role and scopes.
type Tokens interface {
	// List lists one's own that are in use.
	List(ctx context.Context) ([]TokenRow, error)
	// Make gives the token, which nobody is shown again. Refusals: bad_request,
	// not_allowed, name_taken.
	Make(ctx context.Context, label, role string, scopes []string, lasts time.Duration) (token string, err error)
	Revoke(ctx context.Context, label string) error
}

// TokenRow is a token without its secret.
type TokenRow struct {
	Label, Role string
	Scopes      []string
	EndsAt      time.Time
}

// longestToken is in days.
const longestToken = 366

func (s *site) makeToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	typed := typedToken{Label: r.PostFormValue("label"), Role: r.PostFormValue("role"), Scopes: r.PostFormValue("scopes"), Days: r.PostFormValue("days")}
	days, err := strconv.Atoi(typed.Days)
	if err != nil || days < 1 || days > longestToken {
		s.showAccount(w, r, http.StatusUnprocessableEntity, accountView{Trouble: s.words(r).T("door.bad_days"), Typed: typed})
		return
	}
	token, err := s.Tokens.Make(r.Context(), typed.Label, typed.Role, strings.Fields(typed.Scopes), time.Duration(days)*24*time.Hour)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showAccount(w, r, status, accountView{Trouble: trouble, Typed: typed})
		return
	}
	s.showAccount(w, r, http.StatusOK, accountView{Token: token})
}

func (s *site) revokeToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := s.Tokens.Revoke(r.Context(), r.PostFormValue("label")); err != nil {
		trouble, status := s.trouble(r, err)
		s.showAccount(w, r, status, accountView{Trouble: trouble})
		return
	}
	http.Redirect(w, r, "/account", http.StatusSeeOther)
}
