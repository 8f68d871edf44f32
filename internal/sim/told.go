package sim

import (
	"context"
	"errors"
	"maps"
	"slices"

	hubstore "otor/hub/store"
	"otor/internal/dot"
	"otor/internal/feed"
)

// checkTold asks that authors were told what became of their entries: as the ledger has it
// by now, where that was worth telling. That devices show these rows checkBase asks.
func (w *world) checkTold(ctx context.Context, l *ledger, ledger map[dot.Dot]hubstore.Entry) error {
	told := make(map[string]feed.Outcome)
	asked := make(map[dot.Device]bool)
	for _, at := range slices.SortedFunc(maps.Keys(ledger), dot.Dot.Compare) {
		if at.Device == hostileName || at.Device == dot.Hub {
			continue
		}
		if !asked[at.Device] {
			asked[at.Device] = true
			if err := outcomes(ctx, l, at.Device, told); err != nil {
				return err
			}
		}
		j := ledger[at].Judgement
		out, known := told[at.String()]
		switch {
		case !known && j.Worth():
			w.violate("%s is %s %s (%s), and its author was not told", at, j.Verdict, j.Code, j.Words)
		case known && (out.Verdict != string(j.Verdict) || out.Code != j.Code):
			w.violate("%s is %s %s, and its author was told %s %s", at, j.Verdict, j.Code, out.Verdict, out.Code)
		}
		delete(told, at.String())
	}
	for _, at := range slices.Sorted(maps.Keys(told)) {
		w.violate("an author was told of %s, which is not in the ledger: %s %s", at, told[at].Verdict, told[at].Code)
	}
	return nil
}

// outcomes adds what a device's own scope says of its entries.
func outcomes(ctx context.Context, l *ledger, d dot.Device, to map[string]feed.Outcome) error {
	p, err := l.Feed(ctx, feed.ScopeOf(d), 0, 1<<30)
	if err != nil || p.More {
		return errors.Join(err, errIf(p.More, "a feed has more rows than a run can make"))
	}
	for _, r := range p.Rows {
		if r.Kind != feed.Verdict {
			continue
		}
		if to[r.Key], err = feed.DecodeOutcome(r.Body); err != nil {
			return err
		}
	}
	return nil
}
