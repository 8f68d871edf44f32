// Package chaos does harm to the built programs, on purpose and by seed, and
// looks whether a promise broke.
//
// A [Row] is one kind of harm: kill -9, power cuts, full disks, damaged files, bad
// links, wrong clocks, hostile clients. A trial of a row draws everything from
// its seed, does harm a number of times ([T.Faults] counts it), and checks what
// must hold after each. Each row names controls: the same trial with a promise
// broken, or with the evidence hidden, which must be found out, in the words that
// are meant for it; and a least amount of work, below which a run says nothing and
// counts as failed. Harm that met nobody is not counted: a process that had ended
// before the kill, a cut while nothing was under way. What trials met is tallied
// ([T.Met]); a campaign in which a place that a row is to meet stands at zero fails.
//
// Trials run in go test as seeded slices, and by the campaign command in any
// number. Outside of go test a [T] stands in for *testing.T, so that both use
// the same code.
//
//   - [Rows] lists the rows; [Find] gives one.
//   - [Site] is where trials take place: the folder, and a hub that they share.
//   - [Run] runs one trial, [Prove] a row's controls.
package chaos
