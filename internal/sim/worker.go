package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"time"

	"otor/hub/ingest"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// How a worker deals with its stream.
const (
	ackWait    = 30 * time.Second
	whileAway  = 5 * time.Second
	whileAlert = 20 * time.Millisecond
)

// work takes frames from a stream and ingests them, until the life ends. While
// alerts are at hand the record stream waits.
func (l *life) work(ctx context.Context, name string, s *stream) {
	d := l.hub.dice[name]
	for ctx.Err() == nil && l.ledger.alive() {
		if name == "record" && l.hub.w.alerts.len() > 0 && d.is(0.9) {
			if !sleep(ctx, d.within(whileAlert, 2*whileAlert)) {
				return
			}
			continue
		}
		there, next := s.ready()
		if there == 0 { // no dice here: a bell may have rung for what is taken already
			if !await(ctx, s, next) {
				return
			}
			continue
		}
		ms := s.take(1 + d.IntN(12))
		if !sleep(ctx, d.within(time.Millisecond, 80*time.Millisecond)) {
			return
		}
		if l.take(ctx, name, d, ms) {
			l.settle(s, d, ms)
		} else {
			for _, m := range ms {
				s.again(m, whileAway)
			}
		}
	}
}

// await waits until a stream may have something.
func await(ctx context.Context, s *stream, next time.Time) bool {
	var due <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(max(time.Until(next), 0))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-s.bell:
	case <-due:
	}
	return true
}

// settle tells the stream that messages are done. What it does not hear comes again.
func (l *life) settle(s *stream, d dice, ms []*message) {
	if !l.ledger.alive() {
		return
	}
	for _, m := range ms {
		if d.is(0.03) {
			s.again(m, ackWait)
			continue
		}
		s.done(m)
	}
}

// take ingests messages as the hub's server does; false: they must come again.
func (l *life) take(ctx context.Context, name string, d dice, ms []*message) bool {
	arrivals := make([]ingest.Arrival, len(ms))
	for i, m := range ms {
		arrivals[i] = ingest.Arrival{Sender: m.sender, Relayed: m.relayed, Frame: m.frame}
	}
	if l.hub.w.cfg.Control == ReceiptFirst {
		l.promise(arrivals, d)
		if !sleep(ctx, d.within(10*time.Millisecond, 500*time.Millisecond)) {
			return false
		}
	}
	results, err := l.ingest.Take(ctx, arrivals)
	switch {
	case !l.ledger.alive() || ctx.Err() != nil || errors.Is(err, errAway):
		return false
	case err != nil:
		l.hub.w.violate("frames were not ingested although the database is well: %v", err)
		return false
	}
	l.judge(name, arrivals, results)
	l.announce(results, d)
	l.ledger.crashAt(afterReceipt)
	return true
}

// judge compares what became of frames with what they were.
func (l *life) judge(name string, arrivals []ingest.Arrival, results []ingest.Result) {
	w := l.hub.w
	for i, r := range results {
		sum := sha256.Sum256(arrivals[i].Frame)
		w.mu.Lock()
		forged := w.forged[sum]
		if forged != nil && r.Unattributed != "" {
			forged.aside = true
		}
		w.mu.Unlock()
		bad := forged != nil
		if !bad && r.Unattributed == "" && !w.isPlain(r.Chain.Device) {
			w.arrive(arrivals[i].Frame)
		}
		w.did("hub "+name, func(n *Work) { n.Copies += r.Copies }, "%x %s new %d copies %d forked %d aside %s", sum[:4], r.Chain, r.New, r.Copies, r.Forked, r.Unattributed)
		switch {
		case bad && r.Unattributed == "" && !forged.harmless(arrivals[i].Frame):
			w.violate("a frame that nobody vouches for entered %s", r.Chain)
		case !bad && r.Unattributed != "":
			w.violate("a genuine frame was set aside: %s", r.Unattributed)
		case !bad && r.Chain.Device != hostileName && r.Forked+r.Unlinked > 0 && w.isPlain(r.Chain.Device):
			w.violate("a genuine frame of %s: %d entries forked, %d unlinked", r.Chain, r.Forked, r.Unlinked)
		case !bad && r.Chain.Device != hostileName && l.ledger.above(r.Chain):
			w.did("hub "+name, func(n *Work) { n.Held++ }, "above a hole")
		}
	}
}

// above reports whether the hub holds entries of a chain above a hole.
func (l *ledger) above(c dot.Chain) bool {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return len(l.w.committed[c].Gaps()) > 0
}

// announce publishes receipts, one message a device.
func (l *life) announce(results []ingest.Result, d dice) {
	byChain := make(map[dot.Chain][]byte)
	for _, r := range results {
		if r.Receipt != nil {
			byChain[r.Chain] = r.Receipt
		}
	}
	l.publish(byChain, d)
}

// promise is what a hub must not do: receipts for what it has not committed.
func (l *life) promise(arrivals []ingest.Arrival, d dice) {
	byChain := make(map[dot.Chain][]byte)
	for _, a := range arrivals {
		f, err := batch.Open(a.Frame)
		if err != nil || f.Header.Chain.Device == hostileName {
			continue
		}
		h := f.Header
		b, err := receipt.Receipt{Epoch: l.epochs.Epoch(), Chain: h.Chain, Through: h.Run.Last, Head: h.After}.Sign(l.hub.key)
		if err == nil {
			byChain[h.Chain] = b
		}
	}
	l.publish(byChain, d)
}

func (l *life) publish(byChain map[dot.Chain][]byte, d dice) {
	news := make(map[dot.Device]wire.ReceiptNews)
	for _, c := range slices.SortedFunc(maps.Keys(byChain), dot.Chain.Compare) {
		n := news[c.Device]
		n.Receipts = append(n.Receipts, byChain[c])
		news[c.Device] = n
	}
	for _, dev := range l.hub.w.folders() {
		n, ok := news[dev.id]
		if !ok {
			continue
		}
		l.hub.w.checkReceipts("a receipt for "+string(dev.id), n.Receipts)
		b, err := wire.Marshal(n)
		if err != nil {
			l.hub.w.violate("receipts cannot be encoded: %v", err)
			continue
		}
		dev.net.receipts(b, d)
	}
}

// checkReceipts holds what the hub says against what it has committed.
func (w *world) checkReceipts(what string, signed [][]byte) {
	for _, b := range signed {
		r, err := receipt.Open(b, w.hub.key.Public())
		if err != nil {
			w.violate("%s is not valid: %v", what, err)
			continue
		}
		if !w.has(r.Chain, r.Set()) {
			w.violate("L5: %s covers %s %s, of which the hub has committed less", what, r.Chain, r.Set())
		}
	}
}
