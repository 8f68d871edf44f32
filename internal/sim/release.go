package sim

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/ingest"
)

// releaseSome goes on releasing what is held of chains with nothing missing below it, as
// the hub's server does. more says that there is something left.
func (l *life) releaseSome(ctx context.Context, d dice) (more bool, err error) {
	lanes, err := l.ledger.Lanes(ctx)
	if err != nil {
		return false, err
	}
	for _, n := range lanes {
		if !ingest.Unreleased(n) {
			continue
		}
		r, err := l.ingest.Release(ctx, n.Chain)
		switch {
		case errors.Is(err, errDead) || errors.Is(err, errAway):
			return true, nil
		case err != nil:
			return true, fmt.Errorf("release what is held of %s: %w", n.Chain, err)
		}
		l.hub.w.did("hub", nil, "releases of %s", n.Chain)
		l.announce([]ingest.Result{r}, d)
		more = more || r.Unreleased
	}
	return more, nil
}
