package chaos

import (
	"context"

	"otor/agent/device"
	"otor/internal/dot"
	"otor/internal/lane"
)

func run(first, last dot.Seq) lane.Range { return lane.Run(first, last) }

// client is a device's folder that this process has open, with its link up: what
// it sends is the trial's choice.
type client struct {
	device *device.Device
	close  func()
}

func (t *T) client(dir string) *client {
	t.Helper()
	d, err := t.Site.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Link().Run(ctx) }()
	closed := false
	c := &client{device: d, close: func() {
		if closed {
			return
		}
		closed = true
		cancel()
		<-done
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}}
	t.Cleanup(c.close)
	if _, err := d.Link().Online(ctx, 0); err != nil {
		t.Fatal(err)
	}
	return c
}
