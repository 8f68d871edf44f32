package reconcile

import (
	"fmt"
	"slices"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/feed"
)

// UnsentFinding is the finding that what is known of an entity is more than a feed carries.
const UnsentFinding = "entity_unsent"

// UnsentWords says it of an entity whose state has so many bytes.
func UnsentWords(ref entry.Ref, bytes int) string {
	return fmt.Sprintf("%s: what is known of it takes %d bytes, and a feed carries %d: devices keep what they have of it and see nothing newer; "+
		"decide what is in conflict there, and look which device writes so much to it", ref, bytes, feed.MaxBody)
}

// publish puts an entity into the feeds of its scopes, and out of those it left.
func (o *Round) publish(h *held, was []string) error {
	key := feed.EntityKey(h.row.Ref)
	if len(key) > feed.MaxKey {
		// Hubs took such ids once. No feed ever carried the entity, so it leaves none either.
		o.r.cfg.Log.Error("the id of an entity is too long for a feed; it is not sent to devices", "type", h.row.Ref.Type, "bytes", len(key))
		return nil
	}
	var changes []store.FeedChange
	if size := len(h.row.State); size > feed.MaxBody {
		if err := o.unsent(h.row.Ref, size); err != nil {
			return err
		}
	} else {
		for _, s := range h.row.Scopes {
			changes = append(changes, store.FeedChange{Scope: s, Kind: feed.Entity, Key: key, Rev: h.row.Rev, Body: h.row.State})
		}
	}
	for _, s := range was {
		if !slices.Contains(h.row.Scopes, s) {
			changes = append(changes, store.FeedChange{Scope: s, Kind: feed.Gone, Key: key, Rev: h.row.Rev})
		}
	}
	return o.tx.Publish(o.at, changes...)
}

// unsent tells the office that devices do not get what is known of an entity. When the hub
// starts it looks whether that is still so.
func (o *Round) unsent(ref entry.Ref, bytes int) error {
	o.r.cfg.Log.Error("an entity is too large for a feed and is not sent to devices", "type", ref.Type, "bytes", bytes)
	return o.tx.SetFinding(store.Finding{
		Device: dot.Hub, Code: UnsentFinding, Value: int64(bytes), OpenedAt: o.at, UpdatedAt: o.at, Words: UnsentWords(ref, bytes),
	})
}
