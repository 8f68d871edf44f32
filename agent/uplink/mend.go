package uplink

import (
	"context"
	"errors"
	"fmt"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
	"otor/internal/wire"
)

// mostMended bounds how often one session looks at one chain: a hub that
// contradicts itself must not keep it busy.
const mostMended = 3

// mend settles quarrels about chains. changed says that one was, so that
// another hello is due. A quarrel that cannot be settled stays one.
func (s *session) mend(ctx context.Context) (changed bool, err error) {
	if s.cfg.Mend == nil {
		return false, nil
	}
	for _, c := range s.cfg.Outbox.Chains() {
		if !c.Disputed || s.mended[c.Chain] >= mostMended {
			continue
		}
		s.mended[c.Chain]++
		err := s.cfg.Mend(ctx, c.Chain, func(ctx context.Context, runs []lane.Range) ([]entry.Hash, error) {
			return s.compare(ctx, c.Chain, runs)
		})
		if ctx.Err() != nil {
			return changed, ctx.Err()
		}
		if lost, ok := errors.AsType[*unanswered](err); ok {
			// The link is as good as gone. Another contact looks again: three lost
			// answers must not leave a quarrel for as long as this one stands.
			return changed, lost
		}
		if err != nil {
			s.cfg.Log.Error("the hub's history of a chain differs and it could not be settled", "chain", c.Chain.String(), "err", err)
			continue
		}
		s.forget(c.Chain)
		s.again.Store(true)
		changed = true
	}
	return changed, nil
}

// unanswered is a comparison that got no answer.
type unanswered struct {
	chain dot.Chain
	err   error
}

func (e *unanswered) Error() string {
	return fmt.Sprintf("compare %s with the hub: %v", e.chain, e.err)
}
func (e *unanswered) Unwrap() error { return e.err }

// forget lets go of what is on its way of a chain whose names changed.
func (s *session) forget(c dot.Chain) {
	for _, f := range s.frames {
		if f.chain == c {
			s.drop(f)
		}
	}
	delete(s.told, c)
}

// compare asks the hub what it holds, with a hello.
func (s *session) compare(ctx context.Context, c dot.Chain, runs []lane.Range) ([]entry.Hash, error) {
	known, _ := s.known()
	h := s.greeting(known)
	h.Clock = s.cfg.Now().UnixMilli()
	h.Compare = []wire.Comparison{{Incarnation: c.Incarnation, Lane: c.Lane, Runs: runs}}
	hctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	w, err := s.cfg.Port.Hello(hctx, h)
	if err != nil {
		return nil, &unanswered{c, err}
	}
	for _, a := range w.Compared {
		if a.Incarnation == c.Incarnation && a.Lane == c.Lane && len(a.Digests) == len(runs) {
			return a.Digests, nil
		}
	}
	return nil, fmt.Errorf("compare %s with the hub: it does not say what it holds; update the hub", c)
}
