// Package release holds the version that both programs carry.
package release

// Version is the programs' version, as semantic versioning writes it. The
// protocol has a version of its own, see package wire.
const Version = "0.1.0"
