package store

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func isReadOnly(err error) bool {
	return errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, os.ErrPermission)
}
