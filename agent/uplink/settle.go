package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/internal/lane"
	"otor/internal/receipt"
)

// ErrDisputed marks a contact that drained everything but chains of which the
// hub has another history.
var ErrDisputed = errors.New("the hub has another history of this device: the folder is an older copy of itself, or two devices run on copies of one; " +
	"what differs stays safe here and the hub was told: ask the hub's operator")

// settle stores receipts that the hub published.
func (s *session) settle(ctx context.Context, rs []receipt.Receipt) error {
	var own []receipt.Receipt
	for _, r := range rs {
		switch {
		case r.Epoch == s.epoch:
			own = append(own, r)
		case !s.asked[r.Epoch] && len(s.asked) < mostAsked:
			s.asked[r.Epoch] = true
			s.again.Store(true) // the certificate comes with a hello
		}
	}
	if len(own) == 0 {
		return nil
	}
	n, err := s.cfg.Outbox.Settle(ctx, own)
	return s.settled(n, err)
}

// settled counts what receipts newly cover, and lets go of the frames that they cover.
func (s *session) settled(n int, err error) error {
	if err != nil {
		return fmt.Errorf("settle receipts: %w", err)
	}
	s.result.Received += n
	s.received.Add(uint64(n)) //nolint:gosec // a count
	s.lastNews = time.Now()
	if n > 0 {
		s.patience = quietLimit
	}
	for _, c := range s.cfg.Outbox.Chains() {
		for _, f := range s.frames {
			if f.chain == c.Chain && covered(c.Received, f.run) {
				s.drop(f)
			}
		}
	}
	s.tell()
	return nil
}

// covered reports whether all of r is in s.
func covered(s lane.Set, r lane.Range) bool {
	for _, have := range s {
		if have.First <= r.First && r.Last <= have.Last {
			return true
		}
	}
	return false
}

// disputes is nil unless a chain is disputed.
func (s *session) disputes() error {
	for _, c := range s.cfg.Outbox.Chains() {
		if c.Disputed {
			return fmt.Errorf("%w (%s)", ErrDisputed, c.Chain)
		}
	}
	return nil
}

// tell lets go of what the hub has in custody of disputed chains.
func (s *session) tell() {
	for _, c := range s.cfg.Outbox.Chains() {
		for _, f := range s.frames {
			if c.Disputed && f.chain == c.Chain && !f.taken.IsZero() {
				s.told[f.chain] = s.told[f.chain].Add(f.run)
				s.drop(f)
			}
		}
	}
}
