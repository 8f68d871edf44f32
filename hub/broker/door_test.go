package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"otor/hub/broker"
	"otor/internal/dot"
	"otor/internal/wire"
)

// The door lets a device ask for credentials and hear the answer, no more.
func TestDoorPermits(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	asked := make(chan dot.Device, 8)
	for _, subject := range []string{wire.DoorAny, wire.HelloAny} {
		if err := b.Serve(subject, func(_ context.Context, d dot.Device, data []byte) []byte {
			asked <- d
			return append([]byte(subject+" "), data...)
		}); err != nil {
			t.Fatal(err)
		}
	}
	key, pub := newKey(t)
	issued, err := b.Issue("D-1", pub, []string{"gacha-12"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dial(t, b, "D-1", key, issued.Door)
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Request(wire.DoorOn("D-1"), []byte("let me in"), patience)
	if err != nil || string(m.Data) != wire.DoorAny+" let me in" {
		t.Fatalf("got %v, %v", m, err)
	}
	<-asked
	for _, subject := range []string{
		wire.HelloOn("D-1"), wire.DoorOn("D-2"), wire.Up(dot.Alert, "D-1"), wire.Up(dot.Record, "D-1"), wire.Relay("D-1"), wire.PullOn("D-1"), wire.RefillOn("D-1"), wire.BlobOn("D-1"),
		wire.ReceiptFor("D-1"), wire.News("gacha-12"), "_INBOX.D-1.x", "$JS.API.INFO", "$SYS.REQ.USER.INFO", "free.subject",
	} {
		if err := d.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if !d.wasDenied(t, subject) {
			t.Errorf("publish on %s is not denied", subject)
		}
	}
	for _, subject := range []string{
		wire.ReceiptFor("D-1"), wire.News("gacha-12"), wire.HelloAny, wire.DoorAny, wire.DoorOn("D-1"), "_INBOX.>", "_INBOX.D-2.>", ">", "$SYS.>",
	} {
		sub, err := d.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		if !d.wasDenied(t, subject) {
			t.Errorf("subscribe to %s is not denied", subject)
		}
		_ = sub.Unsubscribe()
	}
	if len(asked) != 0 {
		t.Error("something else than the door was heard")
	}
	// The ordinary ones do not open the door: who holds them says hello.
	o, err := dial(t, b, "D-1", key, issued.JWT)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Publish(wire.DoorOn("D-1"), nil); err != nil {
		t.Fatal(err)
	}
	if !o.wasDenied(t, wire.DoorOn("D-1")) {
		t.Error("ordinary credentials publish at the door")
	}
	if m, err := o.Request(wire.HelloOn("D-1"), []byte("hello"), patience); err != nil || string(m.Data) != wire.HelloAny+" hello" {
		t.Errorf("hello: %v", err)
	}
}

// Both credentials name one key: revoking it shuts the door as well, cuts who
// stands in it, and stays so over a restart.
func TestRevokingShutsTheDoor(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, "127.0.0.1:0")
	key, pub := newKey(t)
	issued, err := b.Issue("D-1", pub, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dial(t, b, "D-1", key, issued.Door)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Revoke(pub); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.closed:
	case <-time.After(patience):
		t.Fatal("the connection by the door was not cut")
	}
	if c, err := b.Issue("D-1", pub, nil); !errors.Is(err, broker.ErrRevoked) || c != (wire.Credentials{}) {
		t.Errorf("issued after revoking: %v", err)
	}
	for range 2 {
		for _, token := range []string{issued.JWT, issued.Door} {
			if _, err := dial(t, b, "D-1", key, token); !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("connect after revoking: %v", err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open(t, dir, "127.0.0.1:0")
	}
}

func TestRenewalIsDueAtHalf(t *testing.T) {
	now := time.Now()
	b, err := broker.Open(t.Context(), broker.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", MaxStore: 16 << 20, CredentialTTL: 10 * time.Hour, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for left, want := range map[time.Duration]bool{
		10 * time.Hour: false, 5 * time.Hour: false, 5*time.Hour - time.Second: true, 0: true, -time.Hour: true,
	} {
		if got := b.RenewalDue(now.Add(left).Unix()); got != want {
			t.Errorf("%s left: due %v", left, got)
		}
	}
	for _, unknown := range []int64{0, -1 << 63} {
		if !b.RenewalDue(unknown) {
			t.Errorf("an end at %d: not due", unknown)
		}
	}
	for _, ttl := range []time.Duration{-1, time.Millisecond, broker.MaxTTL + time.Second} {
		if _, err := broker.Open(t.Context(), broker.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", CredentialTTL: ttl}); err == nil {
			t.Errorf("a life of %s is taken", ttl)
		}
	}
}
