package store

import "context"

// Standing counts what stands open at one moment, for whoever watches the hub.
type Standing struct {
	// Aside are the entries whose verdict is [Quarantined], by the code of the reason.
	Aside map[string]int64
	// Items are the open ones by kind; kinds without an open item are not there.
	Items map[string]OpenItems
	Feeds Feeds
	// Bytes is what the database takes on its disk or in its server.
	Bytes int64
}

// OpenItems counts open items of a kind.
type OpenItems struct {
	Open   int64
	Oldest int64 // when the oldest of them was opened
}

// Feeds counts what goes down to devices.
type Feeds struct {
	Scopes int64
	// Numbers is the sum over all scopes of how far each feed goes.
	Numbers int64
}

// Sample is how the hub stood in one step of time. Its numbers are those at the end of
// the step, Contacts and Entries what came in it.
type Sample struct {
	At       int64 // the step's begin
	Waiting  int64 // entries that devices declared and the hub lacks
	Missing  int64 // of those, below a higher one that is here
	Open     int64 // items that wait for a person
	Aside    int64 // entries that were set aside
	Devices  int64 // enrolled and not revoked
	Silent   int64 // of those, not heard from for a day
	Contacts int64 // hellos
	Entries  int64 // received
}

// Watch is the part of the contract for whoever watches the hub.
type Watch interface {
	// Standing counts.
	Standing(ctx context.Context) (Standing, error)
	// AddSample keeps a sample of a step of so many milliseconds, and forgets those of the
	// same step that began before a moment. A second one for the same step and moment
	// takes the place of the first, but for Contacts and Entries, which are added.
	AddSample(ctx context.Context, step int64, s Sample, before int64) error
	// Samples lists those of a step from a moment on, in order.
	Samples(ctx context.Context, step, from int64) ([]Sample, error)
}
