package server_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/identity"
)

func post(t *testing.T, c *http.Client, address string, form url.Values) (int, string, string) {
	t.Helper()
	return send(t, c, http.MethodPost, address, form.Encode(), true)
}

// codeOf is the code of a second factor at a moment, by RFC 6238 itself.
func codeOf(secret []byte, at time.Time) string {
	m := hmac.New(sha1.New, secret)
	_ = binary.Write(m, binary.BigEndian, at.Unix()/30)
	sum := m.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// drawn finds the second factor that a page shows: its ticket, and the secret for an app.
func drawn(t *testing.T, body string) (ticket, secret string) {
	t.Helper()
	found := regexp.MustCompile(`(?s)id="factor-secret">([A-Z2-7]+)<.*name="ticket" value="([A-Z2-7]+)"`).FindStringSubmatch(body)
	if found == nil || !strings.Contains(body, "<path d=\"M") {
		t.Fatalf("no second factor on the page: %.1500s", body)
	}
	return found[2], found[1]
}

// The first administrator comes in by the link of the start, once; then by
// password, and by second factor when it is on.
func TestSigningIn(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	voided, err := s.FirstLink(t.Context())
	check(t, err)
	link, err := s.FirstLink(t.Context())
	check(t, err)
	u, err := url.Parse(link)
	check(t, err)
	if !strings.HasPrefix(link, base+"/join?k=") {
		t.Fatalf("first link %s", link)
	}
	c := browser(t)
	status, body, _ := send(t, c, "GET", link, "", false)
	if status != http.StatusOK || !strings.Contains(body, u.Query().Get("k")) {
		t.Errorf("the link opens %d", status)
	}
	k := url.Values{"k": u.Query()["k"], "password": {password}, "again": {password + "x"}}
	if status, body, _ := post(t, c, base+"/join", k); status != http.StatusForbidden || !strings.Contains(body, `role="alert"`) {
		t.Errorf("two passwords: %d", status)
	}
	old, err := url.Parse(voided)
	check(t, err)
	if status, _, _ := post(t, browser(t), base+"/join", url.Values{"k": old.Query()["k"], "password": {password}, "again": {password}}); status != http.StatusForbidden {
		t.Errorf("the earlier link: %d", status)
	}
	k.Set("again", password)
	if status, body, to := post(t, c, base+"/join", k); status != http.StatusSeeOther || to != "/" {
		t.Fatalf("join: %d %s", status, body)
	}
	if status, _, _ := post(t, browser(t), base+"/join", k); status != http.StatusForbidden {
		t.Errorf("the link again: %d", status)
	}
	if again, err := s.FirstLink(t.Context()); err != nil || again != "" {
		t.Errorf("a link although there is an administrator: %q, %v", again, err)
	}

	// A second factor, as the page draws it for who shows the password.
	if _, body, _ = send(t, c, "GET", base+"/account", "", false); strings.Contains(body, `name="ticket"`) || strings.Contains(body, "off-password") {
		t.Errorf("a picture before anybody asked for one: %.400s", body)
	}
	if status, body, _ := post(t, c, base+"/account/factor/new", url.Values{"password": {"wrong"}}); status != http.StatusForbidden || strings.Contains(body, `name="ticket"`) {
		t.Errorf("set up with a wrong password: %d", status)
	}
	_, body, _ = post(t, c, base+"/account/factor/new", url.Values{"password": {password}})
	ticket, typed := drawn(t, body)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(typed)
	check(t, err)
	if status, body, _ := post(t, c, base+"/account/factor", url.Values{"ticket": {ticket}, "code": {"000000"}}); status == http.StatusOK || !strings.Contains(body, ticket) {
		t.Errorf("a wrong code turned it on, or took the picture away")
	}
	if status, _, _ := post(t, c, base+"/account/factor", url.Values{"ticket": {typed}, "code": {codeOf(secret, time.Now())}}); status == http.StatusOK {
		t.Errorf("a secret that was not drawn for who shows a password was set")
	}
	if status, body, _ := post(t, c, base+"/account/factor", url.Values{"ticket": {ticket}, "code": {codeOf(secret, time.Now())}}); status != http.StatusOK || !strings.Contains(body, `id="factor-off"`) {
		t.Fatalf("turn on: %d %.300s", status, body)
	}
	if status, body, _ := post(t, c, base+"/account/factor/off", url.Values{"password": {password}}); status != http.StatusForbidden || !strings.Contains(body, `id="factor-off"`) {
		t.Errorf("turned off without its code: %d", status)
	}

	// Out, and in again.
	if status, _, to := post(t, c, base+"/signout", nil); status != http.StatusSeeOther || to != "/signin" {
		t.Errorf("sign out: %d %s", status, to)
	}
	if status, _, to := send(t, c, "GET", base+"/account", "", false); status != http.StatusSeeOther || to != "/signin?next=%2Faccount" {
		t.Errorf("after signing out: %d %s", status, to)
	}
	in := url.Values{"name": {"Admin"}, "password": {password}, "next": {"/account"}}
	if status, body, _ := post(t, c, base+"/signin", in); status != http.StatusForbidden || !strings.Contains(body, "Admin") || strings.Contains(body, password) {
		t.Errorf("without the code: %d", status)
	}
	in.Set("code", codeOf(secret, time.Now().Add(30*time.Second)))
	if status, _, to := post(t, c, base+"/signin", in); status != http.StatusSeeOther || to != "/account" {
		t.Errorf("with it: %d %s", status, to)
	}
	in.Set("next", "//elsewhere.example/")
	if status, _, _ := post(t, browser(t), base+"/signin", in); status != http.StatusForbidden {
		t.Errorf("the same code twice: %d", status)
	}

	// Guessing is slowed down.
	last := 0
	for range 12 {
		last, _, _ = post(t, browser(t), base+"/signin", url.Values{"name": {"admin"}, "password": {"wrong"}})
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the twelfth guess: %d", last)
	}
	// All of it is in the ledger, and no password is.
	seen := ""
	for f, err := range s.Office().Facts(t.Context(), store.FactQuery{Kind: "access"}, false) {
		check(t, err)
		seen += f.By + " " + string(f.Body) + "\n"
	}
	for _, want := range []string{"link_used", "factor_set", "signed_in", "refused"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the ledger says nothing of %s:\n%s", want, seen)
		}
	}
	if strings.Contains(seen, password) || strings.Contains(seen, typed) {
		t.Error("a secret is in the ledger")
	}
}

// The owner of the machine comes in only where the hub was opened so.
func TestOwnerEnters(t *testing.T) {
	s, _ := town(t)
	if status, _, to := send(t, browser(t), "GET", s.EnterURL(), "", false); status != http.StatusSeeOther || !strings.HasPrefix(to, "/signin") {
		t.Errorf("the launch secret: %d %s", status, to)
	}
}

// A program with a token does what its role says, within its scopes, as long as it lasts.
func TestTokens(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	rita := joined(t, s, "rita", "reconciler", "gacha:*")
	f := url.Values{"label": {"sheet"}, "role": {"viewer"}, "scopes": {"gacha:aa"}, "days": {"30"}}
	for _, more := range []url.Values{
		{"label": {"x"}, "role": {"administrator"}, "scopes": {"gacha:aa"}, "days": {"30"}},
		{"label": {"x"}, "role": {"viewer"}, "scopes": {"*"}, "days": {"30"}},
		{"label": {"x"}, "role": {"viewer"}, "scopes": {"gacha:aa"}, "days": {"400"}},
	} {
		if status, body, _ := post(t, rita, base+"/account/tokens", more); status == http.StatusOK || strings.Contains(body, `id="token"`) {
			t.Errorf("%v: %d", more, status)
		}
	}
	_, page, _ := post(t, rita, base+"/account/tokens", f)
	found := regexp.MustCompile(`id="token">(otor_[^<]+)<`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no token: %.1500s", page)
	}
	ask := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+found[1])
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		check(t, err)
		return resp.StatusCode, string(b)
	}
	if status, items := ask("GET", "/api/v1/office/items", ""); status != http.StatusOK || !strings.Contains(items, "H-AA") || strings.Contains(items, "H-BB") {
		t.Errorf("items: %d %.300s", status, items)
	}
	if status, _ := ask("POST", "/api/v1/office/items/1/decide", "{}"); status != http.StatusForbidden {
		t.Errorf("decide: %d", status)
	}
	if status, _, _ := post(t, rita, base+"/account/tokens/revoke", url.Values{"label": {"sheet"}}); status != http.StatusSeeOther {
		t.Errorf("end it: %d", status)
	}
	if status, _ := ask("GET", "/api/v1/office/items", ""); status != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", status)
	}
}

// A device is let in on a page, by a code that the hub takes, and out by its name typed again.
func TestDevicesPage(t *testing.T) {
	s, _ := town(t)
	base := "http://" + s.HTTPAddr()
	boss := joined(t, s, "boss", "administrator", "*")
	for _, bad := range []url.Values{{"device": {"d-1"}, "scopes": {"gacha:aa"}}, {"device": {"D-1"}}, {"device": {"D-1"}, "scopes": {"all"}}, {"device": {"D-AA"}, "scopes": {"gacha:aa"}}} {
		if status, body, _ := post(t, boss, base+"/devices/invite", bad); status != http.StatusUnprocessableEntity || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%v: %d", bad, status)
		}
	}
	status, page, _ := post(t, boss, base+"/devices/invite", url.Values{"device": {"D-900"}, "scopes": {"gacha:aa team:T1"}})
	found := regexp.MustCompile(`<dd><code>([A-Z0-9-]{20,})</code>`).FindStringSubmatch(page)
	if status != http.StatusOK || found == nil || !strings.Contains(page, `<path d="M`) {
		t.Fatalf("no code on the page: %d %.1500s", status, page)
	}
	if _, err := identity.ParseCode(found[1]); err != nil {
		t.Error(err)
	}
	// Nothing asks for the address of a form's answer anew, be it for changes or for another language.
	if !strings.Contains(page, `data-events=""`) || !strings.Contains(page, `name="back" value="/devices"`) {
		t.Errorf("the code's page loads itself anew, or leads nowhere: %.1500s", page)
	}
	for _, c := range [][2]string{{"D-90", "invited"}, {"D-900", "revoked"}} {
		_, _, _ = post(t, boss, base+"/devices/revoke", url.Values{"device": {"D-900"}, "again": {c[0]}})
		ds, err := s.Office().Devices(t.Context())
		check(t, err)
		at := slices.IndexFunc(ds, func(d server.Enrolled) bool { return d.Device == "D-900" })
		if at < 0 || ds[at].State != c[1] {
			t.Errorf("after typing %q: %+v", c[0], ds)
		}
	}
	_, page, _ = send(t, boss, "GET", base+"/ledger?kind=revoked", "", false)
	if !strings.Contains(page, "D-900") || !strings.Contains(page, "boss") || !strings.Contains(page, "<h2>吊销设备 · ") || strings.Contains(page, "<h2>邀请设备") {
		t.Errorf("the ledger: %.1500s", page)
	}
}
