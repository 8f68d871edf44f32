package postgres

import (
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// deadAfter is how long what was sent may stay without an answer of the other
// machine's kernel, in milliseconds, until the connection counts as lost.
const deadAfter = 30_000

// dialer connects so that a cut line is noticed, also while something is under way.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(network, _ string, c syscall.RawConn) (err error) {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			if sysErr := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, deadAfter)
			}); sysErr != nil {
				return sysErr
			}
			return err
		},
	}
}
