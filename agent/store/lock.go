package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lockDir takes the folder for this process, before Badger looks at it. A
// reader shares it with other readers.
func lockDir(dir string, readOnly bool) (*flock.Flock, error) {
	l := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	try := l.TryLock
	if readOnly {
		try = l.TryRLock
	}
	ok, err := try()
	if err != nil {
		return nil, err
	}
	pidFile := filepath.Join(dir, "pid")
	if !ok {
		who := "another program"
		if b, err := os.ReadFile(pidFile); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				who = fmt.Sprintf("the program with process id %d", pid)
			}
		}
		return nil, fmt.Errorf("%w: %s has %s open: stop it first, or use another --data folder", ErrLocked, who, dir)
	}
	if !readOnly {
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
			_ = l.Unlock()
			return nil, err
		}
	}
	return l, nil
}
