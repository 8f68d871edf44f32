package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otor/agent/device"
	"otor/agent/enrol"
	"otor/agent/link"
	"otor/agent/web"
	"otor/internal/dot"
	"otor/internal/wire"
)

// These tests run a whole hub and whole devices in this process, with
// credentials that last seconds. The NATS server checks them by the machine's
// clock, so waiting for their end is waiting.

// shortLife is how long credentials last here. They end at full seconds, so that
// less is not much longer than an instant.
const shortLife = 4 * time.Second

// What the hub logs when it gives credentials.
const (
	byHello = "credentials renewed"
	byDoor  = "credentials issued by the door"
)

// outlive waits until credentials are over for the server.
func outlive(t *testing.T, id *enrol.Identity) {
	t.Helper()
	reach(t, id.Span().Expires.Add(1100*time.Millisecond)) // the server counts whole seconds
}

func reach(t *testing.T, at time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(at)):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func TestRenewedAtHalfLife(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 2*shortLife)
	dir := p.enrol(t, "D-101", false)
	first := identityIn(t, dir)
	if first.Door == "" {
		t.Fatal("the device got no door when it was enrolled")
	}
	p.putIn(t, dir, 3)
	p.mustContact(t, dir, nil)
	// Read first, then look at the time: on a slow machine the half may be over already.
	id := identityIn(t, dir)
	if time.Now().Before(first.Span().Half()) && (id.JWT != first.JWT || id.Door != first.Door) {
		t.Error("renewed before half of the life was over")
	}
	reach(t, first.Span().Half().Add(1100*time.Millisecond))
	p.mustContact(t, dir, nil)
	second := identityIn(t, dir)
	if second.JWT == first.JWT || !second.Span().Expires.After(first.Span().Expires) {
		t.Fatal("not renewed behind half of the life")
	}
	// The first ones are over; nobody misses them.
	outlive(t, first)
	p.mustContact(t, dir, nil)
	if got := p.log.count(byDoor); got != 0 {
		t.Errorf("the door was used %d times", got)
	}
	if got := p.log.count(byHello); got == 0 {
		t.Error("the hub does not say that it renewed")
	}
	p.holds(t, "D-101", 3)
}

// A link that stands is renewed as well, before its credentials end; the server
// cuts it when the old ones do, and it comes back with the new ones.
func TestRenewedOnALinkThatStands(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shortLife)
	dir := p.enrol(t, "D-101", false)
	first := identityIn(t, dir)
	d := p.open(t, dir, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	records := 0
	for deadline := time.Now().Add(5 * shortLife / 2); time.Now().Before(deadline); records++ {
		put(t, d, 1)
		select {
		case <-time.After(100 * time.Millisecond):
		case err := <-ended:
			t.Fatalf("the device ended: %v", err)
		}
	}
	for deadline := time.Now().Add(patience); ; {
		s, err := d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %+v", s)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	if err := errors.Join(<-ended, d.Close()); err != nil {
		t.Fatal(err)
	}
	if last := identityIn(t, dir); last.JWT == first.JWT || !last.Span().Issued.After(first.Span().Expires) {
		t.Error("the credentials were not renewed twice")
	}
	t.Logf("%d renewals, %d by the door", p.log.count(byHello), p.log.count(byDoor))
	if p.log.count(byHello) < 2 {
		t.Error("the link was not renewed by hellos")
	}
	p.holds(t, "D-101", records)
}

func TestAwayForTooLong(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shortLife)
	dir, fast, slow := p.enrol(t, "D-101", false), p.enrol(t, "D-102", false), p.enrol(t, "D-103", false)
	off := func(years int) func(*device.Config) {
		return func(c *device.Config) { c.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) } }
	}
	p.putIn(t, dir, 20)
	first := identityIn(t, dir)
	for _, d := range []string{dir, fast, slow} {
		outlive(t, identityIn(t, d))
	}
	// Out of reach, a person is told plainly.
	d := p.open(t, dir, nil)
	s, err := d.Status(t.Context())
	if err != nil || !s.NothingLost || s.Waiting != 20 {
		t.Errorf("status: %+v, %v", s, err)
	}
	for _, words := range []string{"away for longer than its credentials last", "by itself at the next contact", "every record stays safe here"} {
		if !strings.Contains(s.Link.Words, words) {
			t.Errorf("status does not say %q: %q", words, s.Link.Words)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	p.mustContact(t, dir, nil)
	if got := p.log.count(byDoor); got != 1 {
		t.Errorf("the door was used %d times", got)
	}
	second := identityIn(t, dir)
	if second.JWT == first.JWT || second.Door == "" {
		t.Error("no new credentials were kept")
	}
	p.holds(t, "D-101", 20)
	// Dates are the server's affair: a clock that is years off changes nothing.
	for device, years := range map[string]int{fast: 9, slow: -9} {
		before := p.log.count(byDoor)
		p.mustContact(t, device, off(years))
		p.mustContact(t, device, off(years)) // with the new ones
		if got := p.log.count(byDoor) - before; got != 1 {
			t.Errorf("clock off by %d years: the door was used %d times", years, got)
		}
		d := p.open(t, device, off(years))
		if s, err := d.Status(t.Context()); err != nil || strings.Contains(s.Link.Words, "credentials") {
			t.Errorf("clock off by %d years: %q, %v", years, s.Link.Words, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A device that runs while it is away comes back by itself.
func TestRunningDeviceComesBackByTheDoor(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shortLife)
	dir := p.enrol(t, "D-101", false)
	far := &line{}
	far.down.Store(true)
	d := p.open(t, dir, func(c *device.Config) { c.Dialer = far })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	put(t, d, 5)
	outlive(t, identityIn(t, dir))
	far.down.Store(false)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if s, err := d.Status(t.Context()); err != nil || s.Waiting == 0 && s.Link.State == web.Online {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come back: %+v", d.Link().State())
		}
	}
	if d.Link().State().Expired {
		t.Error("the link still counts as expired")
	}
	cancel()
	if err := errors.Join(<-ended, d.Close()); err != nil {
		t.Fatal(err)
	}
	p.holds(t, "D-101", 5)
}

func TestRevokedStaysOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shortLife)
	away, present := p.enrol(t, "D-101", false), p.enrol(t, "D-102", false)
	old := p.enrol(t, "D-103", false)
	p.enrol(t, "D-103", true) // a new life elsewhere
	p.putIn(t, away, 2)
	before := map[string]string{}
	for d, dir := range map[dot.Device]string{"D-101": away, "D-102": present} {
		before[dir] = identityIn(t, dir).JWT
		if err := p.Office().Revoke(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	before[old] = identityIn(t, old).JWT
	if _, err := p.contact(t, present, nil); !errors.Is(err, link.ErrRefused) {
		t.Errorf("revoked, with credentials that last: %v", err)
	}
	for _, dir := range []string{away, old} {
		outlive(t, identityIn(t, dir))
	}
	_, err := p.contact(t, away, nil)
	if !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "revoked") || !strings.Contains(err.Error(), "every record stays safe here") {
		t.Errorf("revoked, away for too long: %v", err)
	}
	// A life that was replaced is told so, by the door.
	if _, err = p.contact(t, old, nil); !errors.Is(err, link.ErrRefused) || !strings.Contains(err.Error(), "enrolled again elsewhere") {
		t.Errorf("replaced: %v", err)
	}
	for dir, was := range before {
		if identityIn(t, dir).JWT != was {
			t.Errorf("%s: it got credentials", dir)
		}
	}
	if n := p.log.count(byDoor) + p.log.count(byHello); n != 0 {
		t.Errorf("credentials were issued %d times", n)
	}
	d := p.open(t, away, nil)
	if s, err := d.Status(t.Context()); err != nil || !s.NothingLost || s.Waiting != 2 {
		t.Errorf("what it holds: %+v, %v", s, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// atTheDoor connects a device by its door and lets the test speak there.
func (p *place) atTheDoor(t *testing.T, id *enrol.Identity, speak link.Knock) {
	t.Helper()
	done := make(chan struct{})
	var once sync.Once
	l := newLink(t, id, func(c *link.Config) {
		c.Door = id.Door
		c.MinPause, c.MaxPause = time.Hour, time.Hour
		c.Knock = func(ctx context.Context, ask func(context.Context, []byte) ([]byte, error)) (wire.Credentials, error) {
			defer once.Do(func() { close(done) })
			return speak(ctx, ask)
		}
	})
	stop := run(t, l)
	defer stop()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("never at the door: %+v", l.State())
	}
}

// What was said at the door once opens it no second time. A device that was
// given credentials and stopped before it stored them is let in again.
func TestTheDoorTakesNoReplay(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shortLife)
	dir := p.enrol(t, "D-101", false)
	p.putIn(t, dir, 4)
	id := identityIn(t, dir)
	outlive(t, id)
	crashed := errors.New("crashed before it was stored")
	p.atTheDoor(t, id, func(ctx context.Context, ask func(context.Context, []byte) ([]byte, error)) (wire.Credentials, error) {
		var said []byte
		c, err := id.Knock(ctx, func(ctx context.Context, b []byte) ([]byte, error) {
			said = b
			return ask(ctx, b)
		})
		if err != nil || c.JWT == "" || c.Door == "" {
			t.Errorf("not let in: %v", err)
		}
		for _, again := range []int{1, 2} {
			reply, err := ask(ctx, said)
			if err != nil {
				t.Error(err)
				break
			}
			if a, err := wire.Unmarshal[wire.DoorAnswer](reply); err != nil || a.Credentials != nil || len(a.Challenge) == 0 {
				t.Errorf("replay %d: %+v, %v", again, a, err)
			}
		}
		return wire.Credentials{}, crashed
	})
	if got := p.log.count(byDoor); got != 1 {
		t.Errorf("credentials were issued %d times", got)
	}
	// The hub gave them, the device never kept them: it comes again, nothing is lost.
	if now := identityIn(t, dir); now.JWT != id.JWT {
		t.Fatal("something was stored")
	}
	p.mustContact(t, dir, nil)
	if got := p.log.count(byDoor); got != 2 {
		t.Errorf("credentials were issued %d times", got)
	}
	p.holds(t, "D-101", 4)
}

// The hub's answer to a hello held new credentials, and the device stopped
// before it stored them: the old ones still hold, and the next hello brings others.
func TestCrashBetweenReceivingAndStoring(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 3*shortLife)
	dir := p.enrol(t, "D-101", false)
	id := identityIn(t, dir)
	reach(t, id.Span().Half().Add(1100*time.Millisecond))
	l := newLink(t, id, nil)
	stop := run(t, l)
	online(t, l, 0)
	b, err := wire.Marshal(wire.Hello{Clock: time.Now().UnixMilli(), Version: "test", Holds: id.Holding()})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := l.Request(within(t), wire.HelloOn("D-101"), b)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := wire.Unmarshal[wire.Welcome](reply); err != nil || w.Credentials == nil {
		t.Fatalf("no credentials in %+v, %v", w, err)
	}
	stop()
	p.mustContact(t, dir, nil)
	if now := identityIn(t, dir); now.JWT == id.JWT {
		t.Error("the next contact did not renew")
	}
	if got := p.log.count(byHello); got != 2 {
		t.Errorf("the hub renewed %d times", got)
	}
}

// A device that was enrolled before there were doors gets one at its next
// contact, long before half of its credentials' life.
func TestOldIdentityGetsADoor(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 0)
	dir := p.enrol(t, "D-101", false)
	path := filepath.Join(dir, enrol.FileName)
	var all map[string]json.RawMessage
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	delete(all, "door")
	if b, err = json.Marshal(all); err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.mustContact(t, dir, nil)
	id := identityIn(t, dir)
	if id.Door == "" {
		t.Fatal("no door after a contact")
	}
	if life := id.Span().Expires.Sub(id.Span().Issued); life != 30*24*time.Hour {
		t.Errorf("credentials last %s", life)
	}
	t.Logf("ordinary credentials have %d bytes, the door %d", len(id.JWT), len(id.Door))
	p.mustContact(t, dir, nil)
	if now := identityIn(t, dir); now.JWT != id.JWT || p.log.count(byHello) != 1 {
		t.Error("renewed again at once")
	}
}

// Credentials that cannot be stored are not used, and the contact goes on
// without them.
func TestCredentialsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 3*shortLife)
	dir := p.enrol(t, "D-101", false)
	id := identityIn(t, dir)
	reach(t, id.Span().Half().Add(1100*time.Millisecond))
	d := p.open(t, dir, nil)
	path := filepath.Join(dir, enrol.FileName)
	if err := os.Rename(path, path+".away"); err != nil { // the folder's file is gone while the device runs
		t.Fatal(err)
	}
	put(t, d, 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if r, err := d.Contact(ctx); err != nil || r.Remaining != 0 {
		t.Errorf("contact: %+v, %v", r, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if identityIn(t, dir).JWT != id.JWT {
		t.Fatal("it was stored nowhere, and yet it is there")
	}
	p.mustContact(t, dir, nil)
	if identityIn(t, dir).JWT == id.JWT {
		t.Error("not renewed once there was room")
	}
	p.holds(t, "D-101", 2)
}

// One of the hub's addresses answers with a no, the others with silence: the no counts.
func TestANoCountsMoreThanSilence(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.enrol(t, "D-1")
	if err := h.Revoke(h.codes.keys["D-1"].NatsKey); err != nil {
		t.Fatal(err)
	}
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "tls://" + closed.Addr().String()
	_ = closed.Close()
	id.NatsURLs = append([]string{nobody}, append(h.URLs(), nobody)...)
	l := newLink(t, id, nil)
	run(t, l)
	await(t, l, "refused", func(s link.State) bool { return s.Phase == link.Refused && s.Attempts > 3 })
}
