//go:build !linux

package postgres

import (
	"net"
	"time"
)

// dialer connects so that a cut line is noticed.
func dialer() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
}
