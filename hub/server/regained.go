package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
)

// The codes of the findings that are read off the epoch and the losses.
const (
	Restored = "hub_restored" // the database was put back to an older copy
	Regained = "regained"     // entries of one chain came back since, or are still to come
)

// afterRestore lists what came of the database having been put back to an
// older copy: that it was, and for each chain what is coming back.
func (o *Office) afterRestore(ctx context.Context, closed bool) ([]FindingLine, error) {
	epoch, _ := o.epochs.Certificate()
	if epoch.Lineage == 0 {
		return nil, nil
	}
	losses, err := o.store.Losses(ctx, true)
	if err != nil {
		return nil, err
	}
	whole := FindingLine{
		Device: dot.Hub, Code: Restored, Value: int64(epoch.Lineage), OpenedAt: o.at(epoch.Minted),
		Words: fmt.Sprintf("the hub was restored from an older copy of its database; epoch %s follows %s, and devices send again what is missing", epoch.Epoch, epoch.Parent),
	}
	end, open := epoch.Minted, false
	var out []FindingLine
	for _, l := range losses {
		end, open = max(end, l.RegainedAt), open || l.RegainedAt == 0
		if closed || l.RegainedAt == 0 {
			out = append(out, FindingLine{
				Device: l.Chain.Device, Code: Regained, Words: regainedWords(l), Value: int64(l.Missing - min(l.Left, l.Missing)), //nolint:gosec // a count
				OpenedAt: o.at(l.NotedAt), ClosedAt: o.maybe(l.RegainedAt),
			})
		}
	}
	if !open {
		whole.ClosedAt = o.maybe(end)
	}
	if closed || open {
		out = append([]FindingLine{whole}, out...)
	}
	return out, nil
}

func regainedWords(l store.Loss) string {
	if l.RegainedAt != 0 {
		return fmt.Sprintf("regained %d entries of %s (%s) from the device after the hub was restored", l.Missing, l.Chain, l.Run)
	}
	return fmt.Sprintf("regained %d of %d entries of %s (%s) from the device after the hub was restored; %d are still to come",
		l.Missing-min(l.Left, l.Missing), l.Missing, l.Chain, l.Run, l.Left)
}

// inOrder sorts findings by opening time.
func inOrder(fs []FindingLine) {
	slices.SortStableFunc(fs, func(a, b FindingLine) int {
		return cmp.Compare(a.OpenedAt.UnixMilli(), b.OpenedAt.UnixMilli())
	})
}
