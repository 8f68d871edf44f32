package device

import (
	"context"
	"errors"
	"fmt"

	"otor/agent/link"
	"otor/agent/refill"
	"otor/agent/store"
	"otor/internal/wire"
)

// holes lets refill see and mend the store.
type holes struct{ *store.Store }

// Holes implements refill.Store.
func (h holes) Holes() []refill.Hole {
	var out []refill.Hole
	for _, x := range h.Store.Holes() {
		out = append(out, refill.Hole(x))
	}
	return out
}

// asker lets refill ask the hub.
type asker struct{ *Device }

// Refill implements refill.Port.
func (a asker) Refill(ctx context.Context, r wire.Refill) (wire.RefillPage, error) {
	b, err := wire.Marshal(r)
	if err != nil {
		return wire.RefillPage{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, syncWait)
	defer cancel()
	reply, err := a.link.Request(ctx, wire.RefillOn(a.id.Device), b)
	if err != nil {
		return wire.RefillPage{}, err
	}
	return wire.Unmarshal[wire.RefillPage](reply)
}

// Refill asks the hub, over the link that stands, for the entries that damage
// took here and that the hub received.
func (d *Device) Refill(ctx context.Context) (refill.Result, error) {
	r, err := refill.Fill(ctx, holes{d.store}, asker{d})
	if r.Back > 0 {
		d.bell.Ring()
	}
	return r, err
}

// refills does so once for each connection and for each new hole.
func (d *Device) refills(ctx context.Context) error {
	changes, stop := d.bell.Listen()
	defer stop()
	tried := ""
	for {
		if st := d.link.State(); st.Phase == link.Online {
			if now := d.store.Holes(); len(now) > 0 {
				if which := fmt.Sprint(st.Generation, now); which != tried {
					tried = which
					d.tellRefill(d.Refill(ctx))
				}
			}
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Device) tellRefill(r refill.Result, err error) {
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		d.cfg.Log.Warn("damaged entries do not come back yet", "back", r.Back, "err", err)
	default:
		d.cfg.Log.Info("damaged entries came back from the hub", "entries", r.Back, "holes_left", len(r.Left))
	}
}
