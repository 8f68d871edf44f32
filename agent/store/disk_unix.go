//go:build !windows

package store

import (
	"errors"

	"golang.org/x/sys/unix"
)

func isReadOnly(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}
