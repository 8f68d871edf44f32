package durable

import "syscall"

// What lseek(2) takes to find data and holes, and its answer behind the last data.
const (
	seekData      = 3
	seekHole      = 4
	errNoMoreData = syscall.ENXIO
)
