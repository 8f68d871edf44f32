package reconcile

import (
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/merge"
)

// damagedFinding is the finding that the database is not as it should be.
const damagedFinding = "database_damaged"

// unreadable takes in hand an entity whose state cannot be read. What is written to it is
// received and takes no effect here, nothing of it is changed, and the office is told: so
// one bad row stops no record (L6). Once the backup is restored devices send again
// what it lacks, and that takes effect then.
func (o *Round) unreadable(row store.Entity, err error) error {
	o.r.cfg.Log.Error("the state of an entity cannot be read; records about it are kept and change nothing of it", "entity", row.Ref.String(), "err", err)
	*o.entities[row.Ref] = held{row: row, state: merge.New(row.Ref), unread: true}
	return o.tx.SetFinding(store.Finding{
		Device: dot.Hub, Code: damagedFinding, OpenedAt: o.at, UpdatedAt: o.at,
		Words: fmt.Sprintf("the state of %s cannot be read (%v); records about it are received and change nothing of it: "+
			"stop the hub, keep its folder, and restore the newest backup with the journal", row.Ref, err),
	})
}

// hidden reports whether the state of one of some entities cannot be read.
func (o *Round) hidden(refs []entry.Ref) bool {
	return slices.ContainsFunc(refs, func(ref entry.Ref) bool {
		h := o.entities[ref]
		return h != nil && h.unread
	})
}
