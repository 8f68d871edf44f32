package broker

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"otor/internal/durable"
	"otor/internal/trust"
)

// How long certificates last. Devices ignore the dates; browsers do not.
const (
	caYears     = 30
	serverLife  = 365 * 24 * time.Hour
	renewBefore = 60 * 24 * time.Hour
	backdated   = 24 * time.Hour // for visitors whose clock is a little behind
)

// authority is the hub's own CA. Its key signs server certificates of this hub
// and nothing else.
type authority struct {
	key  crypto.Signer
	cert *x509.Certificate
	pem  []byte
}

func newCA(key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Otor hub CA"},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.AddDate(caYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
}

func readCA(dir string) (authority, error) {
	der, err := readPEM(dir, caKeyFile, "PRIVATE KEY")
	if err != nil {
		return authority{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return authority{}, fmt.Errorf("%s: %w", caKeyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return authority{}, fmt.Errorf("%s: not an ECDSA key", caKeyFile)
	}
	text, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return authority{}, err
	}
	cert, err := trust.Root(text)
	if err != nil {
		return authority{}, fmt.Errorf("%s: %w", caFile, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return authority{}, fmt.Errorf("%s and %s do not belong together", caKeyFile, caFile)
	}
	return authority{key: key, cert: cert, pem: text}, nil
}

// serverCertificate returns the hub's server certificate with the CA's behind
// it, from the key folder, or a new one when there is none, when it does not
// name all hosts, or when its end is near.
func (k *keyring) serverCertificate(hosts []string, now time.Time) (tls.Certificate, error) {
	path := filepath.Join(k.dir, serverFile)
	if text, err := os.ReadFile(path); err == nil {
		// The file holds both; anything wrong with it is mended by a new one.
		if c, err := tls.X509KeyPair(text, text); err == nil && k.stillGood(c.Leaf, hosts, now) {
			return k.withCA(c), nil
		}
	}
	text, err := k.issue(hosts, now, false)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	c, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, err
	}
	return k.withCA(c), nil
}

// issue makes a server's certificate and its key, in PEM. dials says that the
// server also goes to others with it, which ask for one.
func (k *keyring) issue(hosts []string, now time.Time, dials bool) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Otor hub"},
		NotBefore:    now.Add(-backdated),
		NotAfter:     now.Add(serverLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{trust.HubName},
	}
	if dials {
		tmpl.NotAfter = k.ca.cert.NotAfter // nobody renews it by itself; devices ignore the date
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	// Devices verify at NotBefore, so a leaf must not begin before its CA,
	// not even when the hub's clock was set back.
	if tmpl.NotBefore.Before(k.ca.cert.NotBefore) {
		tmpl.NotBefore = k.ca.cert.NotBefore
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, k.ca.cert, key.Public(), k.ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue the server certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

func (k *keyring) stillGood(leaf *x509.Certificate, hosts []string, now time.Time) bool {
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter.Add(-renewBefore)) || trust.Verify(k.ca.cert, []*x509.Certificate{leaf}) != nil {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool { return leaf.VerifyHostname(h) != nil })
}

// withCA puts the CA behind the leaf: an enrolling device finds the pinned key there.
func (k *keyring) withCA(c tls.Certificate) tls.Certificate {
	if len(c.Certificate) == 1 || !bytes.Equal(c.Certificate[1], k.ca.cert.Raw) {
		c.Certificate = [][]byte{c.Certificate[0], k.ca.cert.Raw}
	}
	return c
}

func newSerial() (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b), nil
}
