package server_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"otor/internal/receipt"
	"otor/internal/wire"
)

// TestWhoStaysConnectedHearsOfANewEpoch asks that a device which has all, sends nothing
// and stays connected is asked to say hello when what another one says begins an epoch.
func TestWhoStaysConnectedHearsOfANewEpoch(t *testing.T) {
	s, dir := open(t)
	admit(t, s, "D-2", false)
	quiet := admitted(t, s, "D-1", false)
	pub, err := quiet.PublicKey()
	check(t, err)
	creds, err := s.Issue("D-1", pub)
	check(t, err)
	conn, err := nats.Connect(s.NatsURLs()[0], nats.Secure(&tls.Config{InsecureSkipVerify: true}), //nolint:gosec // loopback
		nats.UserJWT(func() (string, error) { return creds.JWT, nil }, quiet.Sign), nats.CustomInboxPrefix(wire.InboxPrefix("D-1")))
	check(t, err)
	defer conn.Close()
	calls, err := conn.SubscribeSync(wire.ReceiptFor("D-1"))
	check(t, err)
	check(t, conn.Flush())

	running(t, s)
	first := nextCall(t, calls)
	f := &fleet{Server: s, dir: dir}
	now := f.epoch(t)
	lost, _ := now.Child(receipt.Epoch{7}, now.Minted+1, receipt.EpochCertificate{})
	if child := f.says(t, "D-2", f.shown(t, lost)); child.Lineage <= lost.Lineage {
		t.Fatalf("no epoch began: %+v", child)
	}
	if again := nextCall(t, calls); again.Round == first.Round {
		t.Errorf("called once more for the start of the hub: %+v", again)
	}
}

// nextCall waits for a call.
func nextCall(t *testing.T, calls *nats.Subscription) wire.Call {
	t.Helper()
	m, err := calls.NextMsg(50 * time.Second) // before the start of the hub is told again
	check(t, err)
	n, err := wire.Unmarshal[wire.ReceiptNews](m.Data)
	check(t, err)
	if n.Call == nil {
		t.Fatalf("no call: %+v", n)
	}
	return *n.Call
}
