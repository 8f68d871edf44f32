package sim

import (
	"fmt"
	"os"
)

// shared is where Linux keeps files in memory.
const shared = "/dev/shm"

// Folder makes an empty folder for a run's databases: in memory where that is
// possible, since a run makes its own power cuts and has no use for the disk's.
func Folder() (string, error) {
	if dir, err := os.MkdirTemp(shared, "otor-sim-"); err == nil {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "otor-sim-")
	if err != nil {
		return "", fmt.Errorf("make a folder for a run: %w", err)
	}
	return dir, nil
}
