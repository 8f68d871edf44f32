//go:build !windows

package durable

import "golang.org/x/sys/unix"

// Free is the number of bytes that this program may still write on the disk of
// a folder.
func Free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil //nolint:unconvert // the widths differ by platform
}
