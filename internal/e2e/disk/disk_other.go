//go:build !linux

package disk

// Have reports whether this machine can make disks, and why not.
func Have() (bool, string) { return false, "only Linux has what this disk is made of" }
