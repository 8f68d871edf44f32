package contact

import (
	"context"
	"errors"
	"fmt"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/wire"
)

// Ledger is what refilling a device needs of the hub's database.
type Ledger interface {
	Device(ctx context.Context, id dot.Device) (store.Device, error)
	EntriesOf(ctx context.Context, c dot.Chain, run lane.Range, maxBytes int) ([]store.Entry, error)
}

// Refill gives device d a page of its own entries, which damage took there. It
// gives nothing of another device's: the device is the one whose subject was
// used. The device checks the heads; what the ledger itself has damaged is not
// passed on. The error is for the hub's log.
func Refill(ctx context.Context, ledger Ledger, d dot.Device, b []byte) (wire.RefillPage, error) {
	r, err := wire.Unmarshal[wire.Refill](b)
	if err != nil {
		return refuseRefill("bad_refill", err.Error(), string(d), "update the agent"), nil
	}
	dev, err := ledger.Device(ctx, d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuseRefill("unknown_device", "this hub does not know the device", string(d), "enrol it again"), nil
	case err != nil:
		return wire.RefillPage{}, fmt.Errorf("refill %s: %w", d, err)
	case dev.RevokedAt != 0:
		return wire.RefillPage{First: r.First, Entries: [][]byte{}, Refused: revoked(d)}, nil
	}
	most := wire.MaxRefillBytes
	if r.Bytes > 0 {
		most = min(most, int(r.Bytes))
	}
	chain := dot.Chain{Device: d, Incarnation: r.Incarnation, Lane: r.Lane}
	run := lane.Run(r.First, min(r.Last, r.First+wire.MaxRefillEntries-1))
	es, err := ledger.EntriesOf(ctx, chain, run, most)
	if err != nil {
		return wire.RefillPage{}, fmt.Errorf("refill %s: %w", d, err)
	}
	page := wire.RefillPage{First: r.First, Entries: make([][]byte, 0, len(es))}
	bytes := 0
	for _, e := range es {
		if e.Raw.Hash() != e.Hash {
			return page, fmt.Errorf("refill %s: the ledger's %s is not what was received", d, e.Dot)
		}
		stored := e.Raw.Encode()
		if bytes += len(stored); len(page.Entries) > 0 && bytes > most {
			break
		}
		page.Entries = append(page.Entries, stored)
	}
	return page, nil
}

func refuseRefill(code, what, which, do string) wire.RefillPage {
	return wire.RefillPage{Entries: [][]byte{}, Refused: &wire.Refusal{Code: code, What: what, Which: which, Do: do}}
}
