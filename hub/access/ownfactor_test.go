package access_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"otor/hub/access"
)

const mine = "four camels drink slowly" // the administrator's password

// A second factor is drawn, set, asked for, replaced and turned off, each time for who
// shows the password, and the code where one is on; each is in the audit.
func TestSecondFactor(t *testing.T) {
	d := open(t)
	who, _ := d.admin(t)
	ctx := t.Context()
	code := func(secret string) string {
		c, err := totp.GenerateCode(secret, d.now)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	proof := func(password, code string) access.Proof {
		return access.Proof{Password: password, Code: code, From: from}
	}
	_, err := d.NewFactor(ctx, who, proof("wrong password", ""), "Otor")
	wantCode(t, "drawn with a wrong password", err, "bad_sign_in")
	wantCode(t, "turned off when none is on", d.DropFactor(ctx, who, proof(mine, "")), "no_factor")
	one, err := d.NewFactor(ctx, who, proof(mine, ""), "Otor")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(one.URI)
	if err != nil || u.Scheme != "otpauth" || u.Query().Get("secret") != one.Secret {
		t.Errorf("uri %q: %v", one.URI, err)
	}
	if on, _, err := d.Factor(ctx, who); err != nil || on {
		t.Errorf("on before a code was shown: %v", err)
	}
	wantCode(t, "a wrong code", d.SetFactor(ctx, who, one.Ticket, "000000"), "bad_code")
	wantCode(t, "no ticket", d.SetFactor(ctx, who, one.Secret, code(one.Secret)), "factor_over")
	if again, err := d.FactorDraft(ctx, who, one.Ticket, "Otor"); err != nil || again != one {
		t.Errorf("the draft once more: %+v, %v", again, err)
	}
	if err := d.SetFactor(ctx, who, one.Ticket, code(one.Secret)); err != nil {
		t.Fatal(err)
	}
	if on, since, err := d.Factor(ctx, who); err != nil || !on || !since.Equal(d.now) {
		t.Errorf("on %v since %v: %v", on, since, err)
	}
	wantCode(t, "the ticket twice", d.SetFactor(ctx, who, one.Ticket, code(one.Secret)), "factor_over")

	in := func(code string) error {
		_, _, err := d.SignIn(ctx, access.Attempt{Name: "admin", Password: mine, Code: code, From: from})
		return err
	}
	wantCode(t, "no code", in(""), "factor_needed")
	wantCode(t, "the code that set it", in(code(one.Secret)), "bad_sign_in")
	d.now = d.now.Add(time.Minute)
	fresh := code(one.Secret)
	if err := in(fresh[:3] + " " + fresh[3:]); err != nil {
		t.Errorf("a fresh code: %v", err)
	}
	wantCode(t, "the same code twice", in(fresh), "bad_sign_in")

	_, err = d.NewFactor(ctx, who, proof(mine, ""), "Otor")
	wantCode(t, "replaced without a code", err, "factor_needed")
	d.now = d.now.Add(time.Minute)
	two, err := d.NewFactor(ctx, who, proof(mine, code(one.Secret)), "Otor")
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(access.FactorDraftEnds)
	wantCode(t, "a draft of long ago", d.SetFactor(ctx, who, two.Ticket, code(two.Secret)), "factor_over")
	if two, err = d.NewFactor(ctx, who, proof(mine, code(one.Secret)), "Otor"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetFactor(ctx, who, two.Ticket, code(two.Secret)); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Minute)
	wantCode(t, "the code of the earlier one", in(code(one.Secret)), "bad_sign_in")
	wantCode(t, "turned off without a code", d.DropFactor(ctx, who, proof(mine, "")), "factor_needed")
	wantCode(t, "turned off with a wrong password", d.DropFactor(ctx, who, proof("wrong password", code(two.Secret))), "bad_sign_in")
	if err := d.DropFactor(ctx, who, proof(mine, code(two.Secret))); err != nil {
		t.Fatal(err)
	}
	if err := in(""); err != nil {
		t.Errorf("by password alone: %v", err)
	}
	var noted []string
	for _, n := range d.notes {
		if strings.HasPrefix(n.Kind, "factor_") {
			noted = append(noted, n.Kind)
		}
	}
	if got := strings.Join(noted, " "); got != "factor_set factor_replaced factor_dropped" {
		t.Errorf("the audit has %q", got)
	}
}
