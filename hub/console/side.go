package console

import "time"

// Side is a value that stands in a conflict.
type Side struct {
	Letter, Value, Prior        string // Prior: what was displayed when it was written
	Dot, Device, Form           string
	Actor, Via                  string     // who, and who carried it: "" when it came by itself
	Place                       *SidePlace // where it was captured; nil: not known
	DeviceAt, HubAt, ReceivedAt time.Time  // by the device's clock, by the hub's, and its arrival
	Effects                     []Effect
	Own                         bool // the hub's own entry
}

// SidePlace is a place: by the stop of the route that lies closest, and how far that is in
// metres, or in degrees of WGS84 where none is near.
type SidePlace struct {
	Stop     string
	Metres   float64
	Lon, Lat float64
}

// Effect is a derived value as it becomes with a choice, and what that changes.
type Effect struct{ About, Field, Value, Change string }

// OtherPart is a part of another value, as it is typed.
type OtherPart struct {
	Name    string // the member of a group, "" of a field that stands by itself
	Label   string
	Kind    string  // text, integer, decimal, boolean, date or datetime
	Choices []Named // what may be chosen; none: anything of its kind
	Unit    string  // in words
	Hint    string  // what the form says of it
	Needed  bool
}
