package device

import (
	"context"
	"fmt"
	"time"

	"otor/agent/store"
	"otor/agent/web"
)

// watchStore passes the store's changes on, and ends the program when the
// store can no longer persist.
func (d *Device) watchStore(ctx context.Context) error {
	changed, stop := d.store.Watch()
	defer stop()
	state, stopState := d.link.Changes()
	defer stopState()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			d.uplink.Wake()
			d.sender.Wake()
		case <-state:
		}
		d.bell.Ring()
		if err := d.store.Err(); err != nil {
			return err
		}
	}
}

// settling is how long a start has the processor for its first page. What waits for the
// hub was checked before.
const settling = 300 * time.Millisecond

// verifies checks the whole store once, in the background, and again when
// somebody asks for it.
func (d *Device) verifies(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(settling):
	}
	for {
		if err := d.verify(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.recheck:
			d.mu.Lock()
			d.check = web.Check{}
			d.mu.Unlock()
		}
	}
}

// verify checks the whole store.
func (d *Device) verify(ctx context.Context) error {
	_, err := d.store.Verify(ctx, store.All, func(done, total uint64) {
		d.mu.Lock()
		d.check.Done, d.check.Total = done, total
		d.mu.Unlock()
		d.bell.Ring()
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check the store: %w", err)
	}
	d.mu.Lock()
	d.check.Complete = true
	d.mu.Unlock()
	d.bell.Ring()
	return nil
}
