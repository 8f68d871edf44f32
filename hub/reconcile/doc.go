// Package reconcile brings together what the hub received with what people and
// offices know.
//
// Each matter has a file: official lists are matched with the persons of the
// hub (roster.go). The rules are pure: they are given what there is and say
// what follows; what is done about it is an operator's decision.
//
//   - [ReadRoster] reads a list, [MatchRoster] compares it; a [Match] says what
//     became of a row, with the evidence.
package reconcile
