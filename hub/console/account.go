package console

import (
	"net/http"
	"strings"

	"otor/internal/webui"
)

var accountPage = webui.NewTemplate(files, "account.html", "nav.html")

type accountView struct {
	Frame
	RoleWords string
	Done      string // what was just done
	Trouble   string
	Factor    factorView
	Token     string // a new one, shown this once
	Tokens    []tokenLine
	Roles     []picked
	Typed     typedToken // into the form for a new one, when it was refused
}

type tokenLine struct {
	TokenRow
	Ends, RoleWords string
}

// typedToken is what was typed into the form for a token.
type typedToken struct{ Label, Role, Scopes, Days string }

func (s *site) account(w http.ResponseWriter, r *http.Request) {
	s.showAccount(w, r, http.StatusOK, accountView{})
}

func (s *site) showAccount(w http.ResponseWriter, r *http.Request, status int, v accountView) {
	v.Frame = s.frame(r, "/account")
	v.Events = ""
	v.title(v.Words.T("account.title"))
	v.RoleWords = v.Words.T("role." + v.Who.Role)
	if v.Typed == (typedToken{}) {
		v.Typed = typedToken{Role: roles[0], Scopes: strings.Join(v.Who.Scopes, " "), Days: "90"}
	}
	if v.Who.Own {
		if err := s.fillFactor(r, &v); err != nil {
			s.Log.Error("second factor not read", "err", err)
			v.Trouble = v.Words.T("door.broken")
		}
		list, err := s.Tokens.List(r.Context())
		if err != nil {
			s.Log.Error("tokens not listed", "err", err)
			v.Trouble = v.Words.T("door.broken")
		}
		for _, t := range list {
			v.Tokens = append(v.Tokens, tokenLine{t, v.Words.T("account.ends", "at", v.Words.Clock(v.Now, t.EndsAt)), v.Words.T("role." + t.Role)})
		}
		v.Roles = roleOptions(v.Words, v.Typed.Role)
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
