package chaos

// Rows lists the kinds of harm, in the order of the fault matrix.
func Rows() []Row {
	rows := []Row{
		{Name: "kill-agent", Fault: "kill -9 of the agent", Least: killsIn, Controls: []string{taken}, Trial: killAgent},
		{Name: "kill-hub", Fault: "kill -9 of the hub", Least: hubKill, Controls: []string{noDedup}, Trial: killHub},
		{Name: "damage-agent", Fault: "damaged file of the agent", Least: damagedIn, Controls: []string{deaf}, Trial: damageAgent},
		{Name: "damage-hub", Fault: "damaged file of the hub", Least: damagedIn, Controls: []string{deaf}, Trial: damageHub},
		{Name: "flaps", Fault: "up and down of a line", Least: flapsIn, Controls: []string{noDedup}, Trial: flaps},
		{Name: "photos", Fault: "cut of a line that carries photos", Least: photosIn, Controls: []string{lostPieces}, Trial: album},
		{Name: "clocks", Fault: "jump of a clock", Least: clocksIn, Controls: []string{noDedup}, Trial: clocks},
		{Name: "clocks-hub", Fault: "jump of the hub's clock", Least: clocksIn, Controls: []string{noDedup}, Trial: clocksHub},
		{Name: "kill-rehome", Fault: "kill -9 while re-homing", Least: rehomeKills, Controls: []string{taken}, Trial: killRehome},
		{Name: "hostile", Fault: "message of a hostile device", Least: blowsIn, Controls: []string{noDedup, tame}, Trial: hostile},
	}
	return append(rows, mountRows()...)
}
