package webui

import (
	"net"
	"net/http"
	"strings"
)

// FromHere reports whether a program on this machine asks, and not a proxy on it for
// somebody elsewhere.
func FromHere(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}
