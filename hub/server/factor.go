package server

import (
	"context"

	"otor/hub/access"
	"otor/hub/console"
)

// issuer is how authenticator apps call this hub.
const issuer = "Otor"

// Factor implements console.Account.
func (c counter) Factor(ctx context.Context) (console.FactorState, error) {
	on, since, err := c.desk.Factor(ctx, asker(ctx))
	return console.FactorState{On: on, Since: since}, err
}

// NewFactor implements console.Account.
func (c counter) NewFactor(ctx context.Context, password, code, from string) (console.FactorDraft, error) {
	d, err := c.desk.NewFactor(ctx, asker(ctx), access.Proof{Password: password, Code: code, From: from}, issuer)
	return console.FactorDraft(d), refusal(err)
}

// FactorDraft implements console.Account.
func (c counter) FactorDraft(ctx context.Context, ticket string) (console.FactorDraft, error) {
	d, err := c.desk.FactorDraft(ctx, asker(ctx), ticket, issuer)
	return console.FactorDraft(d), refusal(err)
}

// SetFactor implements console.Account.
func (c counter) SetFactor(ctx context.Context, ticket, code string) error {
	return refusal(c.desk.SetFactor(ctx, asker(ctx), ticket, code))
}

// DropFactor implements console.Account.
func (c counter) DropFactor(ctx context.Context, password, code, from string) error {
	return refusal(c.desk.DropFactor(ctx, asker(ctx), access.Proof{Password: password, Code: code, From: from}))
}
