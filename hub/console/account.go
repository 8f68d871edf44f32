package console

import (
	"context"
	"net/http"

	"otor/internal/webui"
)

// Account is what operators change about themselves besides the password.
type Account interface {
	// NewFactor draws a second factor; uri is what a QR picture of it holds.
	// Nothing is stored until SetFactor is shown a code of it.
	NewFactor(ctx context.Context) (secret, uri string, err error)
	SetFactor(ctx context.Context, secret, code string) error
}

var accountPage = webui.NewTemplate(files, "account.html", "nav.html")

type accountView struct {
	Frame
	RoleWords string
	Done      string // what was just done
	Trouble   string
	Secret    string // of a second factor that may be set
	Token     string // a new one, shown this once
	Tokens    []tokenLine
	Roles     []roleLine
	QRSize    int
	QRPath    string
}

type tokenLine struct {
	TokenRow
	Ends, RoleWords string
}

type roleLine struct{ Role, Words string }

func (s *site) account(w http.ResponseWriter, r *http.Request) {
	s.showAccount(w, r, http.StatusOK, accountView{})
}

func (s *site) showAccount(w http.ResponseWriter, r *http.Request, status int, v accountView) {
	v.Frame = s.frame(r, "/account")
	v.Events = ""
	v.title(v.Words.T("account.title"))
	v.RoleWords = v.Words.T("role." + v.Who.Role)
	if v.Who.Own && v.Secret == "" {
		secret, uri, err := s.Account.NewFactor(r.Context())
		if err == nil {
			v.Secret = secret
			v.QRSize, v.QRPath, err = s.QR(uri)
		}
		if err != nil {
			s.Log.Error("no second factor drawn", "err", err)
			v.Trouble = v.Words.T("door.broken")
		}
	}
	if v.Who.Own {
		list, err := s.Tokens.List(r.Context())
		if err != nil {
			s.Log.Error("tokens not listed", "err", err)
			v.Trouble = v.Words.T("door.broken")
		}
		for _, t := range list {
			v.Tokens = append(v.Tokens, tokenLine{t, v.Words.T("account.ends", "at", v.Words.Clock(v.Now, t.EndsAt)), v.Words.T("role." + t.Role)})
		}
		for _, role := range []string{"viewer", "reconciler", "dispatcher", "administrator"} {
			v.Roles = append(v.Roles, roleLine{role, v.Words.T("role." + role)})
		}
	}
	webui.Render(w, accountPage, status, v, s.Log)
}

func (s *site) password(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if r.PostFormValue("password") != r.PostFormValue("again") {
		s.showAccount(w, r, http.StatusUnprocessableEntity, accountView{Trouble: s.words(r).T("door.not_the_same")})
		return
	}
	err := s.Door.ChangePassword(r.Context(), r.PostFormValue("was"), r.PostFormValue("password"), r.RemoteAddr)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showAccount(w, r, status, accountView{Trouble: trouble})
		return
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther) // all sessions are over
}

func (s *site) factor(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := s.Account.SetFactor(r.Context(), r.PostFormValue("secret"), r.PostFormValue("code")); err != nil {
		trouble, status := s.trouble(r, err)
		s.showAccount(w, r, status, accountView{Trouble: trouble})
		return
	}
	s.showAccount(w, r, http.StatusOK, accountView{Done: s.words(r).T("account.factor_set")})
}
