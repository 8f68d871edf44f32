//go:build !linux

package narrow

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
)

// Net is the line and its two ends; only Linux has one.
type Net struct{}

// Joined reports whether this process was started by [Run].
func Joined() bool { return false }

// Run works on Linux alone.
func Run(context.Context, string, *exec.Cmd) error {
	return fmt.Errorf("%w: %s has none", ErrCannot, runtime.GOOS)
}

// Join works on Linux alone.
func Join(Line) (*Net, error) { return nil, fmt.Errorf("%w: %s has none", ErrCannot, runtime.GOOS) }

// Close does nothing.
func (*Net) Close() {}

// Counts counts nothing.
func (*Net) Counts() (up, down Counts) { return Counts{}, Counts{} }

// DialContext connects to nothing.
func (*Net) DialContext(context.Context, string, string) (net.Conn, error) { return nil, ErrCannot }
