package contact

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/hub/store"
	"otor/internal/wire"
)

// A hub that was put back to an older copy of its database learns of that from
// hellos, and a device says hello when it connects. On a NATS server of its own,
// outside the hub, connections outlive the hub. So a hub that starts calls.

// CallAgain is how long after the start, and after the call before, devices are
// called again: a call that met nobody listening is not kept anywhere. Those that
// heard one do not answer it twice.
func CallAgain() []time.Duration {
	return []time.Duration{0, time.Minute, 5 * time.Minute, 30 * time.Minute}
}

// hellosASecond is how many hellos calls may bring a second.
const hellosASecond = 50

// Call asks every device that is connected to say hello. run names this run of
// the hub. publish says something to whoever listens; its errors are joined, and
// the others are called all the same.
func Call(ctx context.Context, devices func(context.Context) ([]store.Device, error), run uint64, publish func(subject string, b []byte) error) error {
	all, err := devices(ctx)
	if err != nil {
		return fmt.Errorf("call the devices: %w", err)
	}
	within := min(uint32(len(all)/hellosASecond), wire.MaxWithin) //nolint:gosec // a number of devices
	b, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{}, Call: &wire.Call{Run: run, Within: within}})
	if err != nil {
		return fmt.Errorf("call the devices: %w", err)
	}
	var errs []error
	for _, d := range all {
		if d.EnrolledAt == 0 || d.RevokedAt != 0 {
			continue
		}
		if err := publish(wire.ReceiptFor(d.ID), b); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
