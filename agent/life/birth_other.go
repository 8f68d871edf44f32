//go:build !linux && !windows

package life

import (
	"fmt"
	"os"
	"syscall"
)

// birthOf says as which file a file came into being.
func birthOf(path string) (string, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("i%d", st.Ino), nil
	}
	return "", nil
}

// machineID is not known here.
func machineID() string { return "" }
