package link_test

import (
	"encoding/binary"
	"net"
	"testing"

	"otor/agent/link"
)

// nameServer answers every A question with 127.0.0.1, and others with nothing.
func nameServer(t *testing.T) string {
	t.Helper()
	pc, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			end := 12 // RFC 1035: a header of 12 bytes, then the name's labels, type and class
			for end < n && b[end] != 0 {
				end += int(b[end]) + 1
			}
			end += 5
			if end > n {
				continue
			}
			out := append([]byte(nil), b[:end]...)
			out[2], out[3] = 0x81, 0x80
			clear(out[6:12])
			if binary.BigEndian.Uint16(out[end-4:]) == 1 {
				out[7] = 1
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
			}
			_, _ = pc.WriteTo(out, from)
		}
	}()
	return pc.LocalAddr().String()
}

func TestNamesWithoutResolvConf(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := link.DialerAsking([]string{nameServer(t)})
	conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("hub.sumu.example", port))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
