package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/broker/nodes"
	"otor/internal/dot"
	"otor/internal/wire"
)

func TestMain(m *testing.M) {
	nodes.Main()
	os.Exit(m.Run())
}

// hubs are folders with the same keys.
func hubs(t *testing.T, n int) (dirs []string) {
	t.Helper()
	for i := range n {
		dirs = append(dirs, filepath.Join(t.TempDir(), fmt.Sprintf("hub%d", i+1)))
	}
	if _, err := broker.HubKey(dirs[0], time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs[1:] {
		if err := os.CopyFS(filepath.Join(d, "keys"), os.DirFS(filepath.Join(dirs[0], "keys"))); err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestCluster: two hubs share the streams of three servers; each message is settled
// once, also when a server ends; a device that one of them revokes is out everywhere.
func TestCluster(t *testing.T) {
	dirs := hubs(t, 2)
	servers := nodes.Cluster(t, dirs[0], 3)
	var workers []*broker.Broker
	for _, dir := range dirs {
		b, err := broker.Open(t.Context(), broker.Config{Dir: dir, MaxStore: 16 << 20, Servers: nodes.Addrs(servers), AckWait: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		workers = append(workers, b)
	}
	if got := workers[0].URLs(); len(got) != 3 || got[0] != "tls://"+servers[0].Addr {
		t.Errorf("devices are told %q", got)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	by := map[int]int{}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, b := range workers {
		wg.Go(func() {
			err := b.Consume(ctx, wire.UpStream, broker.Slice{Messages: 1}, func(_ context.Context, ds []broker.Delivery) []broker.Disposition {
				mu.Lock()
				defer mu.Unlock()
				out := make([]broker.Disposition, len(ds))
				for j, d := range ds {
					seen[string(d.Data)]++
					by[i]++
					out[j] = broker.Ack()
				}
				return out
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	// The device's own server stays; its copy of what it sent is on two others.
	d := join(t, workers[0], "D-101", "gacha:a")
	if err := workers[1].Serve(wire.HelloAny, func(_ context.Context, d dot.Device, data []byte) []byte { return append(data, d...) }); err != nil {
		t.Fatal(err)
	}
	const messages = 300
	for i := range messages {
		if i == messages/3 {
			servers[2].Kill()
		}
		if i == 2*messages/3 {
			servers[2].Start(t)
		}
		body := fmt.Appendf(nil, "message %d", i)
		eventually(t, "custody", func() bool { return d.custody(t, wire.Up(dot.Record, "D-101"), body) == nil })
	}
	eventually(t, "all messages", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == messages })
	eventually(t, "the stream to be empty", func() bool {
		states, err := workers[1].Streams(t.Context())
		return err == nil && states[1].Messages == 0
	})
	t.Logf("settled by each hub: %v", by)
	m, err := d.Request(wire.HelloOn("D-101"), []byte("hello "), 10*time.Second)
	if err != nil || string(m.Data) != "hello D-101" {
		t.Errorf("the other hub answers %v, %v", m, err)
	}
	if n := workers[0].Connections(); n < 1 {
		t.Errorf("%d devices are connected", n)
	}
	if err := workers[0].Revoke(d.pub); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.closed:
	case <-time.After(patience):
		t.Error("a revoked device is still connected")
	}
	stop()
	wg.Wait()
}

// TestServersAway: a hub whose NATS servers do not answer says so.
func TestServersAway(t *testing.T) {
	_, err := broker.Open(t.Context(), broker.Config{Dir: t.TempDir(), Servers: []string{"nats://127.0.0.1:1"}})
	if !errors.Is(err, broker.ErrAway) {
		t.Errorf("got %v, want %v", err, broker.ErrAway)
	}
	for _, bad := range []string{"", "nats://", "host:port:4222", "nats://u:p@x:1"} {
		if _, err := broker.Open(t.Context(), broker.Config{Dir: t.TempDir(), Servers: []string{bad}}); err == nil || errors.Is(err, broker.ErrAway) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
