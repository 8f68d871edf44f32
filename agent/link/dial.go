package link

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// resolvConf is where systems other than Windows and Apple's list their name servers.
const resolvConf = "/etc/resolv.conf"

// NewDialer returns the dialer for field devices. Android has no
// /etc/resolv.conf and a CGO-free program cannot ask the system there, so Go
// would ask 127.0.0.1 and fail. When the file is missing, names are looked up
// at the given servers ("10.0.0.1" or "10.0.0.1:53"), in turn. With none given,
// a hub can only be reached by its IP address; public servers are not assumed,
// since they would learn where this device reports to.
func NewDialer(dns []string) *net.Dialer {
	if hasResolver() {
		dns = nil
	}
	return dialerAsking(dns)
}

func dialerAsking(dns []string) *net.Dialer {
	d := &net.Dialer{KeepAlive: -1} // our own pings notice a dead line; idle links stay quiet
	if len(dns) == 0 {
		return d
	}
	var turn atomic.Uint32
	d.Resolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			server := dns[int(turn.Add(1)-1)%len(dns)]
			if _, _, err := net.SplitHostPort(server); err != nil {
				server = net.JoinHostPort(server, "53")
			}
			return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, server)
		},
	}
	return d
}

func hasResolver() bool {
	switch runtime.GOOS {
	case "windows", "darwin", "ios":
		return true
	}
	_, err := os.Stat(resolvConf)
	return !errors.Is(err, fs.ErrNotExist)
}

// Meter counts bytes on the wire, TLS included, TCP and IP not.
type Meter struct{ In, Out uint64 }

// dialer counts what goes through the connections that it opens.
type dialer struct {
	Dialer
	timeout time.Duration
	in, out atomic.Uint64
}

func (d *dialer) meter() Meter { return Meter{In: d.in.Load(), Out: d.out.Load()} }

// within gives the NATS library its dialer for one session: whatever it is
// doing, even a TLS handshake, ends when ctx does.
func (d *dialer) within(ctx context.Context) sessionDialer { return sessionDialer{d, ctx} }

type sessionDialer struct {
	d   *dialer
	ctx context.Context
}

func (s sessionDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.d.timeout)
	defer cancel()
	conn, err := s.d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m := &metered{Conn: conn, d: s.d}
	m.stop = context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	return m, nil
}

type metered struct {
	net.Conn
	d    *dialer
	stop func() bool
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.d.in.Add(uint64(max(n, 0)))
	return n, err
}

func (m *metered) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.d.out.Add(uint64(max(n, 0)))
	return n, err
}

func (m *metered) Close() error {
	m.stop()
	return m.Conn.Close()
}
