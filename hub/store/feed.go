package store

import "otor/internal/feed"

// FeedChange is a change that a scope's feed is to carry.
type FeedChange struct {
	Scope string
	Kind  feed.Kind
	Key   string // see the kind
	// Rev must rise with each change of what Key names, across scopes, where a
	// key can stand in several of them; else 0.
	Rev  uint64
	Body []byte // opaque to the feed; at most feed.MaxBody bytes
}

// FeedHead is how far a scope's feed goes. A scope that nothing was ever
// published in has the zero head.
type FeedHead struct {
	Scope string
	N     uint64
	Mark  feed.Mark
	// Floor is the number up to which the feed has forgotten what went away:
	// whoever has applied less must start over.
	Floor uint64
}

// FeedPage is a piece of a scope's feed as of one moment.
type FeedPage struct {
	Rows []feed.Row // in rising order of N
	// Mark is that of the commit which the last row's N belongs to; the head's
	// when there are no rows.
	Mark feed.Mark
	Head FeedHead
	More bool // rows lie above the last one
}
