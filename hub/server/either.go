package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"otor/internal/webui"
)

// eitherListener accepts plain HTTP and TLS on one port: a TLS connection
// starts with the byte 22, no HTTP request does. Browsers on the hub's own
// machine need no certificate that way, and devices always speak TLS.
type eitherListener struct {
	net.Listener
	config *tls.Config

	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// maxPeeking bounds the connections whose first byte is awaited.
const (
	maxPeeking  = 256
	peekTimeout = 10 * time.Second
)

func newEitherListener(ln net.Listener, cert tls.Certificate) *eitherListener {
	l := &eitherListener{
		Listener: ln, ready: make(chan net.Conn), done: make(chan struct{}),
		config: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}},
	}
	go l.accept()
	return l
}

func (l *eitherListener) accept() {
	slots := make(chan struct{}, maxPeeking)
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of descriptors: others will close
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-l.done:
			_ = c.Close()
			return
		}
		go func() {
			defer func() { <-slots }()
			l.peek(c)
		}()
	}
}

func (l *eitherListener) peek(c net.Conn) {
	r := bufio.NewReaderSize(c, 16)
	_ = c.SetReadDeadline(time.Now().Add(peekTimeout))
	first, err := r.Peek(1)
	if err != nil {
		_ = c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	var conn net.Conn = &peeked{Conn: c, r: r}
	if first[0] == 22 {
		conn = tls.Server(conn, l.config)
	}
	select {
	case l.ready <- conn:
	case <-l.done:
		_ = c.Close()
	}
}

// Accept returns the next connection whose kind is known.
func (l *eitherListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close stops listening.
func (l *eitherListener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.done)
		err = l.Listener.Close()
	})
	return err
}

// peeked gives back the byte that was looked at.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// overTLS turns away what did not come over TLS: codes and keys must not be
// sent in the clear.
func overTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			webui.WriteRefusal(w, http.StatusUpgradeRequired, &webui.Refusal{
				Code: "tls_required", What: "enrolment works over https only", Which: r.URL.Path, Do: "use the https address of the same port",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}
