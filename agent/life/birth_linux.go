package life

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// birthOf says when and as which file a file came into being. The moment alone
// is taken where the file system keeps it: no tool can set it, and on some
// (FAT, network shares) numbers of files change with each mount.
func birthOf(path string) (string, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME|unix.STATX_INO, &st)
	if err == nil && st.Mask&unix.STATX_BTIME != 0 && st.Btime.Sec > 0 {
		return fmt.Sprintf("b%d.%09d", st.Btime.Sec, st.Btime.Nsec), nil
	}
	if err == nil && st.Mask&unix.STATX_INO != 0 {
		return fmt.Sprintf("i%d", st.Ino), nil
	}
	_, err = os.Lstat(path) // a system without statx: nothing is known
	return "", err
}

// machineID is the system's id of the machine, "" when it has none. Android has
// none that a program may read.
func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return string(b[:min(len(b), 128)])
		}
	}
	return ""
}
