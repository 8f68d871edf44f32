package access

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/store"
)

// First makes the link for the first administrator, or "" when there is one
// already. Each call makes the earlier link void.
func (d *Desk) First(ctx context.Context) (name, link string, err error) {
	empty, err := d.Empty(ctx)
	if err != nil || !empty {
		return "", "", err
	}
	const first = "admin"
	err = d.Store.AddOperator(ctx, store.Operator{
		Name: first, Role: string(Administrator), Scopes: []string{Everywhere}, AddedAt: d.Now().UnixMilli(), Generation: 1,
	})
	if errors.Is(err, store.ErrExists) {
		err = d.Store.ChangeOperator(ctx, first, func(o *store.Operator) error {
			o.Role, o.Scopes, o.DisabledAt, o.Generation = string(Administrator), []string{Everywhere}, 0, o.Generation+1
			return nil
		})
	}
	if err != nil {
		return "", "", fmt.Errorf("make the first administrator: %w", err)
	}
	link, err = d.newLink(ctx, first)
	return first, link, err
}

// Relink makes a new link for an operator who forgot the password or lost the
// second factor. The old password goes on until the link is used.
func (d *Desk) Relink(ctx context.Context, by Who, name string) (link string, err error) {
	name = clean(name)
	if !by.Role.May(Operators) {
		return "", refuse("not_allowed", "ask an administrator", "your role is %s", by.Role)
	}
	if _, err := d.find(ctx, name); notFound(err) {
		r := refuse("bad_request", "see the list of operators", "nobody of this name works here")
		r.Which = name
		return "", r
	} else if err != nil {
		return "", err
	}
	if err := d.note(ctx, Note{Who: by.Name, Kind: "link_made", Subject: name}); err != nil {
		return "", err
	}
	return d.newLink(ctx, name)
}

func (d *Desk) newLink(ctx context.Context, name string) (string, error) {
	secret, hash, err := d.secret()
	if err != nil {
		return "", err
	}
	now := d.Now()
	return secret, d.Store.AddLink(ctx, store.Link{Hash: hash, Operator: name, AddedAt: now.UnixMilli(), ExpiresAt: now.Add(LinkEnds).UnixMilli()})
}

// Accept uses a link: it sets the password, drops the second factor, ends what
// sessions there are, and begins one. A weak password leaves the link as it is.
// Refusals: link_over, weak_password, throttled.
func (d *Desk) Accept(ctx context.Context, link, password, from string) (secret string, who Who, err error) {
	if wait := d.byFrom.Wait(from, d.Now()); wait > 0 {
		return "", Who{}, refuse("throttled", "wait a minute, then try again", "too many wrong links came from this address")
	}
	if w := weak(password, "\x00"); w != "" {
		return "", Who{}, refuse("weak_password", "choose another one", "the password %s", w)
	}
	phc, err := d.newHash(ctx, password)
	if err != nil {
		return "", Who{}, err
	}
	name, err := d.Store.SpendLink(ctx, hashOf(link), d.Now().UnixMilli())
	if notFound(err) || errors.Is(err, store.ErrCodeExpired) {
		d.byFrom.Wrong(from, d.Now())
		return "", Who{}, refuse("link_over", "ask an administrator for a new one; the hub's own first link is shown when it starts", "this link was used, replaced, or is over")
	}
	if err != nil {
		return "", Who{}, err
	}
	if err := d.note(ctx, Note{Who: name, Kind: "link_used", Subject: name, Words: "from " + host(from)}); err != nil {
		return "", Who{}, err
	}
	var now store.Operator
	err = d.Store.ChangeOperator(ctx, name, func(o *store.Operator) error {
		o.Password, o.TOTP, o.TOTPStep, o.FactorAt = phc, nil, 0, 0
		o.Generation++
		now = *o
		return nil
	})
	if err != nil {
		return "", Who{}, err
	}
	d.forgive(name)
	return d.begin(ctx, now, from)
}

func (d *Desk) newHash(ctx context.Context, password string) (phc string, err error) {
	err = d.turn(ctx, func() (err error) { phc, err = d.Cost.hash(password, d.Random); return err })
	return phc, err
}

// ChangePassword replaces one's own password and ends all sessions of one's own.
// Refusals: bad_sign_in, weak_password, throttled.
func (d *Desk) ChangePassword(ctx context.Context, who Who, was, password, from string) error {
	if w := weak(password, who.Name); w != "" {
		return refuse("weak_password", "choose another one", "the password %s", w)
	}
	o, err := d.prove(ctx, who, was, from)
	if err != nil {
		return err
	}
	phc, err := d.newHash(ctx, password)
	if err != nil {
		return err
	}
	replaced := refuse("bad_sign_in", "sign in again", "the password was replaced meanwhile")
	if err := d.unchanged(ctx, o, replaced); err != nil {
		return err
	}
	if err := d.note(ctx, Note{Who: who.Name, Kind: "password_changed", Subject: who.Name}); err != nil {
		return err
	}
	return d.Store.ChangeOperator(ctx, who.Name, func(now *store.Operator) error {
		if now.Generation != o.Generation { // whoever shows the old password undoes no reset
			return replaced
		}
		now.Password = phc
		now.Generation++
		return nil
	})
}
