package link

// Reason sorts why there is no connection, so that a person can be told in one
// sentence of any language.
type Reason string

// The reasons.
const (
	NoSignal   Reason = "no_signal" // no network, no way to the hub, or no answer in time
	HubAway    Reason = "hub_away"  // the hub's machine answers, and the hub does not run
	NotTheHub  Reason = "not_the_hub"
	HubRefuses Reason = "refused"
	Lost       Reason = "lost" // a connection that there was
)
