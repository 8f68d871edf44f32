//go:build !windows

package durable

import "syscall"

var fullErrors = []error{syscall.ENOSPC, syscall.EDQUOT}
