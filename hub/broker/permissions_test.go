package broker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"otor/hub/broker"
	"otor/internal/dot"
	"otor/internal/wire"
)

// settle waits until the server has dealt with all that the device said.
func (d *device) settle(t *testing.T) {
	t.Helper()
	if err := d.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
}

// wasDenied reports whether the server refused the last thing said.
func (d *device) wasDenied(t *testing.T, subject string) bool {
	t.Helper()
	d.settle(t)
	select {
	case err := <-d.denied:
		return strings.Contains(err.Error(), subject)
	case <-time.After(patience / 3): // the handler runs apart from the flush
		return false
	}
}

func TestPermissions(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	d := join(t, b, "D-1", "gacha-12", "route:west")

	for _, subject := range []string{
		wire.Up(dot.Alert, "D-2"), wire.Up(dot.Record, "D-2"), wire.Up(dot.Record, "D-1") + ".x", "otor.1.up.other.D-1",
		wire.HelloOn("D-2"), wire.PullOn("D-2"), wire.RefillOn("D-2"), wire.BlobOn("D-2"), wire.Relay("D-2"),
		wire.ReceiptFor("D-1"), wire.ReceiptFor("D-2"), wire.News("gacha-12"), "otor.2.hello.D-1",
		"$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.OTOR_UP", "$JS.API.STREAM.CREATE.X",
		"$JS.API.STREAM.PURGE.OTOR_UP", "$JS.API.STREAM.DELETE.OTOR_UP", "$JS.API.STREAM.MSG.GET.OTOR_UP",
		"$JS.API.CONSUMER.CREATE.OTOR_UP", "$JS.API.CONSUMER.MSG.NEXT.OTOR_UP.workers",
		"$JS.API.DIRECT.GET.OTOR_UP", "$JS.ACK.OTOR_UP.workers.1.1.1.1.1", "$JS.FC.OTOR_UP.x",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.USER.INFO", "_INBOX.D-2.x", "_INBOX.D-1.x", "_R_.x", "free.subject",
	} {
		if err := d.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if !d.wasDenied(t, subject) {
			t.Errorf("publish on %s is not denied", subject)
		}
	}
	for _, subject := range []string{
		">", "otor.>", "otor.1.>", "*.*.*.*", "_INBOX.>", "_INBOX.*.x", "_INBOX.D-2.>",
		wire.ReceiptFor("D-2"), "otor.1.receipt.*", wire.News("gacha-13"), "otor.1.news.*", "otor.1.news.>",
		wire.Up(dot.Record, "D-1"), "otor.1.up.>", wire.HelloAny, wire.PullAny, wire.RefillAny, wire.Relay("D-1"),
		"$JS.>", "$JS.API.>", "$JS.EVENT.>", "$SYS.>", "$KV.>", "_R_.>",
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
	// What is allowed works.
	for _, subject := range []string{wire.Up(dot.Alert, "D-1"), wire.Up(dot.Record, "D-1"), wire.Relay("D-1")} {
		if err := d.custody(t, subject, []byte("frame")); err != nil {
			t.Errorf("publish on %s: %v", subject, err)
		}
	}
	for _, subject := range []string{wire.ReceiptFor("D-1"), wire.News("gacha-12"), wire.News("route:west")} {
		sub, err := d.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		d.settle(t)
		if err := b.Publish(subject, []byte("word")); err != nil {
			t.Fatal(err)
		}
		if m, err := sub.NextMsg(patience); err != nil || string(m.Data) != "word" {
			t.Errorf("hear %s: %v", subject, err)
		}
	}
	if len(d.denied) > 0 {
		t.Errorf("denied: %v", <-d.denied)
	}
}

func TestServeAnswersOnlyTheDeviceItself(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	asked := make(chan dot.Device, 16)
	err := b.Serve(wire.HelloAny, func(_ context.Context, d dot.Device, data []byte) []byte {
		asked <- d
		if string(data) == "silence" {
			return nil
		}
		return append([]byte("hello "+string(d)+" "), data...)
	})
	if err != nil {
		t.Fatal(err)
	}
	d1, d2 := join(t, b, "D-1"), join(t, b, "D-2")
	m, err := d1.Request(wire.HelloOn("D-1"), []byte("there"), patience)
	if err != nil || string(m.Data) != "hello D-1 there" {
		t.Fatalf("got %v, %v", m, err)
	}
	<-asked
	inbox, err := d2.SubscribeSync(wire.InboxPrefix("D-2") + ".>")
	if err != nil {
		t.Fatal(err)
	}
	receipts, err := d2.SubscribeSync(wire.ReceiptFor("D-2"))
	if err != nil {
		t.Fatal(err)
	}
	d2.settle(t)
	for _, reply := range []string{
		"_INBOX.D-2.x", wire.ReceiptFor("D-2"), "_INBOX.D-1", wire.HelloOn("D-2"), wire.Up(dot.Record, "D-2"),
		"$JS.API.STREAM.PURGE.OTOR_UP",
	} {
		if err := d1.PublishRequest(wire.HelloOn("D-1"), reply, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := d1.Publish(wire.HelloOn("D-1"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	// Long, then silent, then in order again: all above has been dealt with by then.
	if err := d1.PublishRequest(wire.HelloOn("D-1"), "_INBOX.D-1.long", make([]byte, wire.MaxMessage+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := d1.Request(wire.HelloOn("D-1"), []byte("last"), patience); err != nil {
		t.Fatal(err)
	}
	if d := <-asked; d != "D-1" || len(asked) != 0 {
		t.Errorf("the handler was asked %d more times than it should", len(asked)+1)
	}
	d2.settle(t)
	for _, sub := range []*nats.Subscription{inbox, receipts} {
		if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
			t.Errorf("D-2 was answered what D-1 asked: %s %q", m.Subject, m.Data)
		}
	}
}

// A device whose requests never end takes two places at work and four that wait; what is
// beyond is dropped, and others are answered all the same.
func TestServeKeepsNobodyWaitingForOneDevice(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	release := make(chan struct{})
	var mu sync.Mutex
	busy, most, begun := 0, 0, 0
	err := b.Serve(wire.HelloAny, func(ctx context.Context, d dot.Device, _ []byte) []byte {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the work of a request has no end")
		}
		if d == "D-1" {
			mu.Lock()
			busy, begun = busy+1, begun+1
			most = max(most, busy)
			mu.Unlock()
			<-release
			mu.Lock()
			busy--
			mu.Unlock()
		}
		return []byte("hello " + d)
	})
	if err != nil {
		t.Fatal(err)
	}
	d1, d2 := join(t, b, "D-1"), join(t, b, "D-2")
	answers, err := d1.SubscribeSync("_INBOX.D-1.x")
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if err := d1.PublishRequest(wire.HelloOn("D-1"), "_INBOX.D-1.x", nil); err != nil {
			t.Fatal(err)
		}
	}
	d1.settle(t)
	if m, err := d2.Request(wire.HelloOn("D-2"), nil, patience); err != nil || string(m.Data) != "hello D-2" {
		t.Errorf("another device meanwhile: %v, %v", m, err)
	}
	close(release)
	for i := range 6 {
		if _, err := answers.NextMsg(patience); err != nil {
			t.Fatalf("answer %d: %v", i+1, err)
		}
	}
	if _, err := d1.Request(wire.HelloOn("D-1"), nil, patience); err != nil {
		t.Errorf("once it asks again: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 2 || begun != 7 {
		t.Errorf("%d of its requests at once, %d in all; want 2 and 7", most, begun)
	}
}

// A batch whose reply subject is somebody else's makes JetStream publish there.
// It must not reach the streams' own controls, which it would with the streams
// in the devices' account.
func TestAcknowledgementsCannotBeAimed(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	d := join(t, b, "D-1")
	up := wire.Up(dot.Record, "D-1")
	want := 0
	for _, reply := range []string{
		"$JS.API.STREAM.PURGE.OTOR_UP", "$JS.API.STREAM.DELETE.OTOR_UP", "$JS.API.STREAM.MSG.DELETE.OTOR_UP",
		"$JS.API.CONSUMER.DELETE.OTOR_UP.workers", "$JS.API.CONSUMER.RESET.OTOR_UP.workers", "$JS.API.CONSUMER.PAUSE.OTOR_UP.workers",
		"$SYS.REQ.CLAIMS.UPDATE",
	} {
		if err := d.PublishRequest(up, reply, []byte("frame")); err != nil {
			t.Fatal(err)
		}
		if err := d.custody(t, up, []byte("frame")); err != nil {
			t.Fatal(err)
		}
		want += 2
	}
	// Nor may it become a message in another device's name.
	if err := d.PublishRequest(up, wire.Up(dot.Record, "D-2"), []byte("frame")); err != nil {
		t.Fatal(err)
	}
	if err := d.custody(t, up, []byte("last")); err != nil {
		t.Fatal(err)
	}
	want += 2
	s := newSink()
	consume(t, b, wire.UpStream, broker.Slice{}, s.acker)
	for _, x := range s.await(t, want) {
		if x.Subject != up {
			t.Errorf("D-1's batch made a message on %s: %q", x.Subject, x.Data)
		}
	}
}
