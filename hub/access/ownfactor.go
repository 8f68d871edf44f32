package access

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"time"

	"otor/hub/store"
)

// FactorDraft is a second factor that was drawn and is nobody's yet.
type FactorDraft struct {
	// Ticket is the secret, sealed: that a password was shown for it. Only who has it can
	// set the factor, so that a browser that was left open gives nobody a factor of their own.
	Ticket string
	Secret string // for an authenticator app, typed
	URI    string // what a QR picture of it holds
}

// FactorDraftEnds is how long a draft can be set.
const FactorDraftEnds = 15 * time.Minute

// Factor says whether somebody has a second factor, and since when; the zero time: since nobody knows when.
func (d *Desk) Factor(ctx context.Context, who Who) (on bool, since time.Time, err error) {
	o, err := d.find(ctx, who.Name)
	if err != nil {
		return false, since, err
	}
	if o.TOTP != nil && o.FactorAt != 0 {
		since = time.UnixMilli(o.FactorAt)
	}
	return o.TOTP != nil, since, nil
}

// prove checks one's own password anew: who is signed in may have left the room.
// Refusals: bad_sign_in, throttled.
func (d *Desk) prove(ctx context.Context, who Who, password, from string) (store.Operator, error) {
	if err := d.mayTry(who.Name, from); err != nil {
		return store.Operator{}, err
	}
	o, err := d.find(ctx, who.Name)
	if err != nil {
		return o, err
	}
	right, err := d.fits(ctx, who.Name, from, password, o.Password, true)
	if err == nil && !right {
		err = d.refused(ctx, who.Name, from, true)
	}
	return o, err
}

// unchanged refuses with no where what o shows of an operator's secrets stands no more.
// The ledger is told before anything changes, and it is not to tell of what is refused.
func (d *Desk) unchanged(ctx context.Context, o store.Operator, no *Refusal) error {
	now, err := d.find(ctx, o.Name)
	if err == nil && string(ticketFor(now)) != string(ticketFor(o)) {
		return no
	}
	return err
}

// Proof is what somebody who is signed in shows once more.
type Proof struct {
	Password string
	Code     string // of the second factor, if one is on
	From     string // host:port
}

// proveBoth is prove with the code, where a second factor is on. Refusals beside
// those of prove: factor_needed.
func (d *Desk) proveBoth(ctx context.Context, who Who, p Proof) (store.Operator, error) {
	o, err := d.prove(ctx, who, p.Password, p.From)
	if err != nil {
		return o, err
	}
	if err := d.secondFactor(ctx, o, Attempt{Name: o.Name, Code: p.Code, From: p.From}); err != nil {
		return o, err
	}
	d.forgive(o.Name)
	return o, nil
}

// NewFactor draws a second factor for who shows their password, and a code of the one
// that is on. Nothing is stored until [Desk.SetFactor] is shown a code of it. Refusals:
// bad_sign_in, factor_needed, throttled.
func (d *Desk) NewFactor(ctx context.Context, who Who, p Proof, issuer string) (FactorDraft, error) {
	o, err := d.proveBoth(ctx, who, p)
	if err != nil {
		return FactorDraft{}, err
	}
	plain := make([]byte, 8, 8+factorSize)
	binary.BigEndian.PutUint64(plain, uint64(d.Now().Add(FactorDraftEnds).Unix())) //nolint:gosec // after 1970
	plain = plain[:8+factorSize]
	if _, err := io.ReadFull(d.Random, plain[8:]); err != nil {
		return FactorDraft{}, fmt.Errorf("draw a second factor: %w", err)
	}
	nonce := make([]byte, d.box.NonceSize())
	if _, err := io.ReadFull(d.Random, nonce); err != nil {
		return FactorDraft{}, fmt.Errorf("draw a nonce: %w", err)
	}
	return draftOf(b32.EncodeToString(d.box.Seal(nonce, nonce, plain, ticketFor(o))), plain[8:], who, issuer), nil
}

var b32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// ticketFor binds a ticket to whose it is and to what it replaces: it works once, and not
// after the password changed.
func ticketFor(o store.Operator) []byte {
	return fmt.Appendf(nil, "new factor of %s, %d, %x", o.Name, o.Generation, o.TOTP)
}

func draftOf(ticket string, secret []byte, who Who, issuer string) FactorDraft {
	text := b32.EncodeToString(secret)
	q := url.Values{"secret": {text}, "issuer": {issuer}}
	return FactorDraft{Ticket: ticket, Secret: text, URI: "otpauth://totp/" + url.PathEscape(issuer+":"+who.Name) + "?" + q.Encode()}
}

// FactorDraft opens a ticket, to show the same draft once more. Refusal: factor_over.
func (d *Desk) FactorDraft(ctx context.Context, who Who, ticket, issuer string) (FactorDraft, error) {
	o, err := d.find(ctx, who.Name)
	if err != nil {
		return FactorDraft{}, err
	}
	secret, err := d.openTicket(o, ticket)
	if err != nil {
		return FactorDraft{}, err
	}
	return draftOf(ticket, secret, who, issuer), nil
}

func (d *Desk) openTicket(o store.Operator, ticket string) ([]byte, error) {
	over := refuse("factor_over", "begin again", "this second factor was drawn too long ago, or it was set meanwhile")
	sealed, err := b32.DecodeString(ticket)
	if err != nil || len(sealed) < d.box.NonceSize() {
		return nil, over
	}
	plain, err := d.box.Open(nil, sealed[:d.box.NonceSize()], sealed[d.box.NonceSize():], ticketFor(o))
	if err != nil || len(plain) != 8+factorSize || d.Now().Unix() >= int64(binary.BigEndian.Uint64(plain)) { //nolint:gosec // this hub sealed it
		return nil, over
	}
	return plain[8:], nil
}

// SetFactor makes a drawn second factor one's own, once a code of it was typed right.
// Refusals: factor_over, bad_code.
func (d *Desk) SetFactor(ctx context.Context, who Who, ticket, code string) error {
	o, err := d.find(ctx, who.Name)
	if err != nil {
		return err
	}
	raw, err := d.openTicket(o, ticket)
	if err != nil {
		return err
	}
	step, ok := stepOf(raw, code, d.Now(), 0)
	if !ok {
		return refuse("bad_code", "type the six digits that the app shows now; check that the phone's clock is right", "the code does not fit")
	}
	sealed, err := sealFactor(d.box, who.Name, raw, d.Random)
	if err != nil {
		return err
	}
	over := refuse("factor_over", "begin again", "another second factor was set meanwhile")
	if err := d.unchanged(ctx, o, over); err != nil {
		return err
	}
	kind := "factor_set"
	if o.TOTP != nil {
		kind = "factor_replaced"
	}
	if err := d.note(ctx, Note{Who: who.Name, Kind: kind, Subject: who.Name}); err != nil {
		return err
	}
	return d.Store.ChangeOperator(ctx, who.Name, func(now *store.Operator) error {
		if string(ticketFor(*now)) != string(ticketFor(o)) { // of two who set one at once, one does
			return over
		}
		now.TOTP, now.TOTPStep, now.FactorAt = sealed, step, d.Now().UnixMilli()
		return nil
	})
}

// DropFactor turns one's own second factor off. Refusals: bad_sign_in, factor_needed,
// throttled, no_factor.
func (d *Desk) DropFactor(ctx context.Context, who Who, p Proof) error {
	o, err := d.proveBoth(ctx, who, p)
	if err != nil {
		return err
	}
	if o.TOTP == nil {
		return refuse("no_factor", "go on: the password alone lets you in", "no second factor is on")
	}
	other := refuse("factor_needed", "begin again", "another second factor was set meanwhile")
	if err := d.unchanged(ctx, o, other); err != nil {
		return err
	}
	if err := d.note(ctx, Note{Who: who.Name, Kind: "factor_dropped", Subject: who.Name}); err != nil {
		return err
	}
	return d.Store.ChangeOperator(ctx, who.Name, func(now *store.Operator) error {
		if string(ticketFor(*now)) != string(ticketFor(o)) { // only the one whose code was shown
			return other
		}
		now.TOTP, now.TOTPStep, now.FactorAt = nil, 0, 0
		return nil
	})
}
