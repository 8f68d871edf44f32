package uplink_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"otor/agent/uplink"
	"otor/internal/batch"
	"otor/internal/dot"
)

// TestABudgetHoldsRecordsBack: and never an alert.
func TestABudgetHoldsRecordsBack(t *testing.T) {
	const budget = 12_000
	box := newOutbox()
	box.capture(records, 200, 400)
	h := newHub(t, box)
	var sent atomic.Int64
	left := func() (uint64, bool) { return uint64(budget - min(sent.Load(), budget)), true }
	u := newUplink(box, h, func(cfg *uplink.Config) { cfg.Left = left })
	h.fate = func(n int, _ batch.Header) fate {
		sent.Add(int64(h.sizes[n]))
		return fate{}
	}
	r, err := u.Session(t.Context(), true)
	if !errors.Is(err, uplink.ErrSpent) || r.Sent == 0 || r.Remaining == 0 || sent.Load() > budget {
		t.Fatalf("%+v, %v, after %d of %d bytes", r, err, sent.Load(), budget)
	}
	if !u.Held() {
		t.Error("nobody is told that records wait for a budget")
	}
	if sent.Load() < budget/2 {
		t.Errorf("stopped at %d bytes of %d", sent.Load(), budget)
	}
	before := len(h.frames)
	sent.Store(budget)
	box.capture(alerts, 3, 400)
	if r, err = u.Session(t.Context(), true); !errors.Is(err, uplink.ErrSpent) || !h.has(alerts, 3) {
		t.Errorf("%+v, %v: the alerts did not go", r, err)
	}
	for _, f := range h.frames[before:] {
		if f.Chain.Lane != dot.Alert {
			t.Errorf("%s %s went without budget", f.Chain, f.Run)
		}
	}
	sent.Store(-1 << 40) // a new day
	if r, err = u.Session(t.Context(), true); err != nil || r.Remaining != 0 || u.Held() {
		t.Errorf("%+v, %v", r, err)
	}
}
