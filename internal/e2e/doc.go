// Package e2e runs the built programs against one another, as people and
// harnesses do: command lines, exit codes, signals, files. Nothing here looks
// inside a process.
//
// Everything is on loopback, on ports that the system picks. A hub that is
// started again gets the ports that it had, since its devices know them.
//
//   - [Build] builds the programs once, for a TestMain.
//   - [Hub] and [Agent] are folders with a program that may run on them;
//     [NewHub], [Hub.Enrol] make them, Start, Stop and Kill are their life.
//   - [Result] is what a command left: exit code, stdout, stderr.
//   - [Need] skips or fails a test that needs what this machine lacks.
package e2e
