package durable

import (
	"path/filepath"
	"strings"
)

// SameDisk reports whether two files or folders lie on one volume. Two volumes
// of one disk are taken for two disks: programs cannot tell.
func SameDisk(a, b string) (bool, error) {
	for _, path := range []*string{&a, &b} {
		whole, err := filepath.Abs(*path)
		if err != nil {
			return false, err
		}
		*path = filepath.VolumeName(whole)
	}
	return strings.EqualFold(a, b), nil
}
