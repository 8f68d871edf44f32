// Package reconcile makes of entries what the hub knows of entities, and brings
// together what it knows with what people and offices know.
//
// Merging works inside ingest's transaction: entries, entity states, feed rows,
// verdicts and items are one commit (law L5). What an entry writes is merged by
// package merge, whatever came before it and by whatever way. What the outcome
// means for other entries, for scopes and for people is worked out once at the
// end of the transaction, from the states as they are then; so it does not
// matter in how many pieces or in which order things arrived.
//
// Each matter has a file: what is in conflict and whom that concerns
// (conflict.go) and what operators decide about that (decide.go, decided.go), where entities are shown and what moves with them (scope.go),
// official lists and the persons of the hub (roster.go), statements that account
// for a device, a team, a service item or the whole hub over a period, signed by
// the hub key (statement.go). What is done about it is an operator's decision.
//
//   - [Reconciler] is made once; [Reconciler.Begin] starts a [Round], the part of
//     one transaction. [Domain] is what packs say of entity types and forms.
//   - [Dispute] is the evidence of a conflict, [Side] one value of it; a [Ruling] decides it,
//     [Reconciler.Rule] and [Reconciler.Settle] follow it.
//   - [Draw] draws a [Statement] from the [Books]; [Sign], [Verify]; [WritePDF],
//     [WriteXLSX], [WriteCSV] print it.
//   - [ReadRoster] reads a list, [MatchRoster] compares it; a [Match] says what
//     became of a row, with the evidence.
package reconcile
