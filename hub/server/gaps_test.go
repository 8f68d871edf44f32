package server_test

import (
	"net/http"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/lane"
	"otor/internal/wire"
)

// jumped is a frame of one entry that stands at any seq, as a faulty device makes it.
func (x *device) jumped(t *testing.T, at dot.Seq) broker.Delivery {
	t.Helper()
	wall := time.Now().UnixMilli()
	pub, err := entry.Public{Dot: x.chain.At(at), HLC: hlc.Time{Millis: wall}, Wall: wall, Form: entry.FormRef{ID: "note", Version: 1}}.Encode()
	check(t, err)
	priv, err := entry.Private{Fields: map[string]any{"text": "far away"}}.Encode()
	check(t, err)
	f, _, err := batch.Seal(x.chain, at, entry.Hash{1}, []entry.Raw{entry.NewRaw(pub, priv)}, x.key, batch.Small)
	check(t, err)
	return broker.Delivery{Subject: wire.Up(dot.Record, x.chain.Device), Data: f, Delivered: 1}
}

// A device chooses how long its gaps are. Nothing that lists, counts, draws, seals or
// states them takes room or time for each of their seqs.
func TestAGapOfAnyLength(t *testing.T) {
	s, dir := serve(t)
	c := dial(t, dir)
	x := enrol(t, s, "D-101", 3, time.Now().UnixMilli())
	const far, farther = dot.Seq(1) << 40, dot.MaxSeq
	s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 1), x.delivery(t, 3, 3), x.jumped(t, far), x.jumped(t, farther)})
	if got := received(t, s.Store(), x.chain); got.Highest() != farther || got.Len() != 4 {
		t.Fatalf("received %s", got)
	}
	want := []lane.Range{lane.Run(2, 2), lane.Run(4, far-1), lane.Run(far+1, farther-1)}
	told := func(closed bool) (out []server.GapLine) {
		t.Helper()
		out, err := c.Gaps(t.Context(), closed)
		check(t, err)
		if len(out) != len(want) {
			t.Fatalf("closed too, %t: %d gaps", closed, len(out))
		}
		for i, g := range out {
			run := lane.Run(g.First, g.Last)
			if run != want[i] || g.Count != run.Len() || uint64(len(g.Missing)) != min(run.Len(), server.MaxMissing) {
				t.Errorf("gap %s of %d, %d named, want %s", run, g.Count, len(g.Missing), want[i])
			}
			for k, seq := range g.Missing {
				if seq != run.First+dot.Seq(k) {
					t.Fatalf("seq %d of gap %s is %d", k, run, seq)
				}
			}
		}
		return out
	}
	told(false)
	_, err := c.Fleet(t.Context())
	check(t, err)
	desk := joined(t, s, "boss", "administrator", "*")
	for _, page := range []string{"/queue?kind=gap", "/devices", "/", "/findings"} {
		if status, _, _ := send(t, desk, "GET", "http://"+s.HTTPAddr()+page, "", false); status != http.StatusOK {
			t.Errorf("%s: %d", page, status)
		}
	}
	signed, err := c.Statement(t.Context(), reconcile.Terms{Subject: reconcile.OfDevice, Name: "D-101", From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)})
	check(t, err)
	if len(signed.Statement) > 64<<10 {
		t.Errorf("a statement of %d bytes", len(signed.Statement))
	}
	for _, g := range want {
		check(t, s.Office().Seal(t.Context(), x.chain, g, "the phone is not right"))
	}
	told(true)
}
