package uplink_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"otor/agent/uplink"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

func epoch(id byte, lineage uint32) receipt.EpochCertificate {
	return receipt.EpochCertificate{Epoch: receipt.Epoch{id}, Lineage: lineage}
}

func signed(t *testing.T, c receipt.EpochCertificate) []byte {
	t.Helper()
	b, err := c.Sign(hubKey)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestANewEpochIsEntered: what a hub that was put back lacks is sent again.
func TestANewEpochIsEntered(t *testing.T) {
	box := newOutbox()
	box.capture(records, 9, 50)
	h := newHub(t, box)
	newUplink(box, h, nil)
	drain(t, h)
	h.mu.Lock()
	h.received[records] = lane.NewSet(lane.Run(1, 4))
	h.epoch = epoch(2, 1)
	h.mu.Unlock()
	r := drain(t, h)
	if r.Sent != 5 || !h.has(records, 9) {
		t.Errorf("%+v; the hub has %v", r, h.received)
	}
	said, proved := h.heard[len(h.heard)-2], h.heard[len(h.heard)-1]
	for _, got := range []wire.Hello{said, proved} {
		if got.Epoch[0] != 1 || got.Lanes[0].Received != 9 || got.Shown != nil {
			t.Errorf("a hello before: %+v", got)
		}
	}
	// Words first; the hub's own receipt once its answer lacks what that was for.
	if len(said.Proofs) != 0 || len(proved.Proofs) != 1 {
		t.Fatalf("brought %d receipts, then %d", len(said.Proofs), len(proved.Proofs))
	}
	if p, err := receipt.Open(proved.Proofs[0], hubKey.Public()); err != nil || p.Epoch != (receipt.Epoch{1}) || p.Chain != records || p.Through != 9 {
		t.Errorf("brought %+v, %v", p, err)
	}
	if got := box.Chains()[0].Epoch; got != (receipt.Epoch{2}) {
		t.Errorf("the chain goes by %s", got)
	}
}

// TestNothingIsProvedOfWhatIsThere: a new epoch costs a device one hello where the hub
// has all that it gave receipts for. A hub that has less in the same epoch is told.
func TestNothingIsProvedOfWhatIsThere(t *testing.T) {
	box := newOutbox()
	box.capture(records, 9, 50)
	h := newHub(t, box)
	newUplink(box, h, nil)
	drain(t, h)
	h.epoch, h.hellos = epoch(2, 1), 0
	if drain(t, h); h.hellos != 1 {
		t.Errorf("%d hellos about a new epoch", h.hellos)
	}
	h.received[records], h.hellos = lane.NewSet(lane.Run(1, 4)), 0
	h.onHello = func(said wire.Hello) {
		if len(said.Proofs) > 0 {
			h.epoch = epoch(3, 2)
		}
	}
	if r := drain(t, h); h.hellos != 2 || r.Sent != 5 || !h.has(records, 9) {
		t.Errorf("%d hellos, %+v; the hub has %v", h.hellos, r, h.received)
	}
}

// TestReceiptsOfAnotherEpochClaimNothing: a device that stopped between two
// stores must not say of the new epoch what only the old one confirmed.
func TestReceiptsOfAnotherEpochClaimNothing(t *testing.T) {
	box := newOutbox()
	box.capture(records, 3, 50)
	h := newHub(t, box)
	newUplink(box, h, nil)
	drain(t, h)
	box.epoch.Store(signed(t, epoch(2, 1)))
	h.epoch = epoch(2, 1)
	drain(t, h)
	if got := h.heard[len(h.heard)-1]; got.Epoch[0] != 2 || got.Lanes[0].Received != 0 {
		t.Errorf("the hello: %+v", got)
	}
}

// TestAHubFromBeforeIsShownTheEpoch: and when it takes notice all goes on.
func TestAHubFromBeforeIsShownTheEpoch(t *testing.T) {
	for _, takesNotice := range []bool{true, false} {
		box := newOutbox()
		box.capture(records, 3, 50)
		h := newHub(t, box)
		newer := signed(t, epoch(7, 5))
		box.epoch.Store(newer)
		h.epoch = epoch(1, 5)
		h.onHello = func(said wire.Hello) {
			if said.Shown != nil && takesNotice {
				h.epoch = epoch(8, 6)
			}
		}
		r, err := newUplink(box, h, nil).Session(t.Context(), true)
		if h.hellos != 2 || h.heard[0].Shown != nil || string(h.heard[1].Shown) != string(newer) {
			t.Errorf("%d hellos: %+v", h.hellos, h.heard)
		}
		if takesNotice && (err != nil || r.Remaining != 0) {
			t.Errorf("%+v, %v", r, err)
		}
		if !takesNotice && (!errors.Is(err, uplink.ErrBehind) || r.Sent != 0 || box.epoch.Load().([]byte)[0] != newer[0]) {
			t.Errorf("a hub that takes no notice: %+v, %v", r, err)
		}
	}
}

// TestNewsOfAnotherEpoch: it is not settled, and asked about once.
func TestNewsOfAnotherEpoch(t *testing.T) {
	box := newOutbox()
	box.capture(records, 6, 50)
	h := newHub(t, box)
	newUplink(box, h, func(cfg *uplink.Config) { cfg.MaxEntries = 1 })
	h.fate = func(n int, _ batch.Header) fate {
		if n == 2 { // the hub has been put back meanwhile
			h.epoch, h.received[records] = epoch(2, 1), nil
		}
		return fate{}
	}
	r := drain(t, h)
	if r.Remaining != 0 || !h.has(records, 6) || h.hellos > 3 {
		t.Errorf("%+v after %d hellos; the hub has %v", r, h.hellos, h.received)
	}
}

// TestLateReceiptsAreForgotten: what an earlier connection brought may be from
// before the hub was put back.
func TestLateReceiptsAreForgotten(t *testing.T) {
	box := newOutbox()
	box.capture(records, 5, 50)
	h := newHub(t, box)
	u := newUplink(box, h, nil)
	late, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{func() []byte {
		h.received[records] = lane.NewSet(lane.Run(1, dot.Seq(5)))
		return h.receiptOf(records)
	}()}})
	if err != nil {
		t.Fatal(err)
	}
	h.received[records] = nil
	u.TakeReceipts(late)
	if r := drain(t, h); r.Sent != 5 || !h.has(records, 5) {
		t.Errorf("%+v; the hub has %v", r, h.received)
	}
}

// TestACallBringsAHello: a session answers each run of the hub once.
func TestACallBringsAHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		box := newOutbox()
		h := newHub(t, box)
		u := newUplink(box, h, nil)
		done := make(chan error, 1)
		go func() {
			_, err := u.Session(ctx, false)
			done <- err
		}()
		call := func(run uint64, within uint32, wait time.Duration, want int) {
			t.Helper()
			b, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{}, Call: &wire.Call{Round: run, Within: within}})
			if err != nil {
				t.Fatal(err)
			}
			u.TakeReceipts(b)
			time.Sleep(wait)
			synctest.Wait()
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.hellos != want {
				t.Errorf("%d hellos after a call of run %d, want %d", h.hellos, run, want)
			}
		}
		synctest.Wait()
		call(7, 0, time.Millisecond, 2)
		call(7, 0, time.Minute, 2)
		call(8, 60, 61*time.Second, 3)
		call(7, 0, time.Minute, 3) // another hub of the same database, once more
		cancel()
		<-done
	})
}
