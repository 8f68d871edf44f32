package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/lane"
)

// leastSpend is what a frame with one entry costs, with its receipt.
const leastSpend = 1024

// affordable is how many bytes the next frame may have within the budget: half
// of what is left, since a frame's size is only estimated before it is packed.
func (s *session) affordable() int {
	if s.cfg.Left == nil {
		return batch.MaxFrame
	}
	left, bounded := s.cfg.Left()
	if !bounded {
		return batch.MaxFrame
	}
	return int(min(left, 2*batch.MaxFrame))/2 - s.onTheWay()
}

// onTheWay is the number of bytes published and not yet in custody.
func (s *session) onTheWay() int {
	n := 0
	for _, f := range s.frames {
		if f.taken.IsZero() {
			n += f.size
		}
	}
	return n
}

// gated cuts a run to the first stretch that the gate lets pass as one group.
func (s *session) gated(c dot.Chain, r lane.Range) (lane.Range, bool) {
	if s.cfg.Gate == nil {
		return r, true
	}
	for first := r.First; first <= r.Last; first++ {
		open, group := s.cfg.Gate(c.At(first))
		if !open {
			continue
		}
		last := first
		for last < r.Last {
			if o, g := s.cfg.Gate(c.At(last + 1)); !o || g != group {
				break
			}
			last++
		}
		return lane.Run(first, last), true
	}
	return lane.Range{}, false
}

// send seals the start of a due run into a frame and publishes it. held: even one
// entry is more than the budget allows.
func (s *session) send(ctx context.Context, c Chain, due lane.Range) (held bool, err error) {
	most := batch.MaxFrame
	if c.Chain.Lane != dot.Alert {
		most = s.affordable()
	}
	count, size, level := s.pace.plan(most)
	if s.cfg.MaxEntries > 0 {
		count = min(count, s.cfg.MaxEntries)
	}
	count = int(min(uint64(count), due.Len()))
	run, err := s.cfg.Outbox.Read(c.Chain, due.First, count, batch.MaxRaw/2)
	if err != nil {
		return false, fmt.Errorf("read %s from %d: %w", c.Chain, due.First, err)
	}
	if len(run.Entries) == 0 || run.First != due.First {
		return false, s.skipped(c.Chain, due.First)
	}
	sealed, h, err := s.seal(c.Chain, run, min(2*size, most), level)
	if err != nil {
		return false, err
	}
	if len(sealed) > most && c.Chain.Lane != dot.Alert {
		return true, nil
	}
	return false, s.post(ctx, sealed, h)
}

// seal packs the start of a run into a frame of at most so many bytes, if one
// entry is not more. Entries are as large as they are: what they take is known
// once they are packed.
func (s *session) seal(c dot.Chain, run Run, most int, level batch.Level) (sealed []byte, h batch.Header, err error) {
	for entries := run.Entries; ; {
		sealed, h, err = batch.Seal(c, run.First, run.Before, entries, s.cfg.Key, level)
		n := len(entries)
		switch {
		case errors.Is(err, batch.ErrTooLarge) && n > 1:
			entries = entries[:(n+1)/2]
			continue
		case err != nil:
			return nil, h, err
		}
		s.pace.packed(n, len(sealed))
		if len(sealed) <= most || n == 1 {
			return sealed, h, nil
		}
		entries = entries[:max(1, n*most/len(sealed)*3/4)]
	}
}

// post publishes a frame and waits for its outcome aside.
func (s *session) post(ctx context.Context, sealed []byte, h batch.Header) error {
	wait, err := s.cfg.Port.Post(h.Chain.Lane, sealed)
	if err != nil {
		return fmt.Errorf("send %s %s: %w", h.Chain, h.Run, err)
	}
	s.nextName++
	f := &frame{name: s.nextName, chain: h.Chain, run: h.Run, size: len(sealed), since: time.Now()}
	s.frames[f.name] = f
	s.windows[h.Chain.Lane].Add(f.name, f.size)
	if pause := s.pace.pause(f.size); pause > 0 {
		s.notBefore = time.Now().Add(pause)
	}
	s.result.Sent += int(h.Run.Len()) //nolint:gosec // at most a frame's
	s.Uplink.sent.Add(h.Run.Len())
	go func() {
		sctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		err := wait(sctx)
		if err == nil {
			s.pace.moved(len(sealed), f.since, time.Now())
		}
		select {
		case s.outcomes <- outcome{f.name, err}:
		case <-ctx.Done(): // the session is over
		}
	}()
	return nil
}

// skipped checks that an entry which cannot be read is known as lost, so that
// the others go on.
func (s *session) skipped(c dot.Chain, seq dot.Seq) error {
	for _, now := range s.cfg.Outbox.Chains() {
		if now.Chain == c && now.Lost.Contains(seq) {
			return nil
		}
	}
	return fmt.Errorf("read %s: the store has no such entry and does not know why; run: agent doctor", c.At(seq))
}
