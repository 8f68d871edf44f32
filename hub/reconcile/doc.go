// Package reconcile brings together what the hub received with what people and
// offices know.
//
// Each matter has a file: official lists are matched with the persons of the
// hub (roster.go), and statements account for a device, a team, a service item or the
// whole hub over a period (statement.go), signed by the hub key. The rules are pure: they are given what there is and say
// what follows; what is done about it is an operator's decision.
//
//   - [Draw] draws a [Statement] from the [Books]; [Sign], [Verify]; [WritePDF],
//     [WriteXLSX], [WriteCSV] print it.
//   - [ReadRoster] reads a list, [MatchRoster] compares it; a [Match] says what
//     became of a row, with the evidence.
package reconcile
