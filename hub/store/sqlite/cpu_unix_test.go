//go:build !windows

package sqlite_test

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used. Beside other
// loads on the machine it says more than the clock on the wall.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
