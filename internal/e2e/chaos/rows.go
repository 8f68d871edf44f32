package chaos

import (
	"slices"

	"otor/internal/failpoint"
)

// copies is met where a copy came to the hub and was recognised.
const copies = "copies"

// Violations by which controls are found out.
const (
	twice    = "is in the ledger again"
	isGone   = "is gone"
	noOpen   = "the database does not open"
	noEffect = "have their effect at the hub"
)

// Rows lists the kinds of harm, in the order of the fault matrix.
func Rows() []Row {
	dedup := []Control{by(noDedup, twice)}
	agent, rehoming := names(failpoint.Points("agent")), names(failpoint.Rehoming())
	rows := []Row{
		{Name: "kill-agent", Fault: "kill -9 of the agent", Least: killsIn, Controls: []Control{by(taken, "was printed and is gone")}, Meets: agent, Trial: killAgent},
		{Name: "kill-hub", Fault: "kill -9 of the hub", Least: hubKill, Controls: dedup, Meets: append(names(failpoint.Points("hub")), copies), Trial: killHub},
		{Name: "damage-agent", Fault: "damaged file of the agent", Least: damagedIn, Controls: []Control{by(deaf, "is lost and nobody says so")}, Trial: damageAgent},
		{Name: "damage-hub", Fault: "damaged file of the hub", Least: damagedIn, Controls: []Control{by(deaf, "has other bytes")}, Trial: damageHub},
		{Name: "flaps", Fault: "up and down of a line", Least: flapsIn, Controls: dedup, Trial: flaps},
		{Name: "photos", Fault: "cut of a line that carries photos", Least: photosIn, Controls: []Control{by(lostPieces, "bytes of photos went", "the hub's photos: ")}, Trial: album},
		{Name: "clocks", Fault: "jump of a clock", Least: clocksIn, Controls: append(dedup, by(walls, "does not rise")), Trial: clocks},
		{Name: "clocks-hub", Fault: "jump of the hub's clock", Least: clocksIn, Controls: dedup, Trial: clocksHub},
		{Name: "kill-rehome", Fault: "kill -9 while re-homing", Least: rehomeKills, Controls: []Control{by(taken, noEffect)}, Meets: slices.Concat(rehoming, agent), Trial: killRehome},
		{Name: "hostile", Fault: "message of a hostile device", Least: blowsIn, Controls: append(dedup, by(tame, "it was answered, and")), Meets: []string{copies}, Trial: hostile},
	}
	return append(rows, mountRows()...)
}

func names(points []failpoint.Point) (out []string) {
	for _, p := range points {
		out = append(out, string(p))
	}
	return out
}
