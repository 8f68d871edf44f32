package ingest

import (
	"context"
	"fmt"

	"otor/hub/store"
)

// alarm raises the findings that a second history of a device deserves, and one that leaves
// too many holes. What they speak of is committed; a finding that cannot be written is only logged.
func (g *Ingest) alarm(ctx context.Context, p *prepared, r Result) {
	note := func(code string, n int, words string) {
		if n == 0 {
			return
		}
		err := g.cfg.Store.SetFinding(ctx, store.Finding{
			Device: p.header.Chain.Device, Code: code, Value: int64(n), OpenedAt: p.at, UpdatedAt: p.at, Words: words,
		})
		if err != nil {
			g.cfg.Log.Error("note what is wrong with a device", "chain", p.header.Chain.String(), "code", code, "err", err)
		}
	}
	if r.Rehomed > 0 {
		g.calm(ctx, p)
	}
	note("fork", r.Forked, fmt.Sprintf("%d entries of %s %s differ from what the hub has under the same names; both are kept. Two devices may run on copies of one folder.",
		r.Forked, p.header.Chain, p.header.Run))
	note("chain_mismatch", r.Unlinked, fmt.Sprintf("%d entries of %s that were held above %s do not follow it; they are kept and quarantined. Two devices may run on copies of one folder.",
		r.Unlinked, p.header.Chain, p.header.Run))
	if r.Left > 0 {
		g.cfg.Log.Warn("entries not taken: their chain has too many holes", "chain", p.header.Chain.String(), "run", p.header.Run.String(), "entries", r.Left, "holes", maxRuns)
	}
	note("many_holes", r.Left, fmt.Sprintf("%d entries of %s %s were not taken: the chain has %d holes already, and no honest device leaves so many. It sends them again once lower ones are here.",
		r.Left, p.header.Chain, p.header.Run, maxRuns))
}

// calm closes the finding about forks once the facts of all of them came in
// under other names.
func (g *Ingest) calm(ctx context.Context, p *prepared) {
	d := p.header.Chain.Device
	n, err := g.cfg.Store.OpenForks(ctx, d)
	if err == nil && n == 0 {
		err = g.cfg.Store.ClearFinding(ctx, d, "fork", p.at)
	}
	if err != nil {
		g.cfg.Log.Error("close the finding about forks", "device", string(d), "err", err)
	}
}
