//go:build !windows

package sqlite

import "syscall"

var fullErrors = []error{syscall.ENOSPC, syscall.EDQUOT}
