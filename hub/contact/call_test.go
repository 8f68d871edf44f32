package contact_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"otor/hub/contact"
	"otor/hub/store"
	"otor/internal/wire"
)

// exchange is who may be called, and what was said to whom.
type exchange struct {
	devices []store.Device
	lost    error            // why nobody can be listed
	deaf    map[string]error // who is not reached
	rounds  uint64
	heard   map[string][]wire.ReceiptNews
	failed  []error
	start   time.Time
	at      []time.Duration // when anybody was called
}

func (o *exchange) caller() *contact.Caller {
	o.heard, o.start = make(map[string][]wire.ReceiptNews), time.Now()
	return contact.NewCaller(
		func(context.Context) ([]store.Device, error) { return o.devices, o.lost },
		func(subject string, b []byte) error {
			n, err := wire.Unmarshal[wire.ReceiptNews](b)
			o.at = append(o.at, time.Since(o.start))
			o.heard[subject] = append(o.heard[subject], n)
			return errors.Join(err, o.deaf[subject])
		},
		func() uint64 { o.rounds++; return o.rounds },
		func(err error) { o.failed = append(o.failed, err) })
}

// during runs the caller for a while, with what is done meanwhile.
func (o *exchange) during(t *testing.T, most time.Duration, do func(c *contact.Caller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		c := o.caller()
		go c.Run(ctx)
		do(c)
		<-ctx.Done()
		synctest.Wait()
	})
}

func TestCallReachesWhoMayAnswer(t *testing.T) {
	o := exchange{devices: []store.Device{{ID: "D-101", EnrolledAt: 1}, {ID: "D-102"}, {ID: "D-103", EnrolledAt: 1, RevokedAt: 2}, {ID: "D-104", EnrolledAt: 1}}}
	for range 200 {
		o.devices = append(o.devices, store.Device{ID: "D-105"})
	}
	deaf := errors.New("nobody there")
	o.deaf = map[string]error{wire.ReceiptFor("D-101"): deaf}
	o.during(t, time.Second, func(*contact.Caller) {})
	if len(o.failed) != 1 || !errors.Is(o.failed[0], deaf) || len(o.heard) != 2 {
		t.Fatalf("%v; heard by %v", o.failed, o.heard)
	}
	heard := o.heard[wire.ReceiptFor("D-104")]
	if len(heard) != 1 || heard[0].Call == nil || *heard[0].Call != (wire.Call{Round: 1, Within: 4}) || len(heard[0].Receipts) != 0 {
		t.Errorf("%+v", heard)
	}
}

func TestCallThatCannotListTellsSo(t *testing.T) {
	o := exchange{lost: errors.New("no database")}
	o.during(t, 2*time.Minute, func(*contact.Caller) {})
	if len(o.failed) != 2 || !errors.Is(o.failed[0], o.lost) {
		t.Errorf("%v", o.failed)
	}
}

// TestCallsBeginAnew asks that all are called anew when an epoch begins, also long
// after the hub started; that nobody is called for ever; and that a device which makes
// epochs begin without end makes one round a minute.
func TestCallsBeginAnew(t *testing.T) {
	o := exchange{devices: []store.Device{{ID: "D-101", EnrolledAt: 1}}}
	o.during(t, 24*time.Hour, func(c *contact.Caller) {
		time.Sleep(2 * time.Minute) // within the first round
		c.Again()
		time.Sleep(6 * time.Hour)
		for range 200 {
			c.Again()
			time.Sleep(time.Second)
		}
	})
	at := func(ms ...time.Duration) (out []time.Duration) {
		for _, m := range ms {
			out = append(out, m*time.Minute)
		}
		return out
	}
	if want := at(0, 1, 2, 3, 8, 38, 362, 363, 364, 365, 366, 367, 372, 402); !slices.Equal(o.at, want) {
		t.Errorf("called at %v, want %v", o.at, want)
	}
	var rounds []uint64
	for _, n := range o.heard[wire.ReceiptFor("D-101")] {
		rounds = append(rounds, n.Call.Round)
	}
	if want := []uint64{1, 1, 2, 2, 2, 2, 3}; !slices.Equal(rounds[:len(want)], want) || rounds[len(rounds)-4] != o.rounds || rounds[len(rounds)-1] != o.rounds {
		t.Errorf("rounds %v of %d", rounds, o.rounds)
	}
}

// TestEpochBeforeAnybodyListens asks that an epoch which begins while the hub starts
// makes no round of its own.
func TestEpochBeforeAnybodyListens(t *testing.T) {
	o := exchange{devices: []store.Device{{ID: "D-101", EnrolledAt: 1}}}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		c := o.caller()
		c.Again()
		c.Run(ctx)
	})
	if n := len(o.heard[wire.ReceiptFor("D-101")]); n != len(contact.CallAgain()) || o.rounds != 1 {
		t.Errorf("%d calls of %d rounds", n, o.rounds)
	}
}
