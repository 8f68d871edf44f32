package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/internal/dot"
	"otor/internal/wire"
)

func TestStreamsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, "127.0.0.1:0")
	d := join(t, b, "D-1")
	const n = 20
	for i := range n {
		if err := d.custody(t, wire.Up(dot.Record, "D-1"), fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	// Settle the first five only; the others were fetched as well.
	var handled atomic.Int32
	five := make(chan struct{})
	stop := consume(t, b, wire.UpStream, broker.Slice{Messages: 1}, func(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
		if handled.Add(int32(len(ds))) > 5 {
			<-ctx.Done()
			return nil
		}
		out := make([]broker.Disposition, len(ds))
		for i := range out {
			out[i] = broker.Ack()
		}
		if handled.Load() == 5 {
			close(five)
		}
		return out
	})
	select {
	case <-five:
	case <-time.After(patience):
		t.Fatal("nothing was delivered")
	}
	stop()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir, "127.0.0.1:0")
	s := newSink()
	consume(t, b, wire.UpStream, broker.Slice{}, s.acker)
	got := map[string]bool{}
	for _, x := range s.await(t, n-5) {
		got[string(x.Data)] = true
		if x.Delivered < 1 || x.Delivered > 3 {
			t.Errorf("%s: delivered %d times", x.Data, x.Delivered)
		}
	}
	for i := 5; i < n; i++ {
		if !got[fmt.Sprint(i)] {
			t.Errorf("message %d is gone", i)
		}
	}
}

// TestADamagedBufferSaysSo: streams that the server does not take up again are named
// as what they are, and without them the hub goes on.
func TestADamagedBufferSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir, "127.0.0.1:0").Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "stream", "jetstream", "*", "streams", wire.UpStream, "obs", "*", "meta.inf"))
	if err != nil || len(files) != 1 {
		t.Fatalf("consumers: %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(b, []byte(`"max_`), []byte(`"maxx`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Open(t.Context(), broker.Config{Dir: dir, Listen: "127.0.0.1:0", MaxStore: 16 << 20}); !errors.Is(err, broker.ErrBuffer) {
		t.Fatalf("got %v, want %v", err, broker.ErrBuffer)
	}
	if err := os.Rename(filepath.Join(dir, "stream"), filepath.Join(dir, "stream.away")); err != nil {
		t.Fatal(err)
	}
	open(t, dir, "127.0.0.1:0")
}

func TestDispositions(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	d := join(t, b, "D-1")
	for _, x := range []string{"ack", "nak", "term", "short"} {
		if err := d.custody(t, wire.Up(dot.Record, "D-1"), []byte(x)); err != nil {
			t.Fatal(err)
		}
	}
	s := newSink()
	consume(t, b, wire.UpStream, broker.Slice{Messages: 1}, func(_ context.Context, ds []broker.Delivery) []broker.Disposition {
		defer s.add(ds...)
		switch x := ds[0]; {
		case string(x.Data) == "term":
			return []broker.Disposition{broker.Term()}
		case string(x.Data) == "nak" && x.Delivered < 3:
			return []broker.Disposition{broker.Nak(0)}
		case string(x.Data) == "short" && x.Delivered < 2:
			return nil
		}
		return []broker.Disposition{broker.Ack()}
	})
	count := map[string]int{}
	for _, x := range s.await(t, 7) {
		count[string(x.Data)]++
		if x.Delivered != count[string(x.Data)] {
			t.Errorf("%s: delivery %d says %d", x.Data, count[string(x.Data)], x.Delivered)
		}
	}
	if count["ack"] != 1 || count["term"] != 1 || count["nak"] != 3 || count["short"] != 2 {
		t.Errorf("deliveries: %v", count)
	}
}

func TestSlicesAreBoundedAndInOrder(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	d := join(t, b, "D-1")
	const n = 40
	for i := range n {
		if err := d.custody(t, wire.Up(dot.Record, "D-1"), bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	s := newSink()
	var largest atomic.Int32
	consume(t, b, wire.UpStream, broker.Slice{Messages: 30, Bytes: 3500}, func(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
		largest.Store(max(largest.Load(), int32(len(ds))))
		return s.acker(ctx, ds)
	})
	for i, x := range s.await(t, n) {
		if x.Data[0] != byte(i) {
			t.Fatalf("message %d came in place %d", x.Data[0], i)
		}
	}
	if l := largest.Load(); l > 3 {
		t.Errorf("a slice had %d messages of 1000 bytes, the bound is 3500 bytes", l)
	}
}

func TestAlertsGoFirst(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	d := join(t, b, "D-1")
	for range 20 {
		if err := d.custody(t, wire.Up(dot.Record, "D-1"), []byte("record")); err != nil {
			t.Fatal(err)
		}
	}
	s := newSink()
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	consume(t, b, wire.UpStream, broker.Slice{Messages: 1}, func(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
		select {
		case held <- struct{}{}:
		default:
		}
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return s.acker(ctx, ds)
	})
	<-held // a record is being handled, the others are at hand
	inAlert, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	consume(t, b, wire.AlertStream, broker.Slice{Messages: 1}, func(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
		if first.CompareAndSwap(false, true) {
			close(inAlert)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return s.acker(ctx, ds)
	})
	for range 5 {
		if err := d.custody(t, wire.Up(dot.Alert, "D-1"), []byte("alert")); err != nil {
			t.Fatal(err)
		}
	}
	<-inAlert
	for b.AlertsAtHand() < 5 { // the stream has all of them; the worker fetches them a moment later
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the alerts were not fetched")
		}
	}
	close(hold)
	s.await(t, 1) // the record that was in hand
	close(release)
	got := s.await(t, 25)
	for i, x := range got[1:6] {
		if string(x.Data) != "alert" {
			t.Errorf("place %d: %s, want an alert", i+1, x.Data)
		}
	}
}

// A handler that waits for its database keeps its messages, and no attempt is counted.
func TestWaitingIsNoAttempt(t *testing.T) {
	const ackWait = 2 * time.Second
	b, err := broker.Open(t.Context(), broker.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", MaxStore: 16 << 20, AckWait: ackWait})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	d := join(t, b, "D-1")
	for _, x := range []string{"a", "b", "c"} {
		if err := d.custody(t, wire.Up(dot.Record, "D-1"), []byte(x)); err != nil {
			t.Fatal(err)
		}
	}
	s := newSink()
	var once atomic.Bool
	consume(t, b, wire.UpStream, broker.Slice{Messages: 1}, func(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
		if once.CompareAndSwap(false, true) {
			select {
			case <-time.After(3 * ackWait):
			case <-ctx.Done():
			}
		}
		return s.acker(ctx, ds)
	})
	for _, x := range s.await(t, 3) {
		if x.Delivered != 1 {
			t.Errorf("%s: delivered %d times", x.Data, x.Delivered)
		}
	}
}

func TestAFullStreamSaysSo(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	frame := make([]byte, 128<<10)
	var err error
	sent := 0
	for dev := 0; dev < 40 && err == nil; dev++ {
		name := dot.Device(fmt.Sprintf("D-%d", dev))
		d := join(t, b, name)
		for i := 0; i < 10 && err == nil; i++ {
			if err = d.custody(t, wire.Up(dot.Record, name), frame); err == nil {
				sent++
			}
		}
	}
	if err == nil || !strings.Contains(err.Error(), "maximum bytes exceeded") {
		t.Fatalf("after %d frames: %v", sent, err)
	}
	// The alerts' part is theirs.
	d := join(t, b, "D-99")
	if err := d.custody(t, wire.Up(dot.Alert, "D-99"), []byte("sos")); err != nil {
		t.Errorf("alert while the record stream is full: %v", err)
	}
	// Room comes back when workers catch up.
	s := newSink()
	consume(t, b, wire.UpStream, broker.Slice{}, s.acker)
	s.await(t, sent)
	deadline := time.Now().Add(patience)
	for err = d.custody(t, wire.Up(dot.Record, "D-99"), frame); err != nil; err = d.custody(t, wire.Up(dot.Record, "D-99"), frame) {
		if time.Now().After(deadline) {
			t.Fatalf("the stream stays full: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOneDeviceCannotFillTheStream(t *testing.T) {
	b := open(t, t.TempDir(), "127.0.0.1:0")
	flood, other := join(t, b, "D-1"), join(t, b, "D-2")
	var err error
	n := 0
	for ; n < 3000 && err == nil; n++ {
		err = flood.custody(t, wire.Up(dot.Record, "D-1"), []byte("x"))
	}
	if err == nil || !strings.Contains(err.Error(), "per subject") {
		t.Fatalf("after %d messages: %v", n, err)
	}
	if err := other.custody(t, wire.Up(dot.Record, "D-2"), []byte("x")); err != nil {
		t.Errorf("the other device: %v", err)
	}
}
