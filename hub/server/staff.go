package server

import (
	"context"
	"errors"

	"otor/hub/access"
	"otor/hub/console"
	"otor/internal/webui"
)

// staff lets the console's pages let operators in and out.
type staff struct{ o *Office }

// staffRefusal is [refusal], with a taken name told from a token's taken label.
func staffRefusal(err error) error {
	err = refusal(err)
	if r, ok := errors.AsType[*webui.Refusal](err); ok && r.Code == "name_taken" {
		taken := *r
		taken.Code = "operator_taken"
		return &taken
	}
	return err
}

// List implements console.Operators.
func (s staff) List(ctx context.Context) ([]console.OperatorRow, error) {
	people, err := s.o.Operators(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.o.operators.Tokens(ctx, asker(ctx))
	if err != nil {
		return nil, err
	}
	held := make(map[string][]console.TokenRow)
	for _, t := range all {
		if t.RevokedAt == 0 && t.ExpiresAt > s.o.now().UnixMilli() {
			held[t.Operator] = append(held[t.Operator], console.TokenRow{Label: t.Label, Role: t.Role, Scopes: t.Scopes, EndsAt: s.o.at(t.ExpiresAt)})
		}
	}
	out := make([]console.OperatorRow, 0, len(people))
	for _, p := range people {
		out = append(out, console.OperatorRow{
			Name: p.Name, Title: p.Title, Role: p.Role, State: p.State, Scopes: p.Scopes, Factor: p.Factor, Tokens: held[p.Name],
		})
	}
	return out, nil
}

func oneTime(l Linked, err error) (console.OneTime, error) {
	if err != nil {
		return console.OneTime{}, staffRefusal(err)
	}
	return console.OneTime{Name: l.Name, Link: l.Link, Ends: l.ExpiresAt}, nil
}

// Add implements console.Operators.
func (s staff) Add(ctx context.Context, o console.OperatorRow) (console.OneTime, error) {
	return oneTime(s.o.AddOperator(ctx, NewOperator{Name: o.Name, Title: o.Title, Role: o.Role, Scopes: o.Scopes}))
}

// Change implements console.Operators.
func (s staff) Change(ctx context.Context, o console.OperatorRow) error {
	return staffRefusal(s.o.operators.Change(ctx, asker(ctx), access.Person{Name: o.Name, Title: o.Title, Role: access.Role(o.Role), Scopes: o.Scopes}))
}

// ShutOut implements console.Operators.
func (s staff) ShutOut(ctx context.Context, name string) error {
	return staffRefusal(s.o.DisableOperator(ctx, name))
}

// LetIn implements console.Operators.
func (s staff) LetIn(ctx context.Context, name string) (console.OneTime, error) {
	return oneTime(s.o.EnableOperator(ctx, name))
}

// Relink implements console.Operators.
func (s staff) Relink(ctx context.Context, name string) (console.OneTime, error) {
	return oneTime(s.o.ResetOperator(ctx, name))
}

// EndToken implements console.Operators.
func (s staff) EndToken(ctx context.Context, name, label string) error {
	return staffRefusal(s.o.operators.RevokeToken(ctx, asker(ctx), name, label))
}
