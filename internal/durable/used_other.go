//go:build !linux

package durable

import "errors"

// No other system is asked for holes: these are refused, and files are read whole.
const (
	seekData = -1
	seekHole = -1
)

var errNoMoreData = errors.New("no more data")
