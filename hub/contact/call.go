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
// outside the hub, connections outlive the hub. So a hub that starts calls. It also
// calls when an epoch begins under it: who is connected, and has nothing to send, has
// said its hello to the epoch before, and may hold what the hub lacks.

// CallAgain is how long after the start, and after the call before, devices are
// called again: a call that met nobody listening is not kept anywhere. Those that
// heard one do not answer it twice.
func CallAgain() []time.Duration {
	return []time.Duration{0, time.Minute, 5 * time.Minute, 30 * time.Minute}
}

// leastRound is the least time from one round to the next, however often epochs begin.
// The one that begins after the start of a hub that was put back does not wait.
const leastRound = time.Minute

// hellosASecond is how many hellos calls may bring a second.
const hellosASecond = 50

// Caller asks the devices that are connected to say hello.
type Caller struct {
	devices func(context.Context) ([]store.Device, error)
	publish func(subject string, b []byte) error
	name    func() uint64
	failed  func(error)
	begun   chan struct{}
}

// NewCaller returns a Caller: devices lists all there are, publish says something to
// whoever listens, name gives each round of calls a name of its own, which is not 0,
// and failed is told of calls that did not reach everybody.
func NewCaller(devices func(context.Context) ([]store.Device, error), publish func(subject string, b []byte) error, name func() uint64, failed func(error)) *Caller {
	return &Caller{devices: devices, publish: publish, name: name, failed: failed, begun: make(chan struct{}, 1)}
}

// Again begins a new round of calls. It does not block.
func (c *Caller) Again() {
	select {
	case c.begun <- struct{}{}:
	default: // one is about to begin
	}
}

// Run calls until ctx ends: a round at once, and one after each [Caller.Again], at most
// one a minute. A later round takes the place of the one before.
func (c *Caller) Run(ctx context.Context) {
	select {
	case <-c.begun: // before anybody could be called
	default:
	}
	round, pauses := c.name(), CallAgain()
	var again bool
	var begun time.Time // when the first call of the latest round was; that of the start does not count
	for {
		var next <-chan time.Time
		if len(pauses) > 0 {
			next = time.After(pauses[0])
		}
		select {
		case <-ctx.Done():
			return
		case <-c.begun:
			round, pauses, again = c.name(), CallAgain(), true
			pauses[0] = max(time.Until(begun.Add(leastRound)), 0)
			continue
		case <-next:
			if again && len(pauses) == len(CallAgain()) {
				begun = time.Now()
			}
			pauses = pauses[1:]
		}
		if err := c.call(ctx, round); err != nil && ctx.Err() == nil {
			c.failed(err)
		}
	}
}

// call asks once. Errors of those that it does not reach are joined, and the others
// are called all the same.
func (c *Caller) call(ctx context.Context, round uint64) error {
	all, err := c.devices(ctx)
	if err != nil {
		return fmt.Errorf("call the devices: %w", err)
	}
	within := min(uint32(len(all)/hellosASecond), wire.MaxWithin) //nolint:gosec // a number of devices
	b, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{}, Call: &wire.Call{Round: round, Within: within}})
	if err != nil {
		return fmt.Errorf("call the devices: %w", err)
	}
	var errs []error
	for _, d := range all {
		if d.EnrolledAt == 0 || d.RevokedAt != 0 {
			continue
		}
		if err := c.publish(wire.ReceiptFor(d.ID), b); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
