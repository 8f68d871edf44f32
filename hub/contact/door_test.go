package contact_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"otor/hub/contact"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/wire"
)

// issuer counts what it issues; the end of credentials is due below half.
type issuer struct {
	issued int
	fails  error
	half   int64 // Unix seconds
}

func (i *issuer) Issue(d dot.Device, pub string, scopes []string) (wire.Credentials, error) {
	if i.fails != nil {
		return wire.Credentials{}, i.fails
	}
	i.issued++
	return wire.Credentials{JWT: fmt.Sprintf("jwt %d %s %s %v", i.issued, d, pub, scopes), Door: "door"}, nil
}

func (i *issuer) RenewalDue(expires int64) bool { return expires < i.half }

// guarded is an office that issues credentials, with a device whose key is known.
type guarded struct {
	*office
	issuer *issuer
	key    identity.SigningKey
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{office: newOffice(t), issuer: &issuer{half: noon.Unix()}}
	g.Issuer = g.issuer
	g.key = g.join(t, "D-201")
	return g
}

// join enrols a device, under a new incarnation each time, with the NATS key "U" + name.
func (g *guarded) join(t *testing.T, d dot.Device) identity.SigningKey {
	t.Helper()
	g.now = g.now.Add(time.Second)
	code := sha256.Sum256([]byte(string(d) + g.now.String()))
	key, err := identity.SigningKeyFromSeed(code[:])
	if err != nil {
		t.Fatal(err)
	}
	at := g.now.UnixMilli()
	if err := g.Invite(t.Context(), store.Invitation{Device: d, Scopes: []string{"team:T1"}, CodeHash: code, AddedAt: at, ExpiresAt: at + 1000}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Redeem(t.Context(), store.Enrolment{CodeHash: code, SignKey: key.Public(), NatsKey: "U" + string(d), At: at}); err != nil {
		t.Fatal(err)
	}
	return key
}

// knock says something at the door.
func (g *guarded) knock(t *testing.T, d dot.Device, h wire.DoorHello) wire.DoorAnswer {
	t.Helper()
	b, err := wire.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.Door(t.Context(), d, b)
	if err != nil {
		t.Fatal(err)
	}
	if a.Time != g.now.UnixMilli() {
		t.Errorf("the hub's time is %d", a.Time)
	}
	return a
}

// challenge asks for one.
func (g *guarded) challenge(t *testing.T, d dot.Device, i dot.Incarnation) []byte {
	t.Helper()
	a := g.knock(t, d, wire.DoorHello{Incarnation: i})
	if len(a.Challenge) != wire.ChallengeSize || a.Credentials != nil || a.Refused != nil {
		t.Fatalf("no challenge: %+v", a)
	}
	return a.Challenge
}

// answer signs a challenge as D-201 does.
func (g *guarded) answer(challenge []byte) wire.DoorHello {
	return wire.DoorHello{
		Incarnation: 1, Challenge: challenge, Proof: g.key.Sign(identity.ForDoor, wire.DoorProof(challenge, "D-201", "UD-201")),
	}
}

func TestRenewalInContact(t *testing.T) {
	g := newGuarded(t)
	say := func(h *wire.Holding) *wire.Credentials {
		t.Helper()
		hello := g.hello()
		hello.Holds = h
		w := g.say(t, "D-201", hello)
		if w.Refused != nil {
			t.Fatalf("refused: %v", w.Refused)
		}
		return w.Credentials
	}
	half := g.issuer.half
	for name, c := range map[string]struct {
		holds *wire.Holding
		want  bool
	}{
		"an older agent":      {nil, false},
		"plenty left":         {&wire.Holding{Incarnation: 1, Expires: half, Door: true}, false},
		"less than half left": {&wire.Holding{Incarnation: 1, Expires: half - 1, Door: true}, true},
		"an unknown end":      {&wire.Holding{Incarnation: 1, Door: true}, true},
		"no door yet":         {&wire.Holding{Incarnation: 1, Expires: half + 1000}, true},
		"a life of nobody":    {&wire.Holding{Incarnation: 7}, false},
	} {
		got := say(c.holds)
		if (got != nil) != c.want {
			t.Errorf("%s: %+v", name, got)
		}
		if got != nil && (got.Door != "door" || !bytes.HasSuffix([]byte(got.JWT), []byte("D-201 UD-201 [team:T1]"))) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// Trouble with credentials is no trouble for the contact.
	g.issuer.fails = errors.New("no ink")
	if say(&wire.Holding{Incarnation: 1}) != nil {
		t.Error("credentials out of nothing")
	}
	g.issuer.fails = nil
	// A newer enrolment replaced this life.
	g.join(t, "D-201")
	if say(&wire.Holding{Incarnation: 1}) != nil {
		t.Error("a superseded life got new credentials")
	}
	if say(&wire.Holding{Incarnation: 2}) == nil {
		t.Error("the newest life got none")
	}
}

func TestDoor(t *testing.T) {
	g := newGuarded(t)
	a := g.knock(t, "D-201", g.answer(g.challenge(t, "D-201", 1)))
	if a.Credentials == nil || a.Credentials.JWT != "jwt 1 D-201 UD-201 [team:T1]" || a.Credentials.Door != "door" || a.Refused != nil {
		t.Fatalf("answer %+v", a)
	}
	// Its answer got lost: the device begins again and is given others.
	if a = g.knock(t, "D-201", g.answer(g.challenge(t, "D-201", 1))); a.Credentials == nil {
		t.Fatalf("the second time: %+v", a)
	}
	if c := g.known(t, "D-201").Contact; c.At != 0 {
		t.Errorf("the door counts as a contact: %+v", c)
	}
}

func TestDoorStaysShut(t *testing.T) {
	g := newGuarded(t)
	other := g.join(t, "D-202")
	fresh := func() []byte { return g.challenge(t, "D-201", 1) }
	prove := func(k identity.SigningKey, purpose identity.Domain, challenge []byte, d dot.Device, nats string) wire.DoorHello {
		return wire.DoorHello{Incarnation: 1, Challenge: challenge, Proof: k.Sign(purpose, wire.DoorProof(challenge, d, nats))}
	}
	spoilt := func(at int) []byte {
		c := fresh()
		c[at] ^= 1
		return c
	}
	used := g.answer(fresh())
	if a := g.knock(t, "D-201", used); a.Credentials == nil {
		t.Fatalf("not let in: %+v", a)
	}
	for name, c := range map[string]struct {
		h    func() wire.DoorHello
		code string // of the refusal; empty: another challenge
	}{
		"another's key":             {func() wire.DoorHello { return prove(other, identity.ForDoor, fresh(), "D-201", "UD-201") }, "bad_proof"},
		"signed for enrolment":      {func() wire.DoorHello { return prove(g.key, identity.ForEnrol, fresh(), "D-201", "UD-201") }, "bad_proof"},
		"another name":              {func() wire.DoorHello { return prove(g.key, identity.ForDoor, fresh(), "D-202", "UD-201") }, "bad_proof"},
		"another NATS key":          {func() wire.DoorHello { return prove(g.key, identity.ForDoor, fresh(), "D-201", "UD-202") }, "bad_proof"},
		"replayed":                  {func() wire.DoorHello { return used }, ""},
		"another's challenge":       {func() wire.DoorHello { return g.answer(g.challenge(t, "D-202", 1)) }, ""},
		"a challenge of its own":    {func() wire.DoorHello { return g.answer(bytes.Repeat([]byte{7}, wire.ChallengeSize)) }, ""},
		"another time":              {func() wire.DoorHello { return g.answer(spoilt(7)) }, ""},
		"another chance":            {func() wire.DoorHello { return g.answer(spoilt(12)) }, ""},
		"another seal":              {func() wire.DoorHello { return g.answer(spoilt(31)) }, ""},
		"a life that is not its":    {func() wire.DoorHello { h := g.answer(fresh()); h.Incarnation = 2; return h }, "unknown_device"},
		"challenge without a proof": {func() wire.DoorHello { h := g.answer(fresh()); h.Proof = nil; return h }, "bad_hello"},
		"too late": {func() wire.DoorHello {
			h := g.answer(fresh())
			g.now = g.now.Add(contact.ChallengeLife + time.Millisecond)
			return h
		}, ""},
		"before its time": {func() wire.DoorHello {
			g.now = g.now.Add(time.Hour)
			h := g.answer(fresh())
			g.now = g.now.Add(-time.Hour)
			return h
		}, ""},
	} {
		before := g.issuer.issued
		a := g.knock(t, "D-201", c.h())
		refused := ""
		if a.Refused != nil {
			refused = a.Refused.Code
		}
		if a.Credentials != nil || g.issuer.issued != before || refused != c.code || (c.code == "") != (len(a.Challenge) == wire.ChallengeSize) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a, err := g.Door(t.Context(), "D-201", []byte("nonsense")); err != nil || a.Refused == nil || a.Refused.Code != "bad_hello" {
		t.Errorf("nonsense: %+v, %v", a, err)
	}
	if a := g.knock(t, "D-999", wire.DoorHello{Incarnation: 1}); a.Refused == nil || a.Refused.Code != "unknown_device" {
		t.Errorf("a stranger: %+v", a)
	}
	// A proof that is good, of a device that was revoked meanwhile.
	late := g.answer(fresh())
	if _, err := g.Revoke(t.Context(), "D-201", g.now.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	for _, h := range []wire.DoorHello{late, {Incarnation: 1}} {
		if a := g.knock(t, "D-201", h); a.Refused == nil || a.Refused.Code != "revoked" || a.Challenge != nil {
			t.Errorf("revoked: %+v", a)
		}
	}
	g.join(t, "D-202")
	if a := g.knock(t, "D-202", wire.DoorHello{Incarnation: 1}); a.Refused == nil || a.Refused.Code != "superseded" {
		t.Errorf("superseded: %+v", a)
	}
}

// away is a database that does not answer at all.
type away struct{ store.Store }

func (away) Device(context.Context, dot.Device) (store.Device, error) {
	return store.Device{}, errAway
}

// Without its database the hub neither lets in nor turns away.
func TestNoDoorWithoutADatabase(t *testing.T) {
	g := newGuarded(t)
	g.Desk.Store = away{g.Store}
	b, err := wire.Marshal(wire.DoorHello{Incarnation: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := g.Door(t.Context(), "D-201", b); !errors.Is(err, errAway) || a.Time != 0 {
		t.Errorf("answer %+v, error %v", a, err)
	}
}
