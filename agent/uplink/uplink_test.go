package uplink_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"otor/agent/uplink"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

// drain runs one session until nothing is left, and checks that it did so.
func drain(t *testing.T, h *hub) uplink.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	r, err := h.up.Session(ctx, true)
	if err != nil || r.Remaining != 0 || h.box.waiting() != 0 {
		t.Errorf("session: %+v, %v, waiting %d", r, err, h.box.waiting())
	}
	return r
}

func TestASessionDrainsAlertsThenRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(chain(2, dot.Record), 4, 100)
		box.capture(chain(1, dot.Record), 3, 100)
		box.capture(chain(2, dot.Alert), 2, 100)
		h := newHub(t, box)
		newUplink(box, h, func(c *uplink.Config) { c.MaxEntries = 3 })
		r := drain(t, h)
		if r.Sent != 9 || r.Received != 9 || h.hellos != 1 {
			t.Errorf("result %+v after %d hellos", r, h.hellos)
		}
		want := []read{{chain(2, dot.Alert), lane.Run(1, 2)}, {chain(1, dot.Record), lane.Run(1, 3)}, {chain(2, dot.Record), lane.Run(1, 3)}, {chain(2, dot.Record), lane.Run(4, 4)}}
		if !slices.Equal(box.reads, want) {
			t.Errorf("sent in this order: %v", box.reads)
		}
		if got := h.up.Totals(); got != (uplink.Totals{Sent: 9, Received: 9}) {
			t.Errorf("totals %+v", got)
		}
	})
}

func TestNothingNewCostsOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		h := newHub(t, box)
		newUplink(box, h, nil)
		drain(t, h)
		if h.hellos != 1 || len(h.frames) != 0 {
			t.Errorf("%d hellos, frames %v", h.hellos, h.runs())
		}
	})
}

func TestAnAlertDoesNotWaitForRecordsInCustody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 40, 100)
		h := newHub(t, box)
		h.fate = func(_ int, f batch.Header) fate { return fate{swallowed: f.Chain.Lane == dot.Record} }
		newUplink(box, h, func(c *uplink.Config) { c.MaxInFlight, c.MaxEntries = 4, 1 })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := h.up.Session(ctx, false); ended <- err }()
		time.Sleep(time.Second)
		if n := len(h.runs()); n != 4 {
			t.Errorf("%d frames in custody, the window is 4", n)
		}
		box.capture(alerts, 1, 100)
		h.up.Wake()
		time.Sleep(time.Second)
		if !h.has(alerts, 1) {
			t.Errorf("the alert waits behind records: %v", h.runs())
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestTheWindowBoundsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 300, 200)
		h := newHub(t, box)
		h.fate = func(int, batch.Header) fate { return fate{slow: 100 * time.Millisecond} }
		newUplink(box, h, func(c *uplink.Config) { c.MaxInFlight, c.MaxEntries = 5, 2 })
		drain(t, h)
		if h.mostTo > 5 || h.mostTo < 2 {
			t.Errorf("up to %d frames under way, the window is 5", h.mostTo)
		}
	})
}

// A slow link must not hold more than an alert can wait behind.
func TestBytesUnderWayFollowTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 1500, 1000)
		h := newHub(t, box)
		const rate = 8 << 10 // bytes a second: 64 kbit/s
		under, most := 0, 0
		h.fate = func(n int, _ batch.Header) fate {
			if n > 20 { // the rate is learnt by then
				under = 0
				for _, s := range h.sizes[max(0, len(h.sizes)-h.under):] {
					under += s
				}
				most = max(most, under)
			}
			return fate{slow: time.Duration(h.sizes[n]) * time.Second / rate * time.Duration(h.under)}
		}
		newUplink(box, h, nil)
		drain(t, h)
		if len(h.frames) < 25 || most == 0 || most > 8*rate {
			t.Errorf("%d frames, up to %d bytes under way at %d bytes a second", len(h.frames), most, rate)
		}
	})
}

func TestTheGateWithholdsAndGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 10, 100)
		h := newHub(t, box)
		newUplink(box, h, func(c *uplink.Config) {
			c.Gate = func(d dot.Dot) (bool, int) { return d.Seq != 5 && d.Seq != 6, int(d.Seq / 4) }
		})
		r, err := h.up.Session(t.Context(), true)
		if err != nil || r.Remaining != 2 {
			t.Errorf("session: %+v, %v", r, err)
		}
		if got := strings.Join(h.runs(), ", "); got != "record 1-3, record 4, record 7, record 8-10" {
			t.Errorf("sent: %s", got)
		}
	})
}

func TestFramesThatGrowTooLargeAreHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 9, entry.MaxSize-100)
		h := newHub(t, box)
		newUplink(box, h, nil)
		drain(t, h)
		for i, s := range h.sizes {
			if s > batch.MaxFrame {
				t.Errorf("frame %d has %d bytes", i, s)
			}
		}
		if !h.has(records, 9) {
			t.Errorf("sent: %v", h.runs())
		}
	})
}

func TestLostReceiptsAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 20, 100)
		h := newHub(t, box)
		h.fate = func(int, batch.Header) fate { return fate{noReceipt: true} }
		newUplink(box, h, nil)
		start := time.Now()
		if r := drain(t, h); r.Sent != 20 {
			t.Errorf("sent again although all was received: %+v", r)
		}
		if took := time.Since(start); h.hellos != 2 || took > time.Minute {
			t.Errorf("%d hellos in %s", h.hellos, took)
		}
	})
}

// A frame that the hub swallowed is sent again when its custody ends, also
// while other captures keep the session busy.
func TestCustodyEnds(t *testing.T) {
	for name, every := range map[string]time.Duration{"in silence": time.Hour, "while busy": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := newOutbox()
				box.capture(records, 1, 100)
				h := newHub(t, box)
				h.fate = func(n int, _ batch.Header) fate { return fate{swallowed: n == 0} }
				newUplink(box, h, func(c *uplink.Config) { c.MaxEntries = 1 })
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { _, err := h.up.Session(ctx, false); ended <- err }()
				stop := time.After(12 * time.Minute)
				for n := dot.Seq(1); ; n++ {
					select {
					case <-time.After(every):
						box.capture(records, 1, 100)
						h.up.Wake()
						continue
					case <-stop:
					}
					break
				}
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if got := h.received[records]; got.Through() == 0 || len(got) != 1 {
					t.Errorf("after 12 minutes the hub has %s; frames %v", got, len(h.frames))
				}
			})
		})
	}
}

// A lost receipt is asked for although other captures wake the session.
func TestLostReceiptsAreAskedForWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 1, 100)
		h := newHub(t, box)
		h.fate = func(n int, _ batch.Header) fate { return fate{noReceipt: true} }
		newUplink(box, h, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := h.up.Session(ctx, false); ended <- err }()
		for range 20 {
			time.Sleep(3 * time.Second)
			h.up.Wake()
		}
		cancel()
		<-ended
		if box.waiting() != 0 || h.hellos > 5 {
			t.Errorf("after a minute: %d waiting, %d hellos", box.waiting(), h.hellos)
		}
	})
}

func TestARefusedHelloEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 3, 100)
		h := newHub(t, box)
		h.refusal = &wire.Refusal{Code: "revoked", What: "this device was revoked at the hub"}
		newUplink(box, h, nil)
		r, err := h.up.Session(t.Context(), false)
		refusal, ok := errors.AsType[*wire.Refusal](err)
		if !errors.Is(err, uplink.ErrRefused) || !ok || refusal.Code != "revoked" || r.Remaining != 3 || len(h.frames) != 0 {
			t.Errorf("session: %+v, %v; frames %v", r, err, h.runs())
		}
	})
}

func TestTroubleEndsTheSession(t *testing.T) {
	errDisk := errors.New("the disk says no")
	for name, c := range map[string]struct {
		breaks func(*outbox, *hub)
		want   error
	}{
		"hello":  {func(_ *outbox, h *hub) { h.helloErr = errLink }, errLink},
		"settle": {func(b *outbox, _ *hub) { b.settleErr = errDisk }, errDisk},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := newOutbox()
				box.capture(records, 3, 100)
				h := newHub(t, box)
				c.breaks(box, h)
				newUplink(box, h, nil)
				if r, err := h.up.Session(t.Context(), true); !errors.Is(err, c.want) || r.Remaining != 3 {
					t.Errorf("session: %+v, %v", r, err)
				}
				// Whatever it was, the next session makes good.
				h.helloErr, box.settleErr = nil, nil
				drain(t, h)
			})
		})
	}
}

func TestLostEntriesAreSteppedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 10, 100)
		box.chains[records].rotten = lane.NewSet(lane.Run(1, 1), lane.Run(4, 5), lane.Run(10, 10))
		h := newHub(t, box)
		newUplink(box, h, nil)
		r, err := h.up.Session(t.Context(), true)
		if err != nil || r.Sent != 6 || r.Remaining != 0 || h.received[records].String() != "{2-3, 6-9}" {
			t.Errorf("session: %+v, %v; the hub has %s", r, err, h.received[records])
		}
	})
}

// A store that gives nothing and does not know why must not be asked for ever.
func TestAnUnknownHoleInTheStoreIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 3, 100)
		box.chains[records].rotten, box.chains[records].hushed = lane.NewSet(lane.Run(2, 2)), true
		h := newHub(t, box)
		newUplink(box, h, nil)
		if _, err := h.up.Session(t.Context(), true); err == nil || !strings.Contains(err.Error(), "D-101/1/record/2") {
			t.Errorf("error: %v", err)
		}
	})
}

// Receipts overtake acknowledgements on a slow link; when the session ends,
// nothing of it stays behind.
func TestSlowAcknowledgementsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 60, 100)
		h := newHub(t, box)
		h.fate = func(int, batch.Header) fate { return fate{late: 20 * time.Second} }
		newUplink(box, h, func(c *uplink.Config) { c.MaxInFlight, c.MaxEntries = 4, 1 })
		drain(t, h)
		synctest.Wait()
	})
}

func TestReceiptsThatAreNotTheHubsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := newOutbox()
		box.capture(records, 3, 100)
		h := newHub(t, box)
		newUplink(box, h, func(c *uplink.Config) { c.Gate = func(dot.Dot) (bool, int) { return false, 0 } })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := h.up.Session(ctx, false); ended <- err }()
		synctest.Wait()
		h.received[records] = lane.NewSet(lane.Run(1, 3))
		h.mu.Lock()
		good := h.receiptOf(records)
		h.mu.Unlock()
		bad := slices.Clone(good)
		bad[len(bad)-1] ^= 1
		for _, signed := range [][]byte{bad, nil, []byte("receipt"), good[:len(good)-1]} {
			b, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{signed}})
			if err != nil {
				t.Fatal(err)
			}
			h.up.TakeReceipts(b)
		}
		h.up.TakeReceipts([]byte("news"))
		synctest.Wait()
		if box.waiting() != 3 {
			t.Errorf("waiting %d after forged receipts", box.waiting())
		}
		b, err := wire.Marshal(wire.ReceiptNews{Receipts: [][]byte{bad, good}})
		if err != nil {
			t.Fatal(err)
		}
		h.up.TakeReceipts(b)
		synctest.Wait()
		if box.waiting() != 0 {
			t.Errorf("waiting %d after a good one", box.waiting())
		}
		cancel()
		<-ended
	})
}

// Many hands wake and deliver while sessions run and end.
func TestWakingNeverBlocks(t *testing.T) {
	box := newOutbox()
	h := newHub(t, box)
	up := newUplink(box, h, nil)
	news, err := wire.Marshal(wire.ReceiptNews{})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 { // nobody listens: neither may wait for a session
		up.Wake()
		up.Again()
		up.TakeReceipts(news)
	}
}

// TestAQuarrelOutlivesLostAnswers: comparisons that get lost end the contact, as a lost
// hello does, and the next one settles the quarrel. Counting them as looks at the chain
// left it for as long as the contact stood.
func TestAQuarrelOutlivesLostAnswers(t *testing.T) {
	box := newOutbox()
	box.capture(records, 3, 10)
	h := newHub(t, box)
	quarrel := &disputing{outbox: box}
	asked := 0
	up := uplink.New(uplink.Config{
		Outbox: quarrel, Port: h, Key: deviceKey, Hub: hubKey.Public(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Greet: func() wire.Hello { return wire.Hello{} }, Welcomed: func(wire.Welcome, time.Time, time.Time) error { return nil },
		Epoch: func() []byte { return nil }, Within: func(d time.Duration) time.Duration { return d },
		Mend: func(ctx context.Context, _ dot.Chain, compare uplink.Compare) error {
			asked++
			h.mu.Lock()
			h.helloErr = nil
			if asked <= 4 {
				h.helloErr = errLink
			}
			h.mu.Unlock()
			_, err := compare(ctx, []lane.Range{lane.Run(1, 3)})
			h.mu.Lock()
			h.helloErr = nil
			h.mu.Unlock()
			if asked <= 4 {
				return err
			}
			quarrel.settled.Store(true)
			return nil
		},
	})
	h.up = up
	for i := range 4 {
		if _, err := up.Session(t.Context(), true); !errors.Is(err, errLink) {
			t.Fatalf("contact %d, whose comparison got lost, ended with %v", i, err)
		}
	}
	if _, err := up.Session(t.Context(), true); err != nil || asked != 5 {
		t.Errorf("the fifth contact ended with %v after %d comparisons", err, asked)
	}
}

// disputing is an outbox whose records the hub has another history of.
type disputing struct {
	*outbox
	settled atomic.Bool
}

func (d *disputing) Chains() []uplink.Chain {
	out := d.outbox.Chains()
	for i := range out {
		out[i].Disputed = !d.settled.Load()
	}
	return out
}
