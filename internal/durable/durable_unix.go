//go:build !windows

package durable

import (
	"errors"
	"os"
	"syscall"
)

const chmodOptional = false

func replace(from, to string) error { return os.Rename(from, to) }

// SyncDir makes the names in dir durable. File systems that cannot sync a
// folder keep names durable by themselves or not at all: that is no error.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
