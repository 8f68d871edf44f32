// Package trust says when a TLS peer is the hub.
//
// A hub is its own certificate authority. What a device knows of it is that
// authority: first as the pin in the enrolment code, later as the certificate
// that came with the credentials. Two things are unusual, both on purpose.
//
// Dates are not looked at: a device's clock may be years off, and a hub must
// not become unreachable because of it. Revoking and expiry are matters of the
// NATS credentials, which the hub checks by its own clock.
//
// The address that was dialled is not compared either. A hub moves between
// addresses (a new lease, a port forwarded by the office router, a hotspot in
// the field), and an address proves nothing that the authority's signature does
// not. Instead the certificate must carry the role name [HubName], which the
// authority gives to the hub's own servers alone: no other certificate that it
// may ever issue can pass for the hub.
//
//   - [ByRoot] makes a client's TLS configuration for a known authority.
//   - [ByPin] makes one for a pin, and says what authority was found.
//   - [Root] reads an authority's certificate.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"otor/internal/identity"
)

// HubName is the DNS name in the certificates of the hub's own servers. It is
// a role, resolved by nobody ("internal" is reserved for private use).
const HubName = "hub.otor.internal"

// ErrNotTheHub marks a TLS peer that could not show that it is the hub.
var ErrNotTheHub = errors.New("the server is not the hub that was expected")

// Root reads the one CA certificate in a PEM text.
func Root(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("CA certificate: no PEM block CERTIFICATE in it")
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	if !root.IsCA {
		return nil, errors.New("CA certificate: it is not one of a certificate authority")
	}
	return root, nil
}

// Verify checks that chain, leaf first, is a hub's server certificate issued by
// root. Errors wrap [ErrNotTheHub].
func Verify(root *x509.Certificate, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: it showed no certificate", ErrNotTheHub)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	leaf := chain[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:       roots,
		DNSName:     HubName,
		CurrentTime: leaf.NotBefore, // dates do not count; a hub never issues a leaf that begins before its CA
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTheHub, err)
	}
	return nil
}

// ByRoot accepts the hub whose authority root is.
func ByRoot(root *x509.Certificate) *tls.Config {
	return client(func(chain []*x509.Certificate) error { return Verify(root, chain) })
}

// ByPin accepts the hub whose authority has the pin; the server must send that
// authority's certificate along. found, which may be nil, is told of it, once a
// handshake, and may be called by several goroutines.
func ByPin(pin identity.Pin, found func(root *x509.Certificate)) *tls.Config {
	return client(func(chain []*x509.Certificate) error {
		for _, c := range chain {
			if !c.IsCA || !pin.Matches(c.RawSubjectPublicKeyInfo) {
				continue
			}
			if err := Verify(c, chain); err != nil {
				return err
			}
			if found != nil {
				found(c)
			}
			return nil
		}
		return fmt.Errorf("%w: its certificate authority does not have the pin in the code", ErrNotTheHub)
	})
}

// client replaces the library's verification by ours. Only X25519 is offered:
// the hybrid key share would add 2.3 kB to each handshake on links of 64 kbit/s.
func client(verify func([]*x509.Certificate) error) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519},
		InsecureSkipVerify: true, // VerifyConnection below does it, on every handshake, resumed ones too
		VerifyConnection:   func(s tls.ConnectionState) error { return verify(s.PeerCertificates) },
		ServerName:         HubName,
	}
}
