package web

// Alarms is the call for help.
type Alarms interface{}
