package access_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"otor/hub/access"
	"otor/hub/store/sqlite"
)

const from = "192.0.2.7:4711"

// desk is a Desk on a real database with a clock that the test moves.
type desk struct {
	*access.Desk
	now   time.Time
	mu    sync.Mutex // guards notes
	notes []access.Note
	deny  error             // what the audit answers
	while func(kind string) // runs while an act is noted, before it is done
}

func open(t *testing.T) *desk {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	d := &desk{now: time.Date(2025, 9, 18, 8, 0, 0, 0, time.UTC)}
	d.Desk, err = access.New(access.Config{
		Store: st, SealKey: [32]byte{1}, Random: rand.Reader, Now: func() time.Time { return d.now },
		Cost: access.Cost{Passes: 1, MiB: 1, Threads: 1},
		Note: func(_ context.Context, n access.Note) error {
			if d.while != nil {
				d.while(n.Kind)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.deny == nil {
				d.notes = append(d.notes, n)
			}
			return d.deny
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// admin makes the first administrator and signs them in.
func (d *desk) admin(t *testing.T) (access.Who, string) {
	t.Helper()
	name, link, err := d.First(t.Context())
	if err != nil || name != "admin" || link == "" {
		t.Fatalf("first link: %q %q %v", name, link, err)
	}
	secret, who, err := d.Accept(t.Context(), link, "four camels drink slowly", from)
	if err != nil {
		t.Fatal(err)
	}
	return who, secret
}

// add makes another operator with a password.
func (d *desk) add(t *testing.T, by access.Who, p access.Person, password string) (access.Who, string) {
	t.Helper()
	link, err := d.Add(t.Context(), by, p)
	if err != nil {
		t.Fatal(err)
	}
	secret, who, err := d.Accept(t.Context(), link, password, from)
	if err != nil {
		t.Fatal(err)
	}
	return who, secret
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	r, ok := errors.AsType[*access.Refusal](err)
	if !ok || r.Code != code {
		t.Errorf("%s: %v, want a refusal %s", what, err, code)
		return
	}
	if r.What == "" || r.Do == "" {
		t.Errorf("%s: %+v does not say what happened and what to do", what, r)
	}
}

func TestTheFirstAdministratorComesByALinkOnce(t *testing.T) {
	d := open(t)
	_, old, err := d.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, link, err := d.First(t.Context())
	if err != nil || link == old {
		t.Fatalf("a second start gives %q, %v", link, err)
	}
	_, _, err = d.Accept(t.Context(), old, "four camels drink slowly", from)
	wantCode(t, "the earlier link", err, "link_over")
	_, _, err = d.Accept(t.Context(), link, "short", from)
	wantCode(t, "a weak password", err, "weak_password")
	secret, who, err := d.Accept(t.Context(), link, "four camels drink slowly", from)
	if err != nil || who.Name != "admin" || !who.May(access.Operators, "gacha:NB") {
		t.Fatalf("%+v, %v", who, err)
	}
	_, _, err = d.Accept(t.Context(), link, "another long password", from)
	wantCode(t, "the link again", err, "link_over")
	if _, link, err = d.First(t.Context()); err != nil || link != "" {
		t.Errorf("with an administrator there is still a first link: %q, %v", link, err)
	}
	if got, err := d.BySession(t.Context(), secret); err != nil || got.Name != "admin" {
		t.Errorf("session: %+v, %v", got, err)
	}
}

func TestALinkIsOverAfterADay(t *testing.T) {
	d := open(t)
	_, link, err := d.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(access.LinkEnds)
	_, _, err = d.Accept(t.Context(), link, "four camels drink slowly", from)
	wantCode(t, "a day later", err, "link_over")
}

func TestSigningIn(t *testing.T) {
	d := open(t)
	d.admin(t)
	in := func(name, password string) error {
		_, _, err := d.SignIn(t.Context(), access.Attempt{Name: name, Password: password, From: from})
		return err
	}
	if err := in(" Admin ", "four camels drink slowly"); err != nil {
		t.Errorf("the right password: %v", err)
	}
	wantCode(t, "a wrong password", in("admin", "five camels drink slowly"), "bad_sign_in")
	wantCode(t, "an unknown name", in("nobody", "four camels drink slowly"), "bad_sign_in")
	wantCode(t, "an endless password", in("admin", strings.Repeat("x", 1<<20)), "bad_sign_in")
	wantCode(t, "no password", in("admin", ""), "bad_sign_in")
	for _, n := range d.notes {
		if n.Subject == "nobody" {
			t.Error("a mistyped name stands in the audit")
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	d := open(t)
	_, secret := d.admin(t)
	for range 30 { // in use: it goes on, though not for ever
		d.now = d.now.Add(access.IdleAfter - time.Second)
		if _, err := d.BySession(t.Context(), secret); err != nil {
			break
		}
	}
	_, err := d.BySession(t.Context(), secret)
	wantCode(t, "after twelve hours", err, "not_signed_in")

	secret, _, err = d.SignIn(t.Context(), access.Attempt{Name: "admin", Password: "four camels drink slowly", From: from})
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(access.IdleAfter / 2)
	if _, err := d.WatchSession(t.Context(), secret); err != nil {
		t.Errorf("a page that looks by itself: %v", err)
	}
	d.now = d.now.Add(access.IdleAfter / 2)
	_, err = d.BySession(t.Context(), secret)
	wantCode(t, "unused, but for a page that looked by itself", err, "not_signed_in")

	secret, _, err = d.SignIn(t.Context(), access.Attempt{Name: "admin", Password: "four camels drink slowly", From: from})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SignOut(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	_, err = d.BySession(t.Context(), secret)
	wantCode(t, "signed out", err, "not_signed_in")
	for _, bad := range []string{"", "x", strings.Repeat("A", 43)} {
		_, err = d.BySession(t.Context(), bad)
		wantCode(t, "a made-up secret", err, "not_signed_in")
	}
}

func TestGuessingIsSlowedDownByNameAndAddress(t *testing.T) {
	d := open(t)
	d.admin(t)
	try := func(from, password string) error {
		_, _, err := d.SignIn(t.Context(), access.Attempt{Name: "admin", Password: password, From: from})
		return err
	}
	for i := range 6 { // each from elsewhere
		wantCode(t, "wrong", try(string(rune('a'+i))+".example:1", "wrong password"), "bad_sign_in")
	}
	wantCode(t, "the right one, by now", try("203.0.113.1:1", "four camels drink slowly"), "throttled")
	d.now = d.now.Add(10 * time.Second)
	if err := try("203.0.113.1:1", "four camels drink slowly"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	for range 10 {
		_, _, err := d.SignIn(t.Context(), access.Attempt{Name: "x" + rand.Text(), Password: "wrong password", From: "198.51.100.1:1"})
		wantCode(t, "wrong", err, "bad_sign_in")
	}
	wantCode(t, "an address that tried ten names", try("198.51.100.1:2", "four camels drink slowly"), "throttled")
}

// Many tries at once are no more tries than one after the other, with a wrong password as
// with a wrong code.
func TestGuessesAtOnceAreCounted(t *testing.T) {
	const atOnce, free = 60, 6 // the sixth wrong try is the last that is looked at
	d := open(t)
	admin, _ := d.admin(t)
	for _, test := range []struct {
		name, password string
		most           int
	}{
		{"a password", "wrong password", free + 1}, // two are hashed at a time
		{"a code", "four camels drink slowly", free},
	} {
		if test.name == "a code" {
			d.now = d.now.Add(time.Hour)
			draft, err := d.NewFactor(t.Context(), admin, access.Proof{Password: test.password, From: from}, "Otor")
			if err != nil {
				t.Fatal(err)
			}
			code, err := totp.GenerateCode(draft.Secret, d.now)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.SetFactor(t.Context(), admin, draft.Ticket, code); err != nil {
				t.Fatal(err)
			}
		}
		var looked, throttled atomic.Int64
		var tries sync.WaitGroup
		for i := range atOnce {
			tries.Go(func() {
				_, _, err := d.SignIn(t.Context(), access.Attempt{
					Name: "admin", Password: test.password, Code: "000000", From: fmt.Sprintf("198.51.%d.%d:1", len(test.name), i),
				})
				switch r, _ := errors.AsType[*access.Refusal](err); {
				case r == nil:
					t.Errorf("%s: %v", test.name, err)
				case r.Code == "throttled":
					throttled.Add(1)
				default:
					looked.Add(1)
				}
			})
		}
		tries.Wait()
		if n := looked.Load(); n < free || n > int64(test.most) || n+throttled.Load() != atOnce {
			t.Errorf("%s: of %d tries at once %d were looked at, %d are", test.name, atOnce, n, free)
		}
	}
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	d := open(t)
	admin, _ := d.admin(t)
	rec, _ := d.add(t, admin, access.Person{Name: "sarna", Role: access.Reconciler, Scopes: []string{"gacha:*"}}, "blue horses run at night")
	_, err := d.Add(t.Context(), rec, access.Person{Name: "other", Role: access.Viewer, Scopes: []string{"gacha:NB"}})
	wantCode(t, "a reconciler adds an operator", err, "not_allowed")
	for _, p := range []access.Person{
		{Name: "x", Role: access.Viewer, Scopes: []string{"*"}},
		{Name: "new one", Role: access.Viewer, Scopes: []string{"*"}},
		{Name: "newone", Role: "king", Scopes: []string{"*"}},
		{Name: "newone", Role: access.Viewer},
		{Name: "newone", Role: access.Administrator, Scopes: []string{"gacha:NB"}},
	} {
		_, err := d.Add(t.Context(), admin, p)
		wantCode(t, "a broken operator", err, "bad_request")
	}
	for _, name := range []string{"hub", "Office", "machine"} { // else the ledger could not be told from theirs
		_, err := d.Add(t.Context(), admin, access.Person{Name: name, Role: access.Viewer, Scopes: []string{"*"}})
		wantCode(t, "an operator called "+name, err, "bad_request")
	}
	_, err = d.Add(t.Context(), admin, access.Person{Name: "SARNA", Role: access.Viewer, Scopes: []string{"*"}})
	wantCode(t, "a taken name", err, "name_taken")
	_, err = d.NewToken(t.Context(), rec, "gis", access.Dispatcher, []string{"gacha:NB"}, time.Hour)
	wantCode(t, "a token of another role", err, "not_allowed")
	_, err = d.NewToken(t.Context(), rec, "gis", access.Viewer, []string{"route:R1"}, time.Hour)
	wantCode(t, "a token beyond the scopes", err, "not_allowed")
	_, err = d.NewToken(t.Context(), rec, "gis", access.Viewer, []string{"gacha:NB"}, 10*access.TokenEnds)
	wantCode(t, "a token for ever", err, "bad_request")
}

func TestChangesEndSessionsAtOnce(t *testing.T) {
	d := open(t)
	admin, adminSecret := d.admin(t)
	rec, secret := d.add(t, admin, access.Person{Name: "sarna", Role: access.Reconciler, Scopes: []string{"gacha:NB"}}, "blue horses run at night")
	token, err := d.NewToken(t.Context(), rec, "gis", access.Reconciler, []string{"gacha:NB"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := d.ByToken(t.Context(), token); err != nil || !w.May(access.Decide, "gacha:NB") || w.May(access.Decide, "gacha:SB") {
		t.Fatalf("token: %+v, %v", w, err)
	}
	if err := d.Change(t.Context(), admin, access.Person{Name: "sarna", Role: access.Viewer, Scopes: []string{"gacha:NB"}}); err != nil {
		t.Fatal(err)
	}
	_, err = d.BySession(t.Context(), secret)
	wantCode(t, "a session under the old role", err, "not_signed_in")
	_, err = d.ByToken(t.Context(), token)
	wantCode(t, "a token that can do more than its operator", err, "not_signed_in")
	if _, err := d.BySession(t.Context(), adminSecret); err != nil {
		t.Errorf("another's session: %v", err)
	}
	reads, err := d.NewToken(t.Context(), rec, "reads", access.Viewer, []string{"gacha:NB"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ByToken(t.Context(), reads); err != nil {
		t.Fatal(err)
	}
	if err := d.ShutOut(t.Context(), admin, "sarna"); err != nil {
		t.Fatal(err)
	}
	_, err = d.ByToken(t.Context(), reads)
	wantCode(t, "a token of who was shut out", err, "not_signed_in")
	_, _, err = d.SignIn(t.Context(), access.Attempt{Name: "sarna", Password: "blue horses run at night", From: from})
	wantCode(t, "shut out", err, "bad_sign_in")
	link, err := d.LetIn(t.Context(), admin, "sarna")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Accept(t.Context(), link, "red goats climb rocks", from); err != nil {
		t.Errorf("let in again: %v", err)
	}
	_, err = d.ByToken(t.Context(), reads)
	wantCode(t, "a token from before", err, "not_signed_in")
	if _, err := d.NewToken(t.Context(), rec, "reads", access.Viewer, []string{"gacha:NB"}, time.Hour); err != nil {
		t.Errorf("its label is free again: %v", err)
	}
	wantCode(t, "the last administrator", d.ShutOut(t.Context(), admin, "admin"), "last_administrator")
	wantCode(t, "the last one's role", d.Change(t.Context(), admin, access.Person{Name: "admin", Role: access.Viewer, Scopes: []string{"*"}}), "last_administrator")
	wantCode(t, "an unknown operator", d.ShutOut(t.Context(), admin, "nobody"), "bad_request")
}

func TestAnActThatCannotBeNotedIsNotDone(t *testing.T) {
	d := open(t)
	admin, _ := d.admin(t)
	d.deny = errors.New("journal disk is full")
	if _, err := d.Add(t.Context(), admin, access.Person{Name: "sarna", Role: access.Viewer, Scopes: []string{"*"}}); !errors.Is(err, d.deny) {
		t.Errorf("added without an audit row: %v", err)
	}
	d.deny = nil
	all, err := d.People(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("%d operators, %v", len(all), err)
	}
}

func TestPasswordChange(t *testing.T) {
	d := open(t)
	admin, secret := d.admin(t)
	wantCode(t, "a wrong old one", d.ChangePassword(t.Context(), admin, "x", "seven foxes in the snow", from), "bad_sign_in")
	wantCode(t, "one's name in it", d.ChangePassword(t.Context(), admin, "four camels drink slowly", "the Admin has a camel", from), "weak_password")
	wantCode(t, "repetition", d.ChangePassword(t.Context(), admin, "four camels drink slowly", "abababababababab", from), "weak_password")
	if err := d.ChangePassword(t.Context(), admin, "four camels drink slowly", "七只狐狸在雪地里跑过了山口去喝水", from); err != nil {
		t.Fatal(err)
	}
	_, err := d.BySession(t.Context(), secret)
	wantCode(t, "the old session", err, "not_signed_in")
	if _, _, err := d.SignIn(t.Context(), access.Attempt{Name: "admin", Password: "七只狐狸在雪地里跑过了山口去喝水", From: from}); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// A password that was right at first may not be so any more when it is replaced: an
// administrator's reset stands.
func TestAPasswordThatWasResetIsNotReplaced(t *testing.T) {
	d := open(t)
	admin, _ := d.admin(t)
	ctx := t.Context()
	who, _ := d.add(t, admin, access.Person{Name: "dulmaa", Role: access.Viewer, Scopes: []string{"gacha:NB"}}, "an old password here")
	var link string
	d.while = func(kind string) {
		if kind != "password_changed" {
			return
		}
		d.while = nil
		var err error
		if link, err = d.LetIn(ctx, admin, "dulmaa"); err != nil {
			t.Error(err)
		}
	}
	err := d.ChangePassword(ctx, who, "an old password here", "a thief's own password", from)
	wantCode(t, "a password that was reset meanwhile", err, "bad_sign_in")
	if _, _, err := d.Accept(ctx, link, "a new password here", from); err != nil {
		t.Errorf("the administrator's link: %v", err)
	}
	_, _, err = d.SignIn(ctx, access.Attempt{Name: "dulmaa", Password: "a thief's own password", From: from})
	wantCode(t, "the other password", err, "bad_sign_in")
}

// A second factor that was set while the one before was turned off stays on.
func TestAFactorThatWasReplacedStays(t *testing.T) {
	d := open(t)
	admin, _ := d.admin(t)
	ctx := t.Context()
	at := func(secret string, when time.Time) string {
		c, err := totp.GenerateCode(secret, when)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	set := func(code string) (secret string) {
		draft, err := d.NewFactor(ctx, admin, access.Proof{Password: mine, Code: code, From: from}, "Otor")
		if err == nil {
			err = d.SetFactor(ctx, admin, draft.Ticket, at(draft.Secret, d.now))
		}
		if err != nil {
			t.Fatal(err)
		}
		return draft.Secret
	}
	secret := set("")
	d.now = d.now.Add(time.Hour)
	d.while = func(kind string) {
		if kind == "factor_dropped" {
			d.while = nil
			set(at(secret, d.now.Add(30*time.Second)))
		}
	}
	err := d.DropFactor(ctx, admin, access.Proof{Password: mine, Code: at(secret, d.now), From: from})
	wantCode(t, "a factor that was replaced meanwhile", err, "factor_needed")
	if on, _, err := d.Factor(ctx, admin); err != nil || !on {
		t.Errorf("the new factor is off: %v", err)
	}
}

// Every role against every act: what is granted is what the table in the
// handbook says, and no role can be given by one that has less.
func TestRoles(t *testing.T) {
	want := map[access.Role]string{
		access.Viewer:        "view",
		access.Reconciler:    "view export reveal decide roster sign audit",
		access.Dispatcher:    "view export dispatch",
		access.Administrator: "view export reveal decide roster sign dispatch devices packs operators audit backup",
		"":                   "",
		"king":               "",
	}
	for role, acts := range want {
		for _, a := range access.Acts {
			if got := role.May(a); got != strings.Contains(" "+acts+" ", " "+string(a)+" ") {
				t.Errorf("%q may %s: %v", role, a, got)
			}
		}
	}
	if access.Reconciler.Within(access.Dispatcher) || !access.Viewer.Within(access.Dispatcher) || access.Role("king").Within(access.Administrator) {
		t.Error("roles within roles")
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		granted, scope string
		want           bool
	}{
		{"gacha:NB", "gacha:NB", true},
		{"gacha:NB", "gacha:NBX", false},
		{"gacha:NB", "gacha:N", false},
		{"gacha:*", "gacha:NB", true},
		{"gacha:*", "gachax:NB", false},
		{"gacha:*", "gacha", false},
		{"*", "gacha:NB", true},
		{"*", "", true},
		{"gacha:NB", "", false},
		{"", "", false},
	} {
		if got := access.Covers([]string{c.granted}, c.scope); got != c.want {
			t.Errorf("%q covers %q: %v", c.granted, c.scope, got)
		}
	}
}
