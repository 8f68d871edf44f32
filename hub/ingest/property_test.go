package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/receipt"
)

// day is what some devices captured, and one way in which it reaches the hub:
// frames cut anywhere, several times over, in any order, some at a time.
type day struct {
	histories []*history
	takes     [][]piece
	// between, which may be nil, is what happens after each take, last after all of them.
	between, last func(ctx context.Context) error
}

// piece is a run of one history.
type piece struct {
	h *history
	r lane.Range
}

// drawDay draws a day of the devices whose names begin with name.
func drawDay(t *rapid.T, name string) day {
	var d day
	var pieces []piece
	for i := range rapid.IntRange(1, 3).Draw(t, "lanes") {
		c := dot.Chain{Device: dot.Device(fmt.Sprintf("%s-%d", name, i/2)), Incarnation: 1, Lane: dot.Lanes()[1-i%2]}
		h := newHistory(c, "main")
		for range rapid.IntRange(1, 14).Draw(t, "entries") {
			what := fault("")
			if rapid.IntRange(0, 3).Draw(t, "bad") == 0 {
				what = rapid.SampledFrom(faults).Draw(t, "fault")
			}
			h.mint(what, clockOf{wall: noon})
		}
		d.histories = append(d.histories, h)
		pieces = append(pieces, cut(t, h)...)
		for range rapid.IntRange(0, 5).Draw(t, "again") {
			first := dot.Seq(rapid.IntRange(1, int(h.last())).Draw(t, "first"))
			pieces = append(pieces, piece{h, lane.Run(first, dot.Seq(rapid.IntRange(int(first), int(h.last())).Draw(t, "last")))})
		}
	}
	for rest := rapid.Permutation(pieces).Draw(t, "order"); len(rest) > 0; {
		n := min(rapid.IntRange(1, 4).Draw(t, "together"), len(rest))
		d.takes = append(d.takes, rest[:n])
		rest = rest[n:]
	}
	return d
}

// cut cuts a whole history into frames.
func cut(t *rapid.T, h *history) []piece {
	var out []piece
	for first := dot.Seq(1); first <= h.last(); {
		last := min(first+dot.Seq(rapid.IntRange(0, 5).Draw(t, "size")), h.last())
		out = append(out, piece{h, lane.Run(first, last)})
		first = last + 1
	}
	return out
}

// deliver lets the day reach the hub and says what is wrong with what the hub
// then has, or with what it said on the way.
func (d day) deliver(ctx context.Context, w *world) error {
	for _, h := range d.histories {
		if w.keys[h.chain.Device].IsZero() {
			if err := w.enrol(ctx, h.chain.Device); err != nil {
				return err
			}
		}
	}
	sent, counted := 0, ingest.Result{}
	through := make(map[dot.Chain]dot.Seq)
	for _, take := range d.takes {
		w.now = w.now.Add(time.Minute)
		var as []ingest.Arrival
		for _, p := range take {
			f, err := p.h.seal(p.r, w.keys[p.h.chain.Device])
			if err != nil {
				return err
			}
			as = append(as, ingest.Arrival{Sender: p.h.chain.Device, Frame: f})
			sent += int(p.r.Len())
		}
		results, err := w.Take(ctx, as)
		if err != nil {
			return err
		}
		for i, r := range results {
			counted.New, counted.Copies, counted.Forked = counted.New+r.New, counted.Copies+r.Copies, counted.Forked+r.Forked
			if err := receiptHolds(ctx, w, take[i].h, r, through); err != nil {
				return err
			}
		}
		if d.between != nil {
			if err := d.between(ctx); err != nil {
				return err
			}
		}
	}
	if d.last != nil {
		if err := d.last(ctx); err != nil {
			return err
		}
	}
	return d.account(ctx, w, sent, counted)
}

// receiptHolds checks a receipt: never ahead of what is committed, never behind
// an earlier one, and with the head that the device has there.
func receiptHolds(ctx context.Context, w *world, h *history, r ingest.Result, through map[dot.Chain]dot.Seq) error {
	got, err := receipt.Open(r.Receipt, w.cfg.Key.Public())
	if err != nil {
		return err
	}
	committed, err := laneOf(ctx, w.Store, h.chain)
	if ingest.Unreleased(committed) { // that one is held and has no place in a receipt
		committed.Received = committed.Received.Without(lane.Run(got.Through+1, got.Through+1))
	}
	switch {
	case err != nil:
		return err
	case got.Through < through[h.chain]:
		return fmt.Errorf("%s: receipt went back from %d to %d", h.chain, through[h.chain], got.Through)
	case !slices.Equal(got.Set(), committed.Received):
		return fmt.Errorf("%s: receipt covers %s, committed is %s", h.chain, got.Set(), committed.Received)
	case got.Head != h.heads[got.Through]:
		return fmt.Errorf("%s: receipt's head at %d is not the device's", h.chain, got.Through)
	}
	through[h.chain] = got.Through
	return nil
}

// account compares the ledger with what was captured.
func (d day) account(ctx context.Context, w *world, sent int, counted ingest.Result) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	captured, copies := 0, uint64(0)
	for _, h := range d.histories {
		captured += int(h.last())
		l, err := laneOf(ctx, w.Store, h.chain)
		if err != nil {
			return err
		}
		copies += l.Duplicates
		if l.Received.Through() != h.last() || len(l.Received) != 1 || l.Head != h.heads[h.last()] {
			bad("%s: received %s of %d, heads equal: %t", h.chain, l.Received, h.last(), l.Head == h.heads[h.last()])
		}
		if err := ledgerIs(ctx, w, h); err != nil {
			errs = append(errs, err)
		}
	}
	if counted.New != captured || counted.New+counted.Copies != sent || counted.Forked != 0 || int(copies) != counted.Copies {
		bad("%d captured, %d sent: counted %d new, %d copies (the lanes say %d), %d forked", captured, sent, counted.New, counted.Copies, copies, counted.Forked)
	}
	gaps, err := w.Gaps(ctx, false)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		bad("%s: gap %s is still open", g.Chain, g.Run)
	}
	return errors.Join(errs...)
}

// ledgerIs checks that each entry of h stands in the ledger once, as the bytes
// that were minted, with the verdict that it deserves by itself.
func ledgerIs(ctx context.Context, w *world, h *history) error {
	var errs []error
	times := make(map[dot.Dot]int)
	es, err := entriesOf(ctx, w.Store, h.chain.Device)
	if err != nil {
		return err
	}
	for _, e := range es {
		if e.Dot.Chain != h.chain {
			continue
		}
		times[e.Dot]++
		raw := h.raws[e.Dot.Seq-1]
		want := ingest.Describe(e.Dot, raw, 0, w.cfg).Judgement
		if e.Hash != raw.Hash() || !e.Raw.Equal(raw) || e.Judgement != want {
			errs = append(errs, fmt.Errorf("%s: same bytes: %t, judged %+v, must be %+v", e.Dot, e.Raw.Equal(raw), e.Judgement, want))
		}
	}
	for s := dot.Seq(1); s <= h.last(); s++ {
		if n := times[h.chain.At(s)]; n != 1 {
			errs = append(errs, fmt.Errorf("%s stands %d times in the ledger", h.chain.At(s), n))
		}
	}
	return errors.Join(errs...)
}

// TestAnyOrderOfArrivalGivesTheSameLedger draws days over one database: each
// has devices of its own.
func TestAnyOrderOfArrivalGivesTheSameLedger(t *testing.T) {
	w := newWorld(t, nil)
	days := 0
	rapid.Check(t, func(rt *rapid.T) {
		days++
		if err := drawDay(rt, fmt.Sprintf("D-%d", days)).deliver(t.Context(), w); err != nil {
			rt.Fatal(err)
		}
	})
	if days < 20 {
		t.Errorf("only %d days were drawn", days)
	}
}

// resent is a day on which a frame comes twice.
func resent() day {
	h := newHistory(dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, "main")
	for range 4 {
		h.mint("", clockOf{wall: noon})
	}
	first, second := piece{h, lane.Run(1, 3)}, piece{h, lane.Run(3, 4)}
	return day{histories: []*history{h}, takes: [][]piece{{first}, {first}, {second}}}
}

// Negative controls: the checker must notice a hub that does not know copies,
// and a database that would let them in.
func TestTheCheckerNoticesBrokenHubs(t *testing.T) {
	if err := resent().deliver(t.Context(), newWorld(t, nil)); err != nil {
		t.Fatalf("a sound hub: %v", err)
	}
	for name, wrap := range map[string]func(store.Store) ingest.Store{
		"no check for copies":                      nil,
		"and a database that passes over them":     func(s store.Store) ingest.Store { return forgiving{s, false} },
		"and a database that takes them as others": func(s store.Store) ingest.Store { return forgiving{s, true} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wrap)
			w.cfg.NoDedup = true
			w.Ingest = ingest.New(w.cfg)
			err := resent().deliver(t.Context(), w)
			if err == nil {
				t.Error("the checker noticed nothing")
			}
			t.Log(err)
		})
	}
}

// forgiving is a database without a unique index: what is there already is
// passed over, or taken once more under another device's name.
type forgiving struct {
	store.Store
	twice bool
}

func (f forgiving) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Ingest(ctx, func(tx store.Tx) error { return fn(forgivingTx{tx, f.twice}) })
}

type forgivingTx struct {
	store.Tx
	twice bool
}

func (x forgivingTx) Insert(es []store.Entry) error {
	for _, e := range es {
		have, err := x.Hashes(e.Dot.Chain, lane.Run(e.Dot.Seq, e.Dot.Seq))
		if err != nil {
			return err
		}
		if len(have) > 0 {
			if !x.twice {
				continue
			}
			e.Hash, e.Dot.Seq = entry.Hash{1}, e.Dot.Seq+100
		}
		if err := x.Tx.Insert([]store.Entry{e}); err != nil {
			return err
		}
	}
	return nil
}
