package bench

import (
	"context"
	"net"
	"time"
)

// slowLine dials connections that move so many bytes a second, each way by
// itself. Loopback outruns the compressor, and the device then compresses less
// than it does on any link in the field.
type slowLine struct{ rate int }

// DialContext implements link.Dialer.
func (l slowLine) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return slowConn{c, l.rate}, nil
}

type slowConn struct {
	net.Conn
	rate int
}

func (c slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.pass(n)
	return n, err
}

func (c slowConn) Write(b []byte) (int, error) {
	c.pass(len(b))
	return c.Conn.Write(b)
}

func (c slowConn) pass(n int) { time.Sleep(time.Duration(n) * time.Second / time.Duration(c.rate)) }
