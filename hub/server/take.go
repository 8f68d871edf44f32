package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/hub/broker"
	"otor/hub/ingest"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/failpoint"
	"otor/internal/wire"
)

// How long to wait before trying again what the database would not take, and
// after how many attempts a frame that alone keeps failing is set aside.
const (
	firstRetry  = 200 * time.Millisecond
	longestWait = 10 * time.Second
	maxAttempts = 5
)

// ingestTrouble is the finding that frames are not ingested.
const ingestTrouble = "ingest_trouble"

// take ingests deliveries of a stream. While the database is away it waits
// here: nothing more is fetched and no attempt is counted against a frame.
func (s *Server) take(ctx context.Context, ds []broker.Delivery) []broker.Disposition {
	out := make([]broker.Disposition, len(ds))
	arrivals := make([]ingest.Arrival, len(ds))
	for i, d := range ds {
		sender, err := wire.Sender(d.Subject)
		if err != nil { // permissions allow no such subject
			s.cfg.Log.Error("message on a strange subject", "subject", d.Subject)
		}
		arrivals[i] = ingest.Arrival{Sender: sender, Relayed: wire.IsRelay(d.Subject), Frame: d.Data}
	}
	if results, ok := s.together(ctx, arrivals); ok {
		for i := range out {
			out[i] = broker.Ack()
		}
		failpoint.At(failpoint.Ingested)
		s.announce(results)
		failpoint.At(failpoint.Announced)
		return out
	}
	for i, a := range arrivals {
		if ctx.Err() != nil {
			return out // the rest comes again
		}
		out[i] = s.alone(ctx, a)
	}
	return out
}

// together takes all in one transaction, and reports false when that failed
// although the database is there: then one of them is at fault.
func (s *Server) together(ctx context.Context, arrivals []ingest.Arrival) ([]ingest.Result, bool) {
	for wait := firstRetry; ; wait = min(2*wait, longestWait) {
		results, err := s.ingested(ctx, arrivals)
		if err == nil {
			s.overcome(ctx)
			return results, true
		}
		if ctx.Err() != nil {
			return nil, false
		}
		s.cfg.Log.Error("frames not ingested", "frames", len(arrivals), "err", err)
		if s.databaseTakes(ctx, err) {
			return nil, false
		}
		if !s.pause(ctx, wait) {
			return nil, false
		}
	}
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// passes reports whether trouble is the database's, and no frame's: it takes nothing, or
// nothing as large as a frame, until somebody has seen to it.
func passes(trouble error) bool {
	for _, kind := range []error{store.ErrFull, store.ErrAway, store.ErrLocked, store.ErrReadOnly} {
		if errors.Is(trouble, kind) {
			return true
		}
	}
	return false
}

// ingested takes arrivals in and counts what was new.
func (s *Server) ingested(ctx context.Context, arrivals []ingest.Arrival) ([]ingest.Result, error) {
	began := time.Now()
	results, err := s.ingest.Take(ctx, arrivals)
	if err != nil {
		return nil, err
	}
	entries := 0
	for _, r := range results {
		entries += r.New
	}
	s.watch.Ingest(time.Since(began), len(arrivals), entries)
	return results, nil
}

// databaseTakes reports whether the database accepts a write just now, by
// noting the trouble there. A disk that is nearly full may take the note and not the
// frame: what passes is never a frame's fault.
func (s *Server) databaseTakes(ctx context.Context, trouble error) bool {
	now := s.cfg.Now().UnixMilli()
	err := s.store.SetFinding(ctx, store.Finding{
		Device: dot.Hub, Code: ingestTrouble, OpenedAt: now, UpdatedAt: now, Words: trouble.Error(),
	})
	s.troubled.Store(true)
	return err == nil && !passes(trouble)
}

// overcome closes the finding about trouble, once frames are taken again.
func (s *Server) overcome(ctx context.Context) {
	if s.stuck.Load() || !s.troubled.CompareAndSwap(true, false) {
		return
	}
	if err := s.store.ClearFinding(ctx, dot.Hub, ingestTrouble, s.cfg.Now().UnixMilli()); err != nil {
		s.troubled.Store(true)
		s.cfg.Log.Warn("finding not closed", "code", ingestTrouble, "err", err)
	}
}

// alone takes one frame by itself; one that keeps failing is taken entry by
// entry, and what then still fails is set aside whole.
func (s *Server) alone(ctx context.Context, a ingest.Arrival) broker.Disposition {
	var err error
	wait := firstRetry
	for i := range maxAttempts {
		if i > 0 && !s.pause(ctx, wait) {
			return broker.Nak(longestWait)
		}
		if i > 0 {
			wait = min(2*wait, longestWait)
		}
		var results []ingest.Result
		if results, err = s.ingested(ctx, []ingest.Arrival{a}); err == nil {
			s.announce(results)
			return broker.Ack()
		}
		if ctx.Err() != nil || !s.databaseTakes(ctx, err) {
			return broker.Nak(longestWait)
		}
	}
	result, failed := s.ingest.TakeSingly(ctx, a)
	if result.Receipt != nil {
		s.announce([]ingest.Result{result})
	}
	switch {
	case failed == nil:
		return broker.Ack()
	case ctx.Err() != nil || passes(failed):
		return broker.Nak(longestWait)
	}
	_, putErr := s.store.PutUnattributed(ctx, store.Unattributed{
		ReceivedAt: s.cfg.Now().UnixMilli(), Via: a.Sender, Claims: result.Chain.Device, Code: "ingest_failed",
		Words: fmt.Sprintf("after %d attempts: %s", maxAttempts, failed), Size: len(a.Frame), Frame: a.Frame,
	})
	if putErr != nil {
		return broker.Nak(longestWait)
	}
	s.bell.Ring()
	return broker.Term()
}

// announce publishes receipts, one message a device, and rings.
func (s *Server) announce(results []ingest.Result) {
	byChain := make(map[dot.Chain][]byte)
	for _, r := range results {
		if r.Unreleased {
			s.goOn()
		}
		if r.Receipt != nil {
			byChain[r.Chain] = r.Receipt // the latest commit's holds most
		}
	}
	byDevice := make(map[dot.Device]wire.ReceiptNews)
	for c, b := range byChain {
		n := byDevice[c.Device]
		n.Receipts = append(n.Receipts, b)
		byDevice[c.Device] = n
	}
	for d, n := range byDevice {
		b, err := wire.Marshal(n)
		if err == nil {
			err = s.broker.Publish(wire.ReceiptFor(d), b)
		}
		if err != nil { // the next hello brings it
			s.cfg.Log.Warn("receipt not published", "device", string(d), "err", err)
		}
	}
	s.bell.Ring()
}
