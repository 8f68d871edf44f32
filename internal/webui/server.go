package webui

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// NewServer returns a server for h whose requests, event streams included, end
// with ctx. There is no limit on a whole request or answer, because streams
// are long; headers and idle connections are limited.
func NewServer(ctx context.Context, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// NewSecret returns at least 128 random bits as text that fits into an address.
func NewSecret() string { return rand.Text() }

// EnterURL is the address to print or open at launch on this machine: base is
// such as "http://127.0.0.1:8470". A wildcard host is no address: the loopback
// one is among those that it stands for.
func EnterURL(base, secret string) string {
	if u, err := url.Parse(base); err == nil {
		if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
			u.Host = net.JoinHostPort("127.0.0.1", u.Port())
			base = u.String()
		}
	}
	return base + "/enter?k=" + secret
}
