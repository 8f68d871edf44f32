package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"otor/internal/trust"
)

type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func issue(t *testing.T, tmpl *x509.Certificate, by *authority) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber = big.NewInt(1)
	if tmpl.NotAfter.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = time.Unix(0, 0), time.Unix(1, 0) // long over
	}
	parent, signer := tmpl, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key, cert}
}

func newCA(t *testing.T) authority {
	return issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
}

var server = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

func TestVerify(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	role := []string{trust.HubName}
	good := issue(t, &x509.Certificate{DNSNames: role, ExtKeyUsage: server}, &ca)
	if err := trust.Verify(ca.cert, []*x509.Certificate{good.cert}); err != nil {
		t.Errorf("expired long ago, and still the hub: %v", err)
	}
	if err := trust.Verify(ca.cert, []*x509.Certificate{good.cert, ca.cert}); err != nil {
		t.Error(err)
	}
	for name, chain := range map[string][]*x509.Certificate{
		"nothing":     nil,
		"other CA":    {issue(t, &x509.Certificate{DNSNames: role, ExtKeyUsage: server}, &other).cert, ca.cert},
		"no role":     {issue(t, &x509.Certificate{DNSNames: []string{"station.otor.internal"}, ExtKeyUsage: server}, &ca).cert},
		"no server":   {issue(t, &x509.Certificate{DNSNames: role, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, &ca).cert},
		"self-signed": {issue(t, &x509.Certificate{DNSNames: role, ExtKeyUsage: server}, nil).cert},
		"the CA":      {ca.cert},
	} {
		if err := trust.Verify(ca.cert, chain); !errors.Is(err, trust.ErrNotTheHub) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoot(t *testing.T) {
	ca := newCA(t)
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	if c, err := trust.Root(text("CERTIFICATE", ca.cert.Raw)); err != nil || !c.Equal(ca.cert) {
		t.Error(err)
	}
	leaf := issue(t, &x509.Certificate{DNSNames: []string{trust.HubName}, ExtKeyUsage: server}, &ca)
	for name, b := range map[string][]byte{
		"empty": nil, "not PEM": []byte("x"), "a key": text("PRIVATE KEY", ca.cert.Raw),
		"broken": text("CERTIFICATE", ca.cert.Raw[:50]), "a leaf": text("CERTIFICATE", leaf.cert.Raw),
	} {
		if _, err := trust.Root(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzRoot(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := trust.Root(b); err == nil && !c.IsCA {
			t.Error("a certificate that is no CA's was taken")
		}
	})
}
