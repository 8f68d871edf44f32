package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/store"
	"otor/internal/dot"
)

var errDisk = errors.New("the disk says no")

// frail is a database that is away for some writes, and that never takes one entry.
type frail struct {
	store.Store
	away   atomic.Int64 // writes that still fail
	poison dot.Dot
	// narrow: so many more transactions that bring entries in fail, with this; all else goes.
	narrow atomic.Int64
	how    error
	fills  int // after so many times that poison was met they do; 0: never
	// locked: nothing that this chain holds can be read.
	locked atomic.Pointer[dot.Chain]
}

func (f *frail) gone() bool { return f.away.Add(-1) >= 0 }

func (f *frail) SetFinding(ctx context.Context, x store.Finding) error {
	if f.gone() {
		return errDisk
	}
	return f.Store.SetFinding(ctx, x)
}

func (f *frail) Ingest(ctx context.Context, fn func(store.Tx) error) error {
	if f.gone() {
		return errDisk
	}
	return f.Store.Ingest(ctx, func(tx store.Tx) error { return fn(frailTx{tx, f}) })
}

type frailTx struct {
	store.Tx
	f *frail
}

func (x frailTx) SegmentAt(c dot.Chain, first dot.Seq) (store.Segment, error) {
	if l := x.f.locked.Load(); l != nil && *l == c {
		return store.Segment{}, errDisk
	}
	return x.Tx.SegmentAt(c, first)
}

func (x frailTx) Insert(es []store.Entry) error {
	if x.f.narrow.Add(-1) >= 0 {
		return fmt.Errorf("insert: %w", x.f.how)
	}
	if slices.ContainsFunc(es, func(e store.Entry) bool { return e.Dot == x.f.poison }) {
		if x.f.fills--; x.f.fills == 0 {
			x.f.narrow.Store(1 << 40)
		}
		return errDisk
	}
	return x.Tx.Insert(es)
}

func findings(t *testing.T, s store.Store, closed bool) []store.Finding {
	t.Helper()
	fs, err := s.Findings(t.Context(), closed)
	check(t, err)
	return fs
}

// While the database is away the hub waits: nothing is acknowledged, no attempt
// is counted, and when it is back all is taken as if nothing had been.
func TestWhileTheDatabaseIsAwayNothingIsAcknowledged(t *testing.T) {
	s, _ := open(t)
	x := enrol(t, s, "D-101", 6, time.Now().UnixMilli())
	f := &frail{}
	check(t, s.Wrap(func(under store.Store) store.Store { f.Store = under; return f }))
	f.away.Store(4) // two rounds: the ingest and the look whether the database is there
	got := s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 3), x.delivery(t, 4, 6)})
	if !slices.Equal(got, []broker.Disposition{broker.Ack(), broker.Ack()}) {
		t.Errorf("dispositions %+v", got)
	}
	if f.away.Load() > -1 {
		t.Errorf("%d failures were not met", f.away.Load())
	}
	if r := received(t, s.Store(), x.chain); r.String() != "{1-6}" {
		t.Errorf("received %s", r)
	}
	totals, err := s.Store().Totals(t.Context())
	check(t, err)
	if totals.Duplicates != 0 || totals.Unattributed != 0 || len(findings(t, s.Store(), false)) != 0 {
		t.Errorf("totals %+v, findings %+v", totals, findings(t, s.Store(), false))
	}
}

func TestWhatIsNotTakenWhenTheHubStopsComesAgain(t *testing.T) {
	s, _ := open(t)
	x := enrol(t, s, "D-101", 3, time.Now().UnixMilli())
	f := &frail{}
	check(t, s.Wrap(func(under store.Store) store.Store { f.Store = under; return f }))
	f.away.Store(1 << 40)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []broker.Disposition, 1)
	go func() { done <- s.Take(ctx, []broker.Delivery{x.delivery(t, 1, 3)}) }()
	for f.away.Load() > 1<<40-2 { // it has tried
		time.Sleep(time.Millisecond)
	}
	select {
	case got := <-done:
		t.Errorf("answered %+v without a database", got)
	default:
	}
	cancel()
	if got := <-done; slices.Contains(got, broker.Ack()) || slices.Contains(got, broker.Term()) || len(got) != 1 {
		t.Errorf("dispositions %+v", got)
	}
	if r := received(t, s.Store(), x.chain); len(r) != 0 {
		t.Errorf("received %s", r)
	}
}

// One bad frame never stops the rest: what fails again and again is taken entry
// by entry, the rest of it kept raw, and the others pass.
func TestAPoisonFrameIsSetAsideAndOthersPass(t *testing.T) {
	s, _ := open(t)
	good := enrol(t, s, "D-101", 3, time.Now().UnixMilli())
	bad := enrol(t, s, "D-102", 4, time.Now().UnixMilli())
	f := &frail{poison: bad.chain.At(3)}
	check(t, s.Wrap(func(under store.Store) store.Store { f.Store = under; return f }))
	poison := bad.delivery(t, 1, 4)
	got := s.Take(t.Context(), []broker.Delivery{good.delivery(t, 1, 2), poison, good.delivery(t, 3, 3)})
	if !slices.Equal(got, []broker.Disposition{broker.Ack(), broker.Term(), broker.Ack()}) {
		t.Errorf("dispositions %+v", got)
	}
	if g, b := received(t, s.Store(), good.chain), received(t, s.Store(), bad.chain); g.String() != "{1-3}" || b.String() != "{1-2, 4}" {
		t.Errorf("received %s and %s", g, b)
	}
	us, err := s.Store().Unattributed(t.Context())
	check(t, err)
	if len(us) != 1 || us[0].Code != "ingest_failed" || us[0].Via != "D-102" || us[0].Claims != "D-102" || us[0].Size != len(poison.Data) {
		t.Fatalf("set aside: %+v", us)
	}
	frame, err := s.Store().UnattributedFrame(t.Context(), us[0].ID)
	check(t, err)
	if !slices.Equal(frame, poison.Data) {
		t.Error("the frame was not kept whole")
	}
	open := findings(t, s.Store(), false)
	if len(open) != 1 || open[0].Code != "ingest_trouble" || open[0].Device != dot.Hub {
		t.Errorf("findings %+v", open)
	}
	// Later frames are taken: the trouble is over, and its finding closed.
	s.Take(t.Context(), []broker.Delivery{good.delivery(t, 1, 3)})
	if open := findings(t, s.Store(), false); len(open) != 0 || len(findings(t, s.Store(), true)) != 1 {
		t.Errorf("findings %+v", open)
	}
}

// A disk that is nearly full takes a note and no frame. That is no frame's fault: the hub
// waits, longer and longer, and takes all of them when there is room.
func TestANearlyFullDatabaseIsWaitedFor(t *testing.T) {
	for _, how := range []error{store.ErrFull, store.ErrAway, store.ErrLocked, store.ErrReadOnly} {
		s, _ := open(t)
		x := enrol(t, s, "D-101", 6, time.Now().UnixMilli())
		f := &frail{how: how}
		check(t, s.Wrap(func(under store.Store) store.Store { f.Store = under; return f }))
		f.narrow.Store(40)
		var waits []time.Duration
		s.Pause(func(_ context.Context, d time.Duration) bool { waits = append(waits, d); return true })
		got := s.Take(t.Context(), []broker.Delivery{x.delivery(t, 1, 3), x.delivery(t, 4, 6)})
		if !slices.Equal(got, []broker.Disposition{broker.Ack(), broker.Ack()}) {
			t.Errorf("%v: dispositions %+v", how, got)
		}
		if len(waits) != 40 || !slices.IsSorted(waits) || waits[39] <= waits[0] {
			t.Errorf("%v: waits %v", how, waits)
		}
		us, err := s.Store().Unattributed(t.Context())
		check(t, err)
		if r := received(t, s.Store(), x.chain); r.String() != "{1-6}" || len(us) != 0 {
			t.Errorf("%v: received %s, set aside %+v", how, r, us)
		}
		if fs := findings(t, s.Store(), false); len(fs) != 0 {
			t.Errorf("%v: findings %+v", how, fs)
		}
	}
}

// Also where the disk fills up while a frame that keeps failing is taken by itself.
func TestTheDiskFillsWhileAFrameIsTakenAlone(t *testing.T) {
	for _, met := range []int{2, 6} { // within the attempts; while it is taken entry by entry
		s, _ := open(t)
		bad := enrol(t, s, "D-102", 4, time.Now().UnixMilli())
		f := &frail{poison: bad.chain.At(3), how: store.ErrFull, fills: met}
		check(t, s.Wrap(func(under store.Store) store.Store { f.Store = under; return f }))
		var waits []time.Duration
		s.Pause(func(_ context.Context, d time.Duration) bool { waits = append(waits, d); return true })
		got := s.Take(t.Context(), []broker.Delivery{bad.delivery(t, 1, 4)})
		us, err := s.Store().Unattributed(t.Context())
		check(t, err)
		if len(got) != 1 || got[0] == broker.Ack() || got[0] == broker.Term() || len(us) != 0 {
			t.Errorf("%d: %+v, set aside %+v", met, got, us)
		}
		if f.narrow.Load() == 0 {
			t.Errorf("%d: the disk never filled", met)
		}
		if len(waits) != min(met-1, 4) || slices.Contains(waits, 0) {
			t.Errorf("%d: waits between attempts: %v", met, waits)
		}
	}
}
