package gauge

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ErrNoProc says that the system does not tell what a process takes: proc(5) is Linux's.
var ErrNoProc = errors.New("this system does not tell what another process takes; measure on Linux")

// Anonymous is a process's memory that no file stands behind, in MiB; 0 where the system
// does not tell (proc(5), Linux).
func Anonymous(pid int) float64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return 0
			}
			return kib / 1024
		}
	}
	return 0
}

// ticks are what a second of processor time is counted in (USER_HZ, the same on all of
// Linux's architectures that Go runs on).
const ticks = 100

// CPU is the processor time that a process has taken since its start, its own and the
// system's for it. It wraps [ErrNoProc].
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoProc, err)
	}
	// The name, in brackets, may hold anything; utime and stime are the 14th and 15th field.
	_, rest, ok := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("%w: %q", ErrNoProc, b)
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, err
}
