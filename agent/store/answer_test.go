package store_test

import (
	"errors"
	"testing"

	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

func TestAnswerEntersAnEpoch(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options())
	saved := put(t, s, dot.Record, 20)
	put(t, s, dot.Alert, 2)
	one, two := receipt.Epoch{1}, receipt.Epoch{2}
	at := func(e receipt.Epoch, through dot.Seq, extra ...lane.Range) receipt.Receipt {
		head := entry.Genesis(chain)
		if through > 0 {
			head = saved[through-1].Head
		}
		return receipt.Receipt{Epoch: e, Chain: chain, Through: through, Head: head, Extra: extra}
	}
	alert := receipt.Receipt{Epoch: one, Chain: alerts, Through: 2, Head: state(t, s, alerts).Head, Archived: 1}
	for _, c := range []struct {
		name           string
		epoch          receipt.Epoch
		rs             []receipt.Receipt
		record, alerts string
		newly          uint64
	}{
		{"the first", one, []receipt.Receipt{at(one, 5, lane.Run(8, 9), lane.Run(12, 20)), alert}, "{6-7, 10-11}", "{}", 16},
		{"ranges that are not named any more", one, []receipt.Receipt{at(one, 7, lane.Run(12, 13))}, "{8-11, 14-20}", "{}", 2},
		{"the watermark never falls within an epoch", one, []receipt.Receipt{at(one, 3)}, "{8-20}", "{}", 0},
		{"nothing is said of a chain", one, nil, "{8-20}", "{}", 0},
		{"a hub that was put back", two, []receipt.Receipt{at(two, 2, lane.Run(4, 4))}, "{3, 5-20}", "{1-2}", 0},
		{"again", two, []receipt.Receipt{at(two, 2, lane.Run(4, 4))}, "{3, 5-20}", "{1-2}", 0},
	} {
		out, err := s.Answer(t.Context(), c.epoch, c.rs)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if len(out) > 0 && out[0].Newly != min(c.newly, out[0].Newly) {
			t.Errorf("%s: newly %d", c.name, out[0].Newly)
		}
		for range 2 { // as it is, and as it is opened again
			if got := lane.Format(state(t, s, chain).Waiting()); got != c.record {
				t.Fatalf("%s: record waiting %s, want %s", c.name, got, c.record)
			}
			if got := lane.Format(state(t, s, alerts).Waiting()); got != c.alerts {
				t.Fatalf("%s: alert waiting %s, want %s", c.name, got, c.alerts)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, options())
		}
	}
	if st := state(t, s, alerts); st.Epoch != two || st.Archived != 0 {
		t.Errorf("the alert chain goes by %s, archived %d", st.Epoch, st.Archived)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Answer(t.Context(), one, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
