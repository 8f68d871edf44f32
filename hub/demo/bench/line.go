package bench

import (
	"context"
	"net"
	"sync/atomic"
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

// turns dials connections and counts how often the device speaks after it has
// heard something: each is a round trip that waits for the one before.
type turns struct{ n atomic.Int64 }

// DialContext implements link.Dialer.
func (t *turns) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &turnConn{Conn: c, turns: t}, nil
}

type turnConn struct {
	net.Conn
	turns *turns
	heard atomic.Bool
}

func (c *turnConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, err
}

func (c *turnConn) Write(b []byte) (int, error) {
	if c.heard.Swap(false) {
		c.turns.n.Add(1)
	}
	return c.Conn.Write(b)
}
