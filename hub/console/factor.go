package console

import (
	"context"
	"net/http"
	"time"
)

// Account is what operators change about themselves besides the password. Each change
// asks for the password once more, and for a code where a second factor is on: who
// finds a browser open finds no account with it. Refusals of all: bad_sign_in,
// factor_needed, throttled.
type Account interface {
	Factor(ctx context.Context) (FactorState, error)
	// NewFactor draws a second factor. Nothing is stored until SetFactor is shown a code of it.
	NewFactor(ctx context.Context, password, code, from string) (FactorDraft, error)
	// FactorDraft gives a draft once more. Refusal: factor_over.
	FactorDraft(ctx context.Context, ticket string) (FactorDraft, error)
	// SetFactor makes a draft one's own. Refusals: factor_over, bad_code.
	SetFactor(ctx context.Context, ticket, code string) error
	// DropFactor turns one's own off. Refusal: no_factor.
	DropFactor(ctx context.Context, password, code, from string) error
}

// FactorState says whether a second factor is on, and since when; the zero time: not known.
type FactorState struct {
	On    bool
	Since time.Time
}

// FactorDraft is a second factor that may be set; URI is what a QR picture of it holds.
type FactorDraft struct{ Ticket, Secret, URI string }

type factorView struct {
	FactorDraft
	On     bool
	State  string // in words
	Open   string // the form that is open: new, off
	QRSize int
	QRPath string
}

// fillFactor says how one's own second factor stands, and draws the picture of a draft.
func (s *site) fillFactor(r *http.Request, v *accountView) error {
	f := &v.Factor
	state, err := s.Account.Factor(r.Context())
	if err != nil {
		return err
	}
	f.On = state.On
	switch {
	case !state.On:
		f.State = v.Words.T("account.factor_off")
	case state.Since.IsZero():
		f.State = v.Words.T("account.factor_on")
	default:
		f.State = v.Words.T("account.factor_since", "at", v.Words.Clock(v.Now, state.Since))
	}
	if f.Ticket != "" {
		f.QRSize, f.QRPath, err = s.QR(f.URI)
	}
	return err
}

// newFactor shows the picture of a second factor to who shows their password.
func (s *site) newFactor(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	draft, err := s.Account.NewFactor(r.Context(), r.PostFormValue("password"), r.PostFormValue("code"), r.RemoteAddr)
	if err != nil {
		s.factorRefused(w, r, err, factorView{Open: "new"})
		return
	}
	s.showAccount(w, r, http.StatusOK, accountView{Factor: factorView{FactorDraft: draft}})
}

// setFactor turns a drawn one on. After a wrong code the same picture is there again: it
// is in the app already.
func (s *site) setFactor(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	ticket := r.PostFormValue("ticket")
	if err := s.Account.SetFactor(r.Context(), ticket, r.PostFormValue("code")); err != nil {
		f := factorView{Open: "new"}
		if draft, err := s.Account.FactorDraft(r.Context(), ticket); err == nil {
			f.FactorDraft = draft
		}
		s.factorRefused(w, r, err, f)
		return
	}
	s.showAccount(w, r, http.StatusOK, accountView{Done: s.words(r).T("account.factor_set")})
}

func (s *site) dropFactor(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := s.Account.DropFactor(r.Context(), r.PostFormValue("password"), r.PostFormValue("code"), r.RemoteAddr); err != nil {
		s.factorRefused(w, r, err, factorView{Open: "off"})
		return
	}
	s.showAccount(w, r, http.StatusOK, accountView{Done: s.words(r).T("account.factor_dropped")})
}

func (s *site) factorRefused(w http.ResponseWriter, r *http.Request, err error, f factorView) {
	trouble, status := s.trouble(r, err)
	s.showAccount(w, r, status, accountView{Trouble: trouble, Factor: f})
}
