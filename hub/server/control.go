package server

import "time"

// Control lists what a negative control may switch off. A test that cannot
// fail shows nothing: each promise's test is run once against a hub that
// breaks the promise. The switches exist in programs built with the tag
// otorcontrol alone.
type Control struct {
	NoDedup bool // copies are not recognised
	NoSync  bool // the database leaves syncing out
	// Hasty is how long after it has confirmed something the hub commits it; 0: before.
	Hasty   time.Duration
	NoChild bool // a hub that was put back to an older copy keeps its epoch
	// Now is the hub's own clock, which may be off; nil: it is right. The server that
	// checks credentials and TLS goes by the system's.
	Now func() time.Time
}

// control reads the switches; it is replaced under the tag otorcontrol.
var control = func() Control { return Control{} }
