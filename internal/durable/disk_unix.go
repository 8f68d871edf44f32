//go:build !windows

package durable

import (
	"os"
	"syscall"
)

// SameDisk reports whether two files or folders lie on one file system. Two
// file systems of one disk are taken for two disks: programs cannot tell.
func SameDisk(a, b string) (bool, error) {
	var device [2]uint64
	for i, path := range []string{a, b} {
		fi, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return false, nil
		}
		device[i] = uint64(st.Dev) //nolint:gosec,unconvert // its type differs between systems
	}
	return device[0] == device[1], nil
}
