package server_test

import (
	"testing"
	"time"

	"otor/internal/receipt"
	"otor/internal/wire"
)

// TestWhoStaysConnectedHearsOfANewEpoch asks that a device which has all, sends nothing
// and stays connected is asked to say hello when what another one says begins an epoch.
func TestWhoStaysConnectedHearsOfANewEpoch(t *testing.T) {
	s, dir := open(t)
	admit(t, s, "D-1", false)
	admit(t, s, "D-2", false)
	calls := make(chan wire.Call, 64)
	s.CallBy(func(subject string, b []byte) error {
		n, err := wire.Unmarshal[wire.ReceiptNews](b)
		if err == nil && subject == wire.ReceiptFor("D-1") {
			calls <- *n.Call
		}
		return err
	})
	running(t, s)
	first := nextCall(t, calls)
	f := &fleet{Server: s, dir: dir}
	now := f.epoch(t)
	lost, _ := now.Child(receipt.Epoch{7}, now.Minted+1, receipt.EpochCertificate{})
	if child := f.says(t, "D-2", f.shown(t, lost)); child.Lineage <= lost.Lineage {
		t.Fatalf("no epoch began: %+v", child)
	}
	if again := nextCall(t, calls); again.Round == first.Round {
		t.Error("called for the start of the hub alone")
	}
}

// nextCall waits for a call.
func nextCall(t *testing.T, calls <-chan wire.Call) wire.Call {
	t.Helper()
	select {
	case c := <-calls:
		return c
	case <-time.After(50 * time.Second): // before the start of the hub is told again
		t.Fatal("nobody is called")
		return wire.Call{}
	}
}
