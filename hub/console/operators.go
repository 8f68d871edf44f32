package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"otor/internal/webui"
)

// Operators lets people in and out. Each act is written down in the ledger.
// Refusals of all: not_allowed, bad_request, operator_taken, last_administrator.
type Operators interface {
	List(ctx context.Context) ([]OperatorRow, error)
	// Add adds one; the link lets them in once, to set a password.
	Add(ctx context.Context, o OperatorRow) (OneTime, error)
	// Change sets title, role and scopes. Their sessions and tokens follow.
	Change(ctx context.Context, o OperatorRow) error
	ShutOut(ctx context.Context, name string) error
	// LetIn and Relink make a link: for one who was shut out, and for one who forgot.
	LetIn(ctx context.Context, name string) (OneTime, error)
	Relink(ctx context.Context, name string) (OneTime, error)
	// EndToken ends a token of anybody's.
	EndToken(ctx context.Context, name, label string) error
}

// OperatorRow is one operator. State is invited, works or shut_out.
type OperatorRow struct {
	Name, Title, Role, State string
	Scopes                   []string
	Factor                   bool // has a second factor
	Tokens                   []TokenRow
}

// OneTime is a link that lets one operator in, once.
type OneTime struct {
	Name, Link string
	Ends       time.Time
}

var operatorsPage = webui.NewTemplate(files, "operators.html", "nav.html")

type operatorsView struct {
	Frame
	Operators []operatorView
	Roles     []picked
	Made      *OneTime
	Ends      string
	Typed     OperatorRow // into the form for a new one, when it was refused
	Changed   OperatorRow // into the form that changes one
	Trouble   string
}

type operatorView struct {
	OperatorRow
	RoleWords, StateWords string
	Roles                 []picked
	Held                  []heldToken
	Self                  bool
	Open                  bool   // its form, since a change was refused
	TitleTyped            string // into it
	ScopesTyped           string
}

type heldToken struct{ Label, Words string }

// roles are what an operator may be.
var roles = []string{"viewer", "reconciler", "dispatcher", "administrator"}

func roleOptions(w *webui.Words, here string) (out []picked) {
	for _, r := range roles {
		out = append(out, picked{r, w.T("role." + r), r == here})
	}
	return out
}

func (s *site) operators(w http.ResponseWriter, r *http.Request) {
	s.showOperators(w, r, http.StatusOK, operatorsView{})
}

func (s *site) showOperators(w http.ResponseWriter, r *http.Request, status int, v operatorsView) {
	v.Frame = s.frame(r, "/operators")
	v.Still = true
	v.title(v.Words.T("menu.operators"))
	v.Roles = roleOptions(v.Words, v.Typed.Role)
	list, err := s.Operators.List(r.Context())
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, o := range list {
		line := operatorView{
			OperatorRow: o, RoleWords: v.Words.T("role." + o.Role), TitleTyped: o.Title, StateWords: v.Words.T("operator." + o.State),
			Roles: roleOptions(v.Words, o.Role), Self: o.Name == v.Who.Name, ScopesTyped: strings.Join(o.Scopes, " "),
		}
		if v.Changed.Name == o.Name {
			line.Open, line.TitleTyped, line.ScopesTyped, line.Roles = true, v.Changed.Title, strings.Join(v.Changed.Scopes, " "), roleOptions(v.Words, v.Changed.Role)
		}
		for _, t := range o.Tokens {
			line.Held = append(line.Held, heldToken{t.Label, v.Words.T("role."+t.Role) + " · " + strings.Join(t.Scopes, " ") + " · " + v.Words.T("account.ends", "at", v.Words.Clock(v.Now, t.EndsAt))})
		}
		v.Operators = append(v.Operators, line)
	}
	if v.Made != nil {
		v.Ends = v.Words.Clock(v.Now, v.Made.Ends)
	}
	webui.Render(w, operatorsPage, status, v, s.Log)
}

func typedOperator(r *http.Request) OperatorRow {
	return OperatorRow{
		Name: strings.TrimSpace(r.PostFormValue("name")), Title: strings.TrimSpace(r.PostFormValue("title")),
		Role: r.PostFormValue("role"), Scopes: strings.Fields(r.PostFormValue("scopes")),
	}
}

func (s *site) addOperator(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	in := typedOperator(r)
	link, err := s.Operators.Add(r.Context(), in)
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showOperators(w, r, status, operatorsView{Trouble: trouble, Typed: in})
		return
	}
	s.showOperators(w, r, http.StatusOK, operatorsView{Made: &link})
}

func (s *site) changeOperator(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	in := typedOperator(r)
	if err := s.Operators.Change(r.Context(), in); err != nil {
		trouble, status := s.trouble(r, err)
		s.showOperators(w, r, status, operatorsView{Trouble: trouble, Changed: in})
		return
	}
	http.Redirect(w, r, "/operators", http.StatusSeeOther)
}

// operatorAccess shuts out, lets in again, or makes a new link.
func (s *site) operatorAccess(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	name := r.PostFormValue("name")
	var link OneTime
	var err error
	switch act := r.PostFormValue("act"); act {
	case "shut_out":
		s.operatorsAfter(w, r, s.Operators.ShutOut(r.Context(), name))
		return
	case "let_in":
		link, err = s.Operators.LetIn(r.Context(), name)
	case "relink":
		link, err = s.Operators.Relink(r.Context(), name)
	default:
		err = &webui.Refusal{Code: "bad_request", What: "there is no such act", Which: act, Do: "choose one of the page's buttons"}
	}
	if err != nil {
		s.operatorsAfter(w, r, err)
		return
	}
	s.showOperators(w, r, http.StatusOK, operatorsView{Made: &link})
}

func (s *site) endToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	s.operatorsAfter(w, r, s.Operators.EndToken(r.Context(), r.PostFormValue("name"), r.PostFormValue("label")))
}

// operatorsAfter goes on after an act that shows nothing new but the list.
func (s *site) operatorsAfter(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		trouble, status := s.trouble(r, err)
		s.showOperators(w, r, status, operatorsView{Trouble: trouble})
		return
	}
	http.Redirect(w, r, "/operators", http.StatusSeeOther)
}
