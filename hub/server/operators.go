package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"otor/hub/access"
	"otor/hub/console"
	"otor/internal/webui"
)

// OperatorLine is a line of the list of operators.
type OperatorLine struct {
	Name       string     `json:"name"`
	Title      string     `json:"title,omitempty"`
	Role       string     `json:"role"`
	Scopes     []string   `json:"scopes"`
	State      string     `json:"state"`  // invited, works, shut_out
	Factor     bool       `json:"factor"` // has a second factor
	AddedAt    time.Time  `json:"added_at"`
	DisabledAt *time.Time `json:"disabled_at,omitempty"`
}

// Linked is a one-time link for an operator.
type Linked struct {
	Name      string    `json:"name"`
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewOperator is who is to be added: the body of POST operators.
type NewOperator struct {
	Name   string   `json:"name"`
	Title  string   `json:"title,omitempty"`
	Role   string   `json:"role"`
	Scopes []string `json:"scopes"`
}

// Operators lists the operators by name.
func (o *Office) Operators(ctx context.Context) ([]OperatorLine, error) {
	people, err := o.operators.People(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]OperatorLine, 0, len(people))
	for _, p := range people {
		line := OperatorLine{
			Name: p.Name, Title: p.Title, Role: string(p.Role), Scopes: p.Scopes, State: "works", Factor: p.Factor,
			AddedAt: o.at(p.AddedAt), DisabledAt: o.maybe(p.Disabled),
		}
		switch {
		case p.Disabled != 0:
			line.State = "shut_out"
		case p.Invited:
			line.State = "invited"
		}
		out = append(out, line)
	}
	return out, nil
}

// AddOperator adds an operator and makes a link that lets them in once, to set a
// password. Refusals: not_allowed, bad_request, name_taken.
func (o *Office) AddOperator(ctx context.Context, n NewOperator) (Linked, error) {
	link, err := o.operators.Add(ctx, asker(ctx), access.Person{Name: n.Name, Title: n.Title, Role: access.Role(n.Role), Scopes: n.Scopes})
	return o.linked(n.Name, link), err
}

// DisableOperator shuts an operator out, at once.
func (o *Office) DisableOperator(ctx context.Context, name string) error {
	return o.operators.ShutOut(ctx, asker(ctx), name)
}

// EnableOperator lets one who was shut out in again, by a link.
func (o *Office) EnableOperator(ctx context.Context, name string) (Linked, error) {
	link, err := o.operators.LetIn(ctx, asker(ctx), name)
	return o.linked(name, link), err
}

// ResetOperator makes a link for one who forgot the password or lost the second factor.
func (o *Office) ResetOperator(ctx context.Context, name string) (Linked, error) {
	link, err := o.operators.Relink(ctx, asker(ctx), name)
	return o.linked(name, link), err
}

func (o *Office) linked(name, secret string) Linked {
	return Linked{Name: name, Link: o.console() + "/join?k=" + url.QueryEscape(secret), ExpiresAt: o.now().Add(access.LinkEnds).In(o.zone)}
}

// people serves the operators.
func (o *Office) people(mux *http.ServeMux) {
	mux.HandleFunc("GET "+officePath+"operators", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.Operators(r.Context())
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"operators", func(w http.ResponseWriter, r *http.Request) {
		var in NewOperator
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of an operator", Which: err.Error()})
			return
		}
		v, err := o.AddOperator(r.Context(), in)
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"operators/{name}/disable", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, o.DisableOperator(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST "+officePath+"operators/{name}/enable", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.EnableOperator(r.Context(), r.PathValue("name"))
		answer(w, v, err)
	})
	mux.HandleFunc("POST "+officePath+"operators/{name}/reset", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.ResetOperator(r.Context(), r.PathValue("name"))
		answer(w, v, err)
	})
}

// Operators does what [Office.Operators] does.
func (c *Client) Operators(ctx context.Context) ([]OperatorLine, error) {
	return ask[[]OperatorLine](ctx, c, http.MethodGet, "operators", nil, nil)
}

// AddOperator does what [Office.AddOperator] does.
func (c *Client) AddOperator(ctx context.Context, n NewOperator) (Linked, error) {
	return ask[Linked](ctx, c, http.MethodPost, "operators", nil, n)
}

// DisableOperator does what [Office.DisableOperator] does.
func (c *Client) DisableOperator(ctx context.Context, name string) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, "operators/"+url.PathEscape(name)+"/disable", nil, nil)
	return err
}

// EnableOperator does what [Office.EnableOperator] does.
func (c *Client) EnableOperator(ctx context.Context, name string) (Linked, error) {
	return ask[Linked](ctx, c, http.MethodPost, "operators/"+url.PathEscape(name)+"/enable", nil, nil)
}

// ResetOperator does what [Office.ResetOperator] does.
func (c *Client) ResetOperator(ctx context.Context, name string) (Linked, error) {
	return ask[Linked](ctx, c, http.MethodPost, "operators/"+url.PathEscape(name)+"/reset", nil, nil)
}

// counter is the console's way to the desk that lets operators in.
type counter struct{ desk *access.Desk }

// refusal turns the desk's answer into the pages' own.
func refusal(err error) error {
	if r, ok := errors.AsType[*access.Refusal](err); ok {
		return &webui.Refusal{Code: r.Code, What: r.What, Which: r.Which, Do: r.Do}
	}
	return err
}

// SignIn implements console.Door.
func (c counter) SignIn(ctx context.Context, name, password, code, from string) (string, error) {
	secret, _, err := c.desk.SignIn(ctx, access.Attempt{Name: name, Password: password, Code: code, From: from})
	return secret, refusal(err)
}

// SignOut implements console.Door.
func (c counter) SignOut(ctx context.Context, secret string) error {
	return c.desk.SignOut(ctx, secret)
}

// Join implements console.Door.
func (c counter) Join(ctx context.Context, link, password, from string) (string, error) {
	secret, _, err := c.desk.Accept(ctx, link, password, from)
	return secret, refusal(err)
}

// ChangePassword implements console.Door.
func (c counter) ChangePassword(ctx context.Context, was, now, from string) error {
	return refusal(c.desk.ChangePassword(ctx, asker(ctx), was, now, from))
}

// tokens is the console's way to operators' tokens.
type tokens struct{ o *Office }

// List implements console.Tokens.
func (t tokens) List(ctx context.Context) ([]console.TokenRow, error) {
	who := asker(ctx)
	all, err := t.o.operators.Tokens(ctx, who)
	if err != nil {
		return nil, err
	}
	var out []console.TokenRow
	for _, x := range all {
		if x.Operator == who.Name && x.RevokedAt == 0 && x.ExpiresAt > t.o.now().UnixMilli() {
			out = append(out, console.TokenRow{Label: x.Label, Role: x.Role, Scopes: x.Scopes, EndsAt: t.o.at(x.ExpiresAt)})
		}
	}
	return out, nil
}

// Make implements console.Tokens.
func (t tokens) Make(ctx context.Context, label, role string, scopes []string, lasts time.Duration) (string, error) {
	token, err := t.o.operators.NewToken(ctx, asker(ctx), label, access.Role(role), scopes, lasts)
	return token, refusal(err)
}

// Revoke implements console.Tokens.
func (t tokens) Revoke(ctx context.Context, label string) error {
	who := asker(ctx)
	return refusal(t.o.operators.RevokeToken(ctx, who, who.Name, label))
}
