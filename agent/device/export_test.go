package device

// For tests: what each contact does, at the hub's time, and what a capture does with a
// photo's name.
var (
	PruneUnnamed = (*Device).pruneUnnamed
	FindFile     = (*Device).findFile
)
