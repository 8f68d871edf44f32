package demo

import (
	"context"
	"errors"
	"net"
	"sync"
)

// line is a device's network: up, or cut.
type line struct {
	dialer net.Dialer

	mu    sync.Mutex
	up    bool
	conns map[net.Conn]struct{}
}

var errNoSignal = errors.New("no signal")

// DialContext connects while the line is up.
func (l *line) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !l.isUp() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errNoSignal}
	}
	c, err := l.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.up { // cut meanwhile
		return nil, errors.Join(&net.OpError{Op: "dial", Net: network, Err: errNoSignal}, c.Close())
	}
	if l.conns == nil {
		l.conns = make(map[net.Conn]struct{})
	}
	l.conns[c] = struct{}{}
	return c, nil
}

func (l *line) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *line) raise() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = true
}

// cut breaks every connection where it stands.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = false
	for c := range l.conns {
		_ = c.Close() // what was under way is lost, as it would be
	}
	clear(l.conns)
}
