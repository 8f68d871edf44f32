package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"otor/hub/store"
)

// tokenMark begins each token, so that one in a log or a repository is known
// for what it is.
const tokenMark = "otor_"

// NewToken makes a token for a program of the operator's: with a role and
// scopes that are no more than their own, for at most a year.
func (d *Desk) NewToken(ctx context.Context, who Who, label string, role Role, scopes []string, lasts time.Duration) (token string, err error) {
	label = strings.TrimSpace(label)
	switch {
	case label == "" || len(label) > 64:
		return "", refuse("bad_request", "say in a few words what it is for", "a token needs a label of at most 64 bytes")
	case !role.Within(who.Role) || len(scopes) == 0 || !within(scopes, who.Scopes):
		return "", refuse("not_allowed", "choose less", "a token cannot do more than its operator")
	case lasts <= 0 || lasts > TokenEnds:
		return "", refuse("bad_request", "choose between a minute and a year", "a token must end")
	}
	secret, _, err := d.secret()
	if err != nil {
		return "", err
	}
	if err := d.note(ctx, Note{Who: who.Name, Kind: "token_made", Subject: who.Name, Words: label}); err != nil {
		return "", err
	}
	now := d.Now()
	token = tokenMark + secret
	err = d.Store.AddToken(ctx, store.APIToken{
		Hash: hashOf(token), Operator: who.Name, Label: label, Role: string(role), Scopes: scopes,
		AddedAt: now.UnixMilli(), ExpiresAt: now.Add(lasts).UnixMilli(),
	})
	if errors.Is(err, store.ErrExists) {
		r := refuse("name_taken", "choose another label, or revoke the other token", "a token with this label is in use")
		r.Which = label
		return "", r
	}
	return token, err
}

// ByToken says who a token belongs to: its role and scopes, as far as they are
// still within its operator's. Refusal: not_signed_in.
func (d *Desk) ByToken(ctx context.Context, token string) (Who, error) {
	over := refuse("not_signed_in", "make a new token", "this token is not known, was revoked, or is over")
	if !strings.HasPrefix(token, tokenMark) || len(token) > 128 {
		return Who{}, over
	}
	t, err := d.Store.Token(ctx, hashOf(token))
	if notFound(err) {
		return Who{}, over
	}
	if err != nil {
		return Who{}, err
	}
	if t.RevokedAt != 0 || d.Now().UnixMilli() >= t.ExpiresAt {
		return Who{}, over
	}
	o, err := d.find(ctx, t.Operator)
	if notFound(err) {
		return Who{}, over
	}
	if err != nil {
		return Who{}, err
	}
	w := whoIs(o, "token "+t.Label)
	if !Role(t.Role).Within(w.Role) || !within(t.Scopes, w.Scopes) {
		return Who{}, over
	}
	w.Role, w.Scopes = Role(t.Role), t.Scopes
	return w, nil
}

// RevokeToken ends a token of one's own; an administrator may end anybody's.
func (d *Desk) RevokeToken(ctx context.Context, by Who, operator, label string) error {
	operator = clean(operator)
	if operator != by.Name && !by.Role.May(Operators) {
		return refuse("not_allowed", "ask an administrator", "this token is somebody else's")
	}
	if err := d.note(ctx, Note{Who: by.Name, Kind: "token_revoked", Subject: operator, Words: label}); err != nil {
		return err
	}
	err := d.Store.RevokeToken(ctx, operator, label, d.Now().UnixMilli())
	if notFound(err) {
		r := refuse("bad_request", "see the list of tokens", "there is no such token")
		r.Which = label
		return r
	}
	return err
}

// Tokens lists the tokens that by may end, without their secrets.
func (d *Desk) Tokens(ctx context.Context, by Who) ([]store.APIToken, error) {
	all, err := d.Store.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, t := range all {
		if t.Operator == by.Name || by.Role.May(Operators) {
			t.Hash = [32]byte{}
			out = append(out, t)
		}
	}
	return out, nil
}
