// Package arch holds the rules of who may import whom, and checks them.
//
// The tree has two sides that never meet, agent and hub, over a kernel that
// both must agree on byte for byte. Each side is a row of rooms that its root
// wires together; a library lives in one room; the kernel's records and rules
// touch nothing outside their arguments, which is what lets a simulator drive
// them. A rule that is only written down is broken by the first hurried
// commit, so they stand here as tables, each with its reason, and a test holds
// the whole tree against them.
//
//   - [Package] is one folder of Go files with what they import, on every platform.
//   - [Load] reads a module's packages.
//   - [Rule] forbids some [Edge]s of the import graph; [Rules] is the table.
//   - [Exception] lifts the rule between sibling rooms where it would only hurt.
//   - [Home] is where a library lives; [Homes] is the table.
//   - [Finding] is one breach: where, what, under which rule, and why there is one.
package arch
