package durable

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// The system's own, and what Go calls so in their place.
var fullErrors = []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED, syscall.ENOSPC}
